"""Noes with a reason that a person can act on."""


class CampaignError(Exception):
    """A campaign can't be changed so; `code` for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
