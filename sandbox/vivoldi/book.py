"""Vivoldi accounts: their settings, groups, templates and coupons."""

import hashlib
import re
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.book import Book
from sandbox.errors import WorldError

# Calls a minute and an hour; the newest of the pages that tell them.
PLANS = {
    "free": (30, 600),
    "personal": (180, 10_000),
    "premium": (300, 15_000),
    "business": (480, 25_000),
    "business_plus": (768, 40_000),
    "enterprise": (1200, 60_000),
}
# Vivoldi blocks some and does not say which: those of programs whose author named none.
BLOCKED_AGENTS = ["python-requests", "python-urllib", "curl", "java", "go-http-client"]
COLOUR = re.compile(r"#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?")
SIGNATURES = ("timestamp.body", "timestamp.hash", "timestamp.ids.hash")
# Which fields a group overrules is not published; these are on a coupon's page.
GROUP_FIELDS = frozenset(
    "nm strtYmd endYmd onsiteYn onsitePwd url color background imgUrl".split()
)


@dataclass(slots=True)
class Group:
    """A coupon group; `beats` are the fields in which it overrules its coupons."""

    grpIdx: int  # noqa: N815 (Vivoldi's name)
    name: str
    beats: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class VivoldiCoupon:
    """One coupon. `data` has Vivoldi's own fields as they were sent."""

    number: int  # the sandbox's own, for the order
    cpnNo: str  # noqa: N815
    data: dict[str, Any]
    made_at: float
    uses: list[dict[str, Any]] = field(default_factory=list)  # at, userId, memo, way

    @property
    def limit(self) -> int:
        """How often it may be used; 0: without limit."""
        return int(self.data["useLimit"])

    def is_used_up(self) -> bool:
        return 0 < self.limit <= len(self.uses)


