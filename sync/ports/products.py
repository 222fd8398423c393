"""Paddle: by which product to ask for a code, where the first may be deleted by now.

Paddle wants a product for codes of products. One that was deleted there gives 108 and
says nothing of the code; "not found" for one product leaves the others open. So all are
asked in turn, and at last without a product, until one settles it. Source: Paddle
Classic API, "Delete coupon", "List coupons"; that asking without one finds a code of
products is unconfirmed, and so its no alone proves nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers.errors import Refused, TooMany, Unauthorised, Unreachable
from providers.paddle import NO_PRODUCT, PaddleClient, PaddlePage


def products_of(terms: Mapping[str, Any]) -> list[int]:
    """The products of a code, in its own order; none for the whole checkout."""
    parts = str(terms.get("product_ids") or "").split(",")
    ids = [part.strip() for part in parts]
    found = [int(part) for part in ids if part.isascii() and part.isdigit()]
    return list(dict.fromkeys(found))


@dataclass
class Asking:
    """One question about one code, by each of its products until one settles it.

    `gone` are products that Paddle was found not to have: they are passed over, here and
    by others that share the set. `may_go_on` is asked before each call after the first.
    """

    products: list[int]
    gone: set[int] = field(default_factory=set)
    may_go_on: Callable[[], bool] = lambda: True
    is_thorough: bool = False
    calls: int = 0
    is_heard: bool = False  # somebody who must know has said that it isn't there
    refusal: Refused | None = None  # the last of those that said nothing of it
    other: str = ""  # how what has this code there differs from what we want

    def each(self) -> Iterator[int | None]:
        """Whom to ask next; None stands for asking without a product.

        Raises Unreachable when there is no time left for another call.
        """
        for product_id in self.products:
            if product_id not in self.gone:
                yield self._next(product_id)
        have_all_said_no = self.is_heard and not self.gone.intersection(self.products)
        if self.is_thorough or not have_all_said_no:
            yield self._next(None)

    def _next(self, product_id: int | None) -> int | None:
        self.count()
        return product_id

    def count(self) -> None:
        """One call more. Raises Unreachable when there is no time left for it."""
        if self.calls and not self.may_go_on():
            raise Unreachable("There was no time to ask for its other products.")
        self.calls += 1

    def is_its_first(self, product_id: int | None) -> bool:
        return product_id == (self.products[0] if self.products else None)

    def heard_no(self, product_id: int | None) -> None:
        """A clear "not here". Without a product it tells of whole checkouts alone."""
        if product_id is not None or not self.products:
            self.is_heard = True

    def passes_over(self, error: Refused, product_id: int | None) -> bool:
        """Whether the no is about how we asked, and says nothing of the code."""
        if isinstance(error, TooMany | Unauthorised) or error.status == 403:
            return False
        if product_id is not None:
            if error.code != NO_PRODUCT:
                return False
            self.gone.add(product_id)
        self.refusal = error
        return True


def look_for(client: PaddleClient, code: str, asking: Asking) -> PaddlePage | None:
    """The list's page that has the code, or what was odd; empty where nobody has it.

    None where nobody could be asked: `asking.refusal` says why. Raises ProviderError.
    """
    oddities: tuple[str, ...] = ()
    for product_id in asking.each():
        try:
            page = client.page(product_id=product_id, code=code)
        except Refused as error:
            if not asking.passes_over(error, product_id):
                raise
            continue
        if any(coupon.code == code for coupon in page.coupons):
            return page
        oddities += page.oddities
        asking.heard_no(product_id)
    if oddities or asking.is_heard:
        return PaddlePage((), None, oddities=oddities)
    return None
