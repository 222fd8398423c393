"""What can be wrong with people and lists."""


class ContactError(Exception):
    """A no with a reason, shown to people as it is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