@dataclass(slots=True)
class VivoldiAccount:
    """An organisation's account."""

    name: str
    api_key: str
    secret: str  # of its webhooks
    plan: str = "premium"
    comp_idx: int = 501
    webhook_url: str = ""
    groups: list[dict[str, Any]] = field(default_factory=list)
    templates: dict[str, str] = field(default_factory=dict)  # tmplIdx -> text
    is_limited: bool = False  # hold callers to the plan's figures
    calls_a_minute: int = 0  # another figure than the plan's; 0: the plan's
    blocked_agents: list[str] = field(default_factory=lambda: list(BLOCKED_AGENTS))
    # Vivoldi's documentation leaves these open.
    zone_hours: int = 9  # its days are taken for Korea's
    tells_why: bool = True  # what can't be used: in words that differ
    tells_api_uses: bool = True  # a use by API is told by webhook too
    timestamp_in_ms: bool = True  # its text says seconds, its sample milliseconds
    signature_base: str = SIGNATURES[0]
    coupons: dict[str, VivoldiCoupon] = field(default_factory=dict, repr=False)
    calls: deque[float] = field(default_factory=deque, repr=False)
    made: int = 0  # coupons so far, deleted ones too

    def settings(self) -> dict[str, Any]:
        """The part a person may set, as JSON can say it."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        del kept["coupons"], kept["calls"], kept["made"]
        return kept

    def group(self, number: int) -> Group | None:
        """The group of this number."""
        found = (row for row in self.groups if row["grpIdx"] == number)
        return next((Group(**row) for row in found), None)

    def shown(self, coupon: VivoldiCoupon) -> dict[str, Any]:
        """Its fields with what its group overrules."""
        group = self.group(int(coupon.data["grpIdx"]))
        return coupon.data | (group.beats if group else {})

    def today(self, at: float) -> date:
        """The day there, `at` in seconds since 1970."""
        return self.local(at).date()

    def local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC) + timedelta(hours=self.zone_hours)

    def limits(self) -> tuple[int | None, int | None]:
        """Calls a minute and an hour; None: any number."""
        if self.calls_a_minute:
            return self.calls_a_minute, None
        return PLANS[self.plan] if self.is_limited else (None, None)


class VivoldiBook(Book[VivoldiAccount]):
    """All Vivoldi accounts of the sandbox."""

    provider = "Vivoldi"

    def new_account(self, name: str) -> VivoldiAccount:
        def made_up(what: str) -> str:
            return hashlib.sha256(f"vivoldi {what} {name}".encode()).hexdigest()[:32]

        return VivoldiAccount(
            name,
            made_up("key"),
            made_up("secret"),
            comp_idx=501 + len(self.accounts),
            groups=example_groups(),
            templates={"12": "Show this page at the counter. One per visit."},
        )

    def check(
        self, account: VivoldiAccount, settings: dict[str, Any]
    ) -> dict[str, Any]:
        for key, value in settings.items():
            _check(key, value, type(getattr(account, key)))
        api_key = settings.get("api_key", account.api_key)
        other = self.of_key(api_key)
        if other is not None and other.name != account.name:
            raise WorldError(f"{other.name!r} has this API key already.")
        return settings

    def of_key(self, api_key: str) -> VivoldiAccount | None:
        """The account with this API key."""
        accounts = self.accounts.values()
        return next((a for a in accounts if a.api_key == api_key), None)

    def next_number(self, account: VivoldiAccount) -> int:
        """For a new coupon; they stay in the order they were made."""
        account.made += 1
        return account.made

    def save_coupon(self, account: VivoldiAccount, coupon: VivoldiCoupon) -> None:
        """Keep a coupon, a new one too."""
        account.coupons[coupon.cpnNo] = coupon
        self._keep("coupon", account.name, str(coupon.number), asdict(coupon))

    def drop_coupon(self, account: VivoldiAccount, coupon: VivoldiCoupon) -> None:
        del account.coupons[coupon.cpnNo]
        self._forget("coupon", account.name, str(coupon.number))

    def _load(self) -> None:
        kept = sorted(self._kept("coupon"), key=lambda row: int(row[1]))
        for name, _, data in kept:
            account, coupon = self.accounts[name], VivoldiCoupon(**data)
            account.coupons[coupon.cpnNo] = coupon
            account.made = coupon.number


def example_groups() -> list[dict[str, Any]]:
    """What a new account has; 271 is the group of Vivoldi's own example."""
    look = {"color": "#3B2A1AFF", "background": "#FFF6E9FF"}
    return [
        {"grpIdx": 271, "name": "New members", "beats": look},
        {"grpIdx": 300, "name": "Plain", "beats": {}},
    ]


def _check(key: str, value: object, kind: type) -> None:
    if type(value) is not kind:
        raise WorldError(f"{key} cannot be {value!r}.")
    if key in ("api_key", "secret") and not value:
        raise WorldError(f"{key} cannot be empty.")
    if key == "plan" and value not in PLANS:
        raise WorldError(f"A plan is one of {', '.join(PLANS)}.")
    if key == "signature_base" and value not in SIGNATURES:
        raise WorldError(f"signature_base is one of {', '.join(SIGNATURES)}.")
    if key == "groups" and isinstance(value, list):
        for row in value:
            _check_group(row)


def _check_group(row: Any) -> None:
    try:
        group = Group(**row)
    except TypeError:
        raise WorldError("A group has grpIdx, name and beats.") from None
    if type(group.grpIdx) is not int or group.grpIdx < 1:
        raise WorldError("grpIdx is a whole number from 1 on.")
    if not isinstance(group.beats, dict) or set(group.beats) - set(GROUP_FIELDS):
        raise WorldError(f"A group overrules {', '.join(sorted(GROUP_FIELDS))} alone.")
    for name in ("color", "background"):
        if not COLOUR.fullmatch(str(group.beats.get(name, "#000000"))):
            raise WorldError(f"{name} is a HEX value of up to 9 characters.")
