"""Finding a serial by its start or whole, among millions of them.

Each campaign's part of the unique index (campaign, code_key) is entered at what was
typed, and left after a few rows: no more is read when a million begin so. Bounds are
compared, no pattern is matched, so %, _ and \\ are characters like any other.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Case, Q, Value, When
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from coupons.finding import NUMBER
from serials.codes import ZERO_WIDTH, code_key, is_unusable, unguarded
from serials.models import CODE_LENGTH, Batch, Serial

MOST = 50  # shown
LONGEST = 1_000  # characters that are looked at: no spelling of 64 needs more
# What comes right after a text, and last of all that begins with it, in byte order.
NEXT, LAST = "\x01", "\U0010ffff"
# Whole or cut, in a chat's message or in another page's address.
LINK = re.compile(r"/c/+[\w-]{16}", re.IGNORECASE)

Row = Batch | Serial


@dataclass(frozen=True)
class Found:
    """At most `MOST` fixed texts and serials, whole ones first, the newest campaign's."""

    rows: list[Row]
    is_more: bool


# --- What was typed --------------------------------------------------------------------


def is_link(text: str) -> bool:
    """Whether it holds a coupon's link: a secret, never to be shown again."""
    plain = unicodedata.normalize("NFKC", text.translate(ZERO_WIDTH))
    return any(LINK.search(form) for form in (text, unquote(text), plain))


def is_like_number(text: str) -> bool:
    """Whether it may be a coupon's number, which is printed in groups of four."""
    return NUMBER.fullmatch(re.sub(r"[\s-]", "", text).upper()) is not None


def cleaned(text: str) -> str:
    """The text as serials are kept: no invisible marks, all letters of one width."""
    return code_key(text, is_case_sensitive=True)


def refusal(text: str) -> str:
    """Why nothing can be found by it, and what to do; empty when it can be looked up."""
    if len(text) > LONGEST or len(cleaned(text)) > CODE_LENGTH:
        return _(
            "That is too long: no serial has more than %(most)s characters. Type one "
            "serial, or the beginning of it."
        ) % {"most": CODE_LENGTH}
    if not cleaned(text):
        return _("Type the beginning of a serial, or all of it.")
    if is_unusable(text.translate(ZERO_WIDTH).strip()):
        return _(
            "That holds characters that can't be seen, which no serial has. Type it "
            "by hand."
        )
    return ""


def readings(text: str) -> list[str]:
    """The text; and, out of an export's spreadsheet, without the ' that guards it."""
    exact = cleaned(text)
    return list(dict.fromkeys([exact, unguarded(exact)]))


def folded(text: str) -> list[str]:
    """How it is looked for where capital and small letters are the same."""
    return [code_key(reading) for reading in readings(text)]


def spellings(text: str) -> list[str]:
    """How it is looked for where capital and small letters differ.

    As it stands, in capitals and in small letters: so a search in lower case finds what
    is printed in capitals. A serial that mixes them is found as it is printed.
    """
    cases = (str, str.upper, str.lower)
    return list(dict.fromkeys(case(r) for case in cases for r in readings(text)))


# --- Looking it up ---------------------------------------------------------------------


def find(
    text: str,
    campaign: Campaign | None = None,
    *,
    has_fixed: bool = True,
    has_coupons: bool = True,
) -> Found:
    """What is `text` or begins with it; `text` is one that `refusal` lets pass.

    Fixed texts and the serials' coupons only for whoever may see them.
    """
    rows: list[Row] = list(_fixed(text, campaign)) if has_fixed else []
    rows += _serials(serial_ids(text, campaign), has_coupons=has_coupons)
    whole = {*folded(text), *spellings(text)}
    rows.sort(key=lambda row: row.code_key not in whole)
    return Found(rows[:MOST], is_more=len(rows) > MOST)


