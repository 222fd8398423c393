"""Paddle Classic: the code is the identity, so a second try can be told from a first.

Source: Paddle Classic API, "Create coupon", "Update coupon", "List coupons" and "API
error codes"; providers/paddle.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from providers.errors import ProviderError, Refused, Unreadable
from providers.paddle import (
    DUPLICATE,
    NOT_FOUND,
    PaddleClient,
    PaddleCoupon,
    PaddlePage,
)
from providers.reading import decimal_of
from sync.ports.port import (
    Differences,
    Kind,
    Order,
    Outcome,
    Pace,
    asked,
    difference_words,
    outcome_of,
    shown,
)
from sync.ports.products import Asking, look_for, products_of

# What update_coupon takes; the type, the way of discounting and the description stay.
CHANGEABLE = (
    "product_ids",
    "expires",
    "allowed_uses",
    "currency",
    "minimum_threshold",
    "discount_amount",
    "recurring",
)
FIXED = ("coupon_type", "discount_type")


@dataclass(frozen=True)
class PaddlePort:
    """One vendor account. `rate` is calls a second, of all kinds together.

    `gone` are products that Paddle said it doesn't have, so that a thousand codes of
    one that was deleted don't all ask for it.
    """

    client: PaddleClient
    rate: float
    gone: set[int] = field(default_factory=set, compare=False)

    def pace(self, errand: str) -> Pace:
        return Pace("paddle", self.rate)

    def calls(self, errand: str, *, is_doubtful: bool) -> int:
        """Where the first product answers; calls for others are paid for afterwards."""
        return 2 if errand == "create" and is_doubtful else 1

    def create(self, order: Order) -> Outcome:
        """132 says that the code is taken: ours from an earlier try, or another's."""
        if not order.is_doubtful:
            return self._create(order)
        found = self.find(order)
        if found.kind not in (Kind.ABSENT, Kind.UNDECIDABLE):
            return found
        again = self._create(order).after(found.calls)
        if again.kind == Kind.REFUSED and found.kind == Kind.UNDECIDABLE:
            return replace(found, calls=again.calls)  # the first may have been taken
        return again

    def _create(self, order: Order) -> Outcome:
        try:
            self.client.create({**order.terms, "coupon_code": order.remote_id})
        except Refused as error:
            if error.code == DUPLICATE:
                return self._taken(order, error)
            return outcome_of(error)
        except ProviderError as error:
            return outcome_of(error)
        return Outcome(Kind.DONE, order.remote_id)

    def _taken(self, order: Order, error: Refused) -> Outcome:
        """The code was there before this try: whether it is what we want."""
        found = self.find(order).after(1)
        if found.kind == Kind.ABSENT:
            words = _(
                "Paddle says that this code is in use, but doesn't list it: %(said)s"
            ) % {"said": error}
            return Outcome(Kind.REFUSED, detail=words, calls=found.calls)
        return found

    def update(self, order: Order) -> Outcome:
        fields = changed_fields(order.terms)
        return self._change(
            lambda: self.client.update(code=order.remote_id, fields=fields)
        )

    def update_group(self, group: str, terms: Mapping[str, Any]) -> Outcome:
        """Change all codes of a group at once; the terms hold for each of them."""
        fields = changed_fields(terms)
        return self._change(lambda: self.client.update(group=group, fields=fields))

    def _change(self, call: Callable[[], int]) -> Outcome:
        def change() -> Outcome:
            if call() == 0:
                words = _("Paddle found nothing to change: it isn't there any more.")
                return Outcome(Kind.REFUSED, detail=words)
            return Outcome(Kind.DONE)

        return asked(change)

    def delete(self, order: Order) -> Outcome:
        """A code that Paddle doesn't know is as good as deleted."""
        asking = self._asking(order, is_thorough=True)
        try:
            is_done = self._delete(order, asking)
        except ProviderError as error:
            return outcome_of(error).after(asking.calls - 1)
        if is_done:
            return Outcome(Kind.DONE, calls=asking.calls)
        return self._not_deleted(order, asking)

    def _delete(self, order: Order, asking: Asking) -> bool:
        for product_id in asking.each():
            try:
                if not self._may_delete(order, product_id, asking):
                    continue
                self.client.delete(order.remote_id, product_id=product_id)
            except Refused as error:
                if error.code == NOT_FOUND:
                    asking.heard_no(product_id)
                elif not asking.passes_over(error, product_id):
                    raise
            else:
                return True
        return False

    def _may_delete(self, order: Order, product_id: int | None, asking: Asking) -> bool:
        """Whether what another product than its first has by this code is ours.

        A code is unique for a product alone, so it may be somebody else's there: like
        everything that may be, it is compared before it goes.
        """
        if asking.is_its_first(product_id):
            return True
        page = self.client.page(product_id=product_id, code=order.remote_id)
        for coupon in page.coupons:
            if coupon.code == order.remote_id:
                found = self.differences(order.terms, coupon.raw)
                asking.other = difference_words(found)
                if not found:
                    asking.count()
                return not found
        if page.oddities:  # what could not be read may be the one
            raise Unreadable(page.oddities[0])
        asking.heard_no(product_id)
        return False

    def _not_deleted(self, order: Order, asking: Asking) -> Outcome:
        """Nobody has taken it: gone already, or there was nobody to ask.

        Of products that are all deleted it can't be used any more. A person looks once
        all the same; asked for again after that, it counts as gone.
        """
        if asking.other and not order.is_doubtful:
            words = _(
                "Another coupon has this code at Paddle: %(differences)s. Look for it in "
                "Paddle's dashboard, then press Try again: it stays there as it is."
            )
            said = words % {"differences": asking.other}
            return Outcome(Kind.REFUSED, detail=said, calls=asking.calls)
        if asking.is_heard or asking.other:
            return Outcome(Kind.DONE, calls=asking.calls)
        if order.is_doubtful:
            words = _("All its products were deleted at Paddle.")
            return Outcome(Kind.DONE, detail=words, calls=asking.calls)
        words = _(
            "All its products were deleted at Paddle, which finds no such code without "
            "them. Look for it in Paddle's dashboard, then press Try again."
        )
        return Outcome(
            Kind.REFUSED, detail=words, calls=asking.calls, error=asking.refusal
        )

    def _asking(self, order: Order, *, is_thorough: bool = False) -> Asking:
        products = products_of(order.terms)
        return Asking(products, self.gone, order.may_go_on, is_thorough)

    def withdraw(self, order: Order) -> Outcome:
        """Never somebody else's code: it is compared before it goes."""
        found = self.find(order)
        if found.kind == Kind.ABSENT:
            return Outcome(Kind.DONE)
        if found.kind != Kind.DONE:
            return found
        return self.delete(order).after(found.calls)

    def redeem(self, order: Order) -> Outcome:
        words = _("Paddle can't be told of uses: a payment is the use.")
        return Outcome(Kind.REFUSED, calls=0, detail=words)

    def find(self, order: Order) -> Outcome:
        """By the list's filter for one code: Paddle has no call for one coupon."""
        asking = self._asking(order)
        try:
            page = look_for(self.client, order.remote_id, asking)
        except ProviderError as error:
            return failed_look(error).after(asking.calls - 1)
        return self._found(order, page, asking).after(asking.calls - 1)

    def _found(self, order: Order, page: PaddlePage | None, asking: Asking) -> Outcome:
        if page is None:
            words = _(
                "Paddle has no list that could show this code: %(said)s. Look for it in "
                "Paddle's dashboard."
            )
            said = words % {"said": asking.refusal or "–"}
            return Outcome(Kind.UNDECIDABLE, detail=said)
        for coupon in page.coupons:
            if coupon.code == order.remote_id:
                return self._judge(order, coupon)
        if page.oddities:  # what could not be read may be the one
            return Outcome(Kind.UNCLEAR, detail=page.oddities[0])
        return Outcome(Kind.ABSENT)

    def _judge(self, order: Order, coupon: PaddleCoupon) -> Outcome:
        found = self.differences(order.terms, coupon.raw)
        if not found:
            return Outcome(Kind.DONE, order.remote_id)
        words = _("Another coupon has this code at Paddle: %(differences)s.")
        said = words % {"differences": difference_words(found)}
        return Outcome(Kind.REFUSED, detail=said)

    def differences(
        self, sent: Mapping[str, Any], told: Mapping[str, Any]
    ) -> Differences:
        """What its list tells; never the currency, which it tells wrongly."""
        pairs = [
            ("discount_type", sent.get("discount_type"), told.get("discount_type")),
            ("discount_amount", *_amounts(sent, told)),
            ("allowed_uses", sent.get("allowed_uses"), told.get("allowed_uses")),
            ("recurring", *_flags(sent, told)),
            ("expires", sent.get("expires"), _day(told.get("expires"))),
        ]
        return [
            (field, shown(ours), shown(theirs))
            for field, ours, theirs in pairs
            if not _is_same(ours, theirs)
        ]


