"""LINE's own coupons. The id is LINE's, so what an unclear answer left is found by content.

Source: Messaging API reference, "Coupon"; providers/line_coupons.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from providers.errors import ProviderError, Refused
from providers.line_coupons import LineCoupons
from sync.ports.port import (
    Differences,
    Kind,
    Order,
    Outcome,
    Pace,
    asked,
    outcome_of,
    shown,
)

ENDPOINTS = {
    "create": "coupon_create",
    "delete": "coupon_close",
    "list": "coupon_list",
    "find": "coupon_detail",
}
# Pictures are told by the address of LINE's own copy: whether there is one is all that
# can be compared.
PICTURES = ("imageUrl", "barcodeImageUrl")


@dataclass(frozen=True)
class LinePort:
    """One channel. `rate` is calls a second of each kind."""

    client: LineCoupons
    rate: float

    def pace(self, errand: str) -> Pace:
        return Pace(ENDPOINTS.get(errand, "coupon_detail"), self.rate)

    def calls(self, errand: str, *, is_doubtful: bool) -> int:
        return 1

    def create(self, order: Order) -> Outcome:
        """Only where no earlier try can have made it: see publishing/looking.py."""
        if order.is_doubtful:
            return Outcome(Kind.UNCLEAR, calls=0)
        return asked(lambda: self._create(order))

    def _create(self, order: Order) -> Outcome:
        return Outcome(Kind.DONE, self.client.create(body_of(order.terms)))

    def update(self, order: Order) -> Outcome:
        return Outcome(
            Kind.REFUSED,
            calls=0,
            detail=_("LINE's coupons can't be changed: close it and make it again."),
        )

    def delete(self, order: Order) -> Outcome:
        """Closed already, and not there at all, are as good."""
        try:
            self.client.close(order.remote_id)
        except Refused as error:
            if error.status == 404:
                return Outcome(Kind.DONE, detail=_("LINE didn't have it any more."))
            return outcome_of(error)
        except ProviderError as error:
            return outcome_of(error)
        return Outcome(Kind.DONE)

    def withdraw(self, order: Order) -> Outcome:
        """Without an id there is nothing to close: see publishing/looking.py."""
        return self.delete(order) if order.remote_id else Outcome(Kind.UNCLEAR, calls=0)

    def redeem(self, order: Order) -> Outcome:
        return Outcome(
            Kind.REFUSED,
            calls=0,
            detail=_("LINE can't be told of uses: customers press “Use” themselves."),
        )

    def find(self, order: Order) -> Outcome:
        """Whether the id is there; the terms are compared where there are some."""
        if not order.remote_id:
            return Outcome(Kind.UNCLEAR, calls=0)
        return asked(lambda: self._find(order))

    def _find(self, order: Order) -> Outcome:
        try:
            detail = self.client.detail(order.remote_id)
        except Refused as error:
            if error.status == 404:
                return Outcome(Kind.ABSENT)
            raise
        return Outcome(Kind.DONE, detail.coupon_id)

    def differences(
        self, sent: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Differences:
        """Field by field, those inside of another by their dotted names."""
        ours, theirs = flat(sent), flat(told)
        found = [
            (field, shown(ours.get(field)), shown(theirs.get(field)))
            for field in compared(ours)
            if shown(ours.get(field)) != shown(theirs.get(field))
        ]
        for field in PICTURES:
            if bool(ours.get(field)) != bool(theirs.get(field)):
                found.append((field, shown(ours.get(field)), shown(theirs.get(field))))
        return found


TEXTS = ("title", "description", "couponCode", "usageCondition")
OTHERS = (
    "startTimestamp",
    "endTimestamp",
    "timezone",
    "visibility",
    "maxUseCountPerTicket",
    "acquisitionCondition.type",
    "reward.type",
)
LOTTERY = (
    "acquisitionCondition.lotteryProbability",
    "acquisitionCondition.maxAcquireCount",
)


def compared(ours: Mapping[str, Any]) -> list[str]:
    """What both sides tell: never the currency, which LINE adds."""
    prices = [field for field in ours if field.startswith("reward.priceInfo.")]
    lottery = [field for field in LOTTERY if field in ours]
    return [*TEXTS, *OTHERS, *lottery, *prices]


def flat(fields: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`{"reward": {"type": "free"}}` is `{"reward.type": "free"}`."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


def body_of(terms: Mapping[str, Any]) -> bytes:
    """The request, the same bytes for the same terms."""
    return json.dumps(terms, ensure_ascii=False, sort_keys=True).encode()