# One of the two in the middle. Each ends at its own LIMIT in each campaign.
WALK = {
    "postgresql": """
        CROSS JOIN LATERAL (
            SELECT serial.id, serial.code_key FROM serials_serial serial
            WHERE serial.campaign_id = look.campaign_id
            AND serial.code_key >= look.low AND serial.code_key <= look.high
            ORDER BY serial.code_key LIMIT %s
        ) found""",
    "sqlite": """
        JOIN serials_serial found ON found.id IN (
            SELECT serial.id FROM serials_serial serial
            WHERE serial.campaign_id = look.campaign_id
            AND serial.code_key >= look.low AND serial.code_key <= look.high
            ORDER BY serial.code_key LIMIT %s
        )""",
}
# Ordered inside already, so that PostgreSQL stops at the first rows that suffice.
LOOK = """
    WITH span (is_case_sensitive, place, low, high) AS (VALUES {spans})
    SELECT found.id FROM (
        SELECT campaign.id AS campaign_id, span.place, span.low, span.high
        FROM campaigns_campaign campaign
        JOIN span ON span.is_case_sensitive = campaign.is_case_sensitive
        {only}
        ORDER BY span.place, campaign.id DESC
    ) look
    {walk}
    ORDER BY look.place, look.campaign_id DESC, found.code_key LIMIT %s
"""


def serial_ids(text: str, campaign: Campaign | None = None) -> list[int]:
    """Ids in the order to show: one more than `MOST` when there are more."""
    sql, values = statement(text, campaign)
    with in_order() as cursor:
        cursor.execute(sql, values)
        return [pk for (pk,) in cursor.fetchall()]


@contextmanager
def in_order() -> Iterator[CursorWrapper]:
    """A cursor whose statements walk an index from its start, as far as they need.

    PostgreSQL takes a range for a two-hundredth of the campaign, and would rather fetch
    all of it at once, by the order of the table, than leave it after a few.
    """
    is_server = connection.vendor == "postgresql"
    with transaction.atomic() if is_server else nullcontext():
        with connection.cursor() as cursor:
            if is_server:
                cursor.execute("SET LOCAL enable_bitmapscan = off")
            yield cursor


def statement(text: str, campaign: Campaign | None) -> tuple[str, list[Any]]:
    """The SQL with its values: what was typed is only ever a value."""
    spans = list(_spans(text))
    sql = LOOK.format(
        spans=", ".join(["(%s, %s, %s, %s)"] * len(spans)),
        only="WHERE campaign.id = %s" if campaign else "",
        walk=WALK[connection.vendor],
    )
    values: list[Any] = [value for span in spans for value in span]
    return sql, [*values, *([campaign.pk] if campaign else []), MOST + 1, MOST + 1]


def _spans(text: str) -> Iterator[tuple[bool, int, str, str]]:
    """Where to look: in which campaigns, at which place of the answer, from, to.

    Whole ones come before those that only begin so, the spelling as typed before others.
    """
    for is_case_sensitive, keys in ((False, folded(text)), (True, spellings(text))):
        for turn, key in enumerate(keys):
            place = min(turn, 1)
            yield is_case_sensitive, place, key, key
            yield is_case_sensitive, place + 2, key + NEXT, key + LAST


def _serials(ids: list[int], *, has_coupons: bool) -> list[Serial]:
    """In this order; a serial whose import was cancelled just now is left out."""
    others = ["campaign", "batch", *(["coupon"] if has_coupons else [])]
    shown = [*SHOWN, *(["coupon__status"] if has_coupons else [])]
    found = Serial.objects.select_related(*others).only(*shown).in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


# What a line of the list needs: reading whole campaigns would take longer than finding.
SHOWN = (
    *("code", "code_key", "state", "taken_at"),
    *("campaign__name", "campaign__time_zone"),
    *("batch__name", "batch__kind", "batch__state"),
)


def _fixed(text: str, campaign: Campaign | None) -> list[Batch]:
    """Fixed texts: some thousands at most, and in whatever order the database has."""
    keys = [*folded(text), *spellings(text)]
    begins = Q()
    for key in keys:
        begins |= Q(code_key__startswith=key)
    rows = Batch.objects.filter(begins).exclude(code_key="")
    if campaign is not None:
        rows = rows.filter(campaign=campaign)
    place = Case(When(code_key__in=keys, then=Value(0)), default=Value(1))
    ordered = rows.order_by(place, "-campaign_id", "code_key", "pk")
    ids = list(ordered.values_list("pk", flat=True)[: MOST + 1])
    found = Batch.objects.select_related("campaign", "stock").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]
