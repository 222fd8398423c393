"""Noes with a reason: why something can't be sent, in words for who asked."""


class DeliveryError(Exception):
    """`code` is for programs, `message` is shown as it is and says what to do."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)
