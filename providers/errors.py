"""What may go wrong in the world outside. No message here carries a secret."""

from providers.answers import Answer


class ProviderError(Exception):
    """A provider could not be asked, or its answer is of no use."""


class Unreachable(ProviderError):
    """Nothing was sent: no such name, refused, no connection in time, TLS failed."""


class Unclear(ProviderError):
    """Something may have been sent and done, but no whole answer came back.

    `answer` is what had arrived when at least status and headers were complete: for
    some questions the status alone settles the matter.
    """

    def __init__(self, message: str, answer: Answer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class Unreadable(ProviderError):
    """A 2xx answer, or a webhook, that is not what the provider's manual describes."""


class Refused(ProviderError):
    """A clear no. `status` is the HTTP status, `code` the provider's own, if it has one."""

    def __init__(self, message: str, status: int, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Unauthorised(Refused):
    """The access token is wrong, expired or revoked."""


class TooMany(Refused):
    """429: asked too often, or the month's quota is used up."""
