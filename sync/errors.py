"""Noes with a reason, and what can be wrong with what a provider tells us."""


class SyncError(Exception):
    """`code` is for programs, `message` is shown as it is and says what to do."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)


class WebhookRefused(Exception):
    """A webhook that is not taken.

    `status` is the HTTP answer; `reason` and `connection_id` are for the log.
    """

    def __init__(
        self, status: int, reason: str, connection_id: int | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.connection_id = connection_id