def _amounts(sent: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[Any, Any]:
    """Per cent come back as a fraction: 0.25 for the 25 that was sent."""
    theirs = decimal_of(told.get("discount_amount"))
    if theirs is not None and told.get("discount_type") == "percentage":
        theirs *= 100
    return sent.get("discount_amount"), theirs


def _flags(sent: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[Any, Any]:
    theirs = told.get("is_recurring")
    return bool(sent.get("recurring")), theirs if theirs is None else bool(theirs)


def _day(value: object) -> object:
    """`2026-05-01 00:00:00` is that day."""
    return value.partition(" ")[0] if isinstance(value, str) else value


def _is_same(ours: object, theirs: object) -> bool:
    mine, its = _number(ours), _number(theirs)
    if mine is not None and its is not None:
        return mine == its
    return shown(ours) == shown(theirs)


def _number(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) else decimal_of(value)


def changed_fields(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The update's fields; what the terms lack is taken away there too."""
    found = {name: terms.get(name, "") for name in CHANGEABLE}
    return {**found, "recurring": terms.get("recurring", 0)}


def failed_look(error: ProviderError) -> Outcome:
    """A look that failed says nothing of what it looked for."""
    outcome = outcome_of(error)
    if outcome.kind == Kind.REFUSED:
        return Outcome(Kind.UNCLEAR, detail=outcome.detail, error=error)
    return outcome
