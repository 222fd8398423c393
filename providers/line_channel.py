"""How LINE is asked, and how it says no: what all calls to it share."""

from dataclasses import dataclass, field
from typing import Any

from providers.answers import Answer, json_object, plain
from providers.errors import ProviderError, Unauthorised, Unreadable
from providers.http import DEADLINE, Http
from providers.verdicts import error_of, is_success

MAX_DETAIL = 500  # characters


@dataclass(frozen=True)
class LineChannel:
    """One channel. `base_url` has no path; `deadline` is seconds for a whole call."""

    base_url: str
    access_token: str = field(repr=False)
    allow_local: bool = False
    deadline: float = DEADLINE

    def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One call with the token: the answer, whatever its status.

        Raises Unauthorised for what cannot be a token, Unreachable and Unclear.
        """
        token = self.access_token
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise Unauthorised("This is not an access token.", 401)
        http = Http((self.base_url,), self.allow_local, self.deadline)
        return http.request(
            method,
            self.base_url.rstrip("/") + path,
            headers={**(headers or {}), "Authorization": f"Bearer {token}"},
            body=body,
        )

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`. Raises ProviderError."""
        return object_in(self.ask("GET", path))


def object_in(answer: Answer) -> dict[str, Any]:
    """The JSON object of a 2xx answer; raises what any other answer means."""
    if not is_success(answer):
        raise line_error(answer)
    found = json_object(answer.body)
    if found is None:
        raise Unreadable("LINE's answer is not a JSON object.")
    return found


def line_error(answer: Answer) -> ProviderError:
    """What an answer that is no success means, in LINE's words."""
    return error_of(answer, detail_of(answer.status, json_object(answer.body) or {}))


def detail_of(status: int, found: dict[str, Any]) -> str:
    """LINE's message and details in a line: `{message, details: [{message, property}]}`.

    A property reads like `messages[0].text`.
    """
    parts = [plain(found.get("message"), MAX_DETAIL)]
    details = found.get("details")
    for one in details if isinstance(details, list) else []:
        if isinstance(one, dict):
            place = plain(one.get("property"), MAX_DETAIL)
            words = plain(one.get("message"), MAX_DETAIL)
            parts.append(f"{place}: {words}" if place and words else place or words)
    return plain(" | ".join(filter(None, parts)), MAX_DETAIL) or f"HTTP {status}"
