"""What the status of an answer means, whoever gave it."""

from providers.answers import Answer
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
)


def is_success(answer: Answer) -> bool:
    """Whether the status is a yes."""
    return 200 <= answer.status < 300


def error_of(answer: Answer, detail: str, code: int | None = None) -> ProviderError:
    """What an answer that is no success means; `detail` is for people."""
    if answer.status == 401:
        return Unauthorised(detail, answer.status, code)
    if answer.status == 429:
        return TooMany(detail, answer.status, code)
    if 400 <= answer.status < 500:
        return Refused(detail, answer.status, code)
    return Unclear(detail, answer)


def settled(unclear: Unclear) -> Answer:
    """The answer whose status says no, although its body broke off; else raises."""
    answer: Answer | None = unclear.answer
    if answer is not None and 400 <= answer.status < 500:
        return answer
    raise unclear
