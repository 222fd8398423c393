"""What a coupon's page needs to know, read in two statements.

The page is the busiest of the house, so they are written out and planned once for each
connection: building them anew by the ORM took three times as long as running them, and
planning them five times. What they read is never kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from django.db import connection, models

from campaigns.models import Campaign, Group, Template, TotalLimit
from coupons.models import Coupon, PasswordTries
from serials.models import Batch, Serial
from serials.rows import built_or_none, columns_of, know, planned_once

TEXTS = ("name", "instructions", "usage_condition", "button_label")
MOST_STORES = 100  # listed on one page
MOST_CHOICES = 1_000  # where staff choose theirs
STILL_OF_USE = (*Coupon.BEFORE_REDEEM, Coupon.Status.REDEEMED)


class Place(NamedTuple):
    """A store as customers read it, and as its staff choose it."""

    name: str
    address: str
    pk: int = 0
    has_password: bool = False


@dataclass(frozen=True)
class Facts:
    """What the page needs to know beside the coupon and its campaign."""

    texts: Mapping[str, str] = field(default_factory=dict)  # in the page's language
    has_stock: bool = True
    is_contact_full: bool = False
    is_total_full: bool = False
    store_name: str = ""  # which took it
    stores: Sequence[Place] = ()
    tries: PasswordTries | None = None  # of a store password, on this page


# Each with the alias of its table, in the order in which COUPON selects them.
PARTS: Mapping[type[models.Model], str] = {
    Coupon: "coupon",
    Campaign: "campaign",
    Group: "grp",
    Template: "template",
    TotalLimit: "total",
    PasswordTries: "tries",
}
# Few tables are joined: with all of them, planning took ten times as long as running.
# A batch gives while it has something left. A free serial is looked for in the order of
# a claim, so by its index: PostgreSQL may answer an EXISTS here for all campaigns at
# once, by reading all serials.
COUPON = """
    SELECT {columns},
        text.name, text.instructions, text.usage_condition, text.button_label,
        (SELECT batch.code FROM serials_batch batch WHERE batch.id = coupon.batch_id),
        (SELECT serial.code FROM serials_serial serial
            WHERE serial.id = coupon.serial_id),
        (SELECT contactuse.used FROM coupons_contactuse contactuse
            WHERE contactuse.campaign_id = coupon.campaign_id
            AND contactuse.contact_id = coupon.contact_id),
        (SELECT store.name FROM coupons_verification verification
            JOIN stores_store store ON store.id = verification.store_id
            WHERE verification.coupon_id = coupon.id
            AND verification.undone_at IS NULL),
        CASE WHEN coupon.redeemed_at IS NULL THEN (
            SELECT giving.id FROM serials_batch giving
            LEFT JOIN serials_stock stock ON stock.batch_id = giving.id
            WHERE giving.campaign_id = coupon.campaign_id AND giving.state = 'ready'
            AND (
                giving.kind = 'fixed'
                    AND (stock.batch_id IS NULL OR stock.taken < stock.quantity)
                OR giving.kind <> 'fixed' AND (
                    SELECT free.id FROM serials_serial free
                    WHERE free.batch_id = giving.id AND free.state = 0
                    ORDER BY free.pos LIMIT 1
                ) IS NOT NULL
            )
            LIMIT 1
        ) END
    FROM coupons_coupon coupon
    JOIN campaigns_campaign campaign ON campaign.id = coupon.campaign_id
    LEFT JOIN campaigns_group grp ON grp.id = campaign.group_id
    LEFT JOIN campaigns_template template ON template.id = campaign.template_id
    LEFT JOIN campaigns_totallimit total ON total.campaign_id = campaign.id
    LEFT JOIN coupons_passwordtries tries ON tries.coupon_id = coupon.id
    LEFT JOIN campaigns_campaigntext text
        ON text.campaign_id = campaign.id AND text.language = %s
    WHERE coupon.token = %s
"""
STORES = """
    SELECT store.name, store.address, store.id, store.password <> ''
    FROM stores_store store
    WHERE store.is_active AND (
        store.id IN (
            SELECT named.store_id FROM campaigns_campaign_stores named
            WHERE named.campaign_id = %s
        )
        OR NOT EXISTS (
            SELECT 1 FROM campaigns_campaign_stores named WHERE named.campaign_id = %s
        )
    )
    ORDER BY store.name LIMIT %s
"""


def find_shown(token: str, *, language: str) -> tuple[Coupon, Facts] | None:
    """The coupon of a link and what its page needs, in two statements; or None.

    The coupon comes with its campaign (and that with group, template and total limit),
    batch and serial, all of them as they are now.
    """
    with planned_once() as cursor:
        cursor.execute(coupon_sql(), [language, token])
        row = cursor.fetchone()
    if row is None:
        return None
    values = iter(row)
    parts: dict[type[models.Model], Any]
    parts = {model: built_or_none(model, values) for model in PARTS}
    coupon, campaign, total = parts[Coupon], parts[Campaign], parts[TotalLimit]
    texts = {name: next(values) or "" for name in TEXTS}
    batch_code, serial_code, used, store_name, giving = values
    know(campaign, group=parts[Group], template=parts[Template], total_limit=total)
    know(
        coupon,
        campaign=campaign,
        batch=part_of(Batch, coupon.batch_id, batch_code),
        serial=part_of(Serial, coupon.serial_id, serial_code),
    )
    return coupon, Facts(
        texts=texts,
        has_stock=giving is not None,
        is_contact_full=0 < campaign.limit_per_contact <= (used or 0),
        is_total_full=total is not None and total.used >= total.quota,
        store_name=store_name or "",
        stores=stores_of(coupon) if coupon.status in STILL_OF_USE else (),
        tries=parts[PasswordTries],
    )


def stores_of(coupon: Coupon) -> list[Place]:
    """The open stores that take the coupon; none named means all.

    One more than can be listed; where staff choose theirs, all that can be chosen.
    """
    is_chosen = coupon.redeemed_at is not None and coupon.campaign.verified_on_page
    most = MOST_CHOICES if is_chosen else MOST_STORES + 1
    with planned_once() as cursor:
        cursor.execute(STORES, [coupon.campaign_id, coupon.campaign_id, most])
        return [
            Place(name, address, pk, bool(has_password))
            for name, address, pk, has_password in cursor.fetchall()
        ]


@cache
def coupon_sql() -> str:
    columns = [columns_of(model, alias) for model, alias in PARTS.items()]
    return COUPON.format(columns=", ".join(columns))


def part_of(model: type[models.Model], pk: int | None, code: str) -> Any:
    """A batch or serial of which the page needs the code alone."""
    return pk and model.from_db(connection.alias, ["id", "code"], [pk, code])
