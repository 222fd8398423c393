"""Which coupon was scanned: by its link, its number or its serial."""

import re

from django.conf import settings
from django.db.models import Q, QuerySet

from coupons.errors import CouponError
from coupons.models import NUMBER_ALPHABET, NUMBER_LENGTH, Coupon
from coupons.specimens import names_specimen
from serials.codes import ZERO_WIDTH, code_key
from stores.models import Store

LINK = re.compile(r"/c/([A-Za-z0-9_-]{20,32})(?:[/?#]|$)")
NUMBER = re.compile(rf"[{NUMBER_ALPHABET}]{{{NUMBER_LENGTH}}}")


def find_scanned(text: str, *, store: Store) -> Coupon:
    """The one coupon that `text` names, among the campaigns this store takes.

    Tried as a coupon's link, then its number, then a serial. Raises CouponError:
    invalid, ambiguous (a fixed serial that several coupons carry), specimen (what stands
    on one, unless a coupon of ours is called so too).
    """
    text = text.strip()
    if not text.translate(ZERO_WIDTH).isprintable():
        raise CouponError("invalid")
    link = LINK.search(text)
    if link and text.startswith((settings.SITE_URL, "/c/")):
        return _only(Coupon.objects.filter(token=link[1]))
    number = re.sub(r"[\s-]", "", text).upper()
    if NUMBER.fullmatch(number):
        coupon = Coupon.objects.filter(number=number).first()
        if coupon is not None:
            return coupon
    return _by_serial(text, store=store)


def _by_serial(text: str, *, store: Store) -> Coupon:
    exact, folded = code_key(text, is_case_sensitive=True), code_key(text)
    if not exact:
        raise CouponError("invalid")
    sensitive = Q(campaign__is_case_sensitive=True)
    one_time = (
        Q(serial__code_key=exact) & sensitive | Q(serial__code_key=folded) & ~sensitive
    )
    fixed = (
        Q(serial=None, batch__code_key=exact) & sensitive
        | Q(serial=None, batch__code_key=folded) & ~sensitive
    )
    taken_here = Q(campaign__stores=None) | Q(campaign__stores=store)
    live = Coupon.objects.exclude(status=Coupon.Status.REVOKED)
    revoked = Coupon.objects.filter(status=Coupon.Status.REVOKED)
    # Elsewhere comes after here: the answer is then "not taken at this store". A fixed
    # text says nothing of a revoked coupon: others carry it too.
    passes = [
        (live.filter(taken_here), (one_time, fixed)),
        (live, (one_time, fixed)),
        (revoked.filter(taken_here), (one_time,)),
        (revoked, (one_time,)),
    ]
    for coupons, ways in passes:
        hits = [coupon for way in ways for coupon in coupons.filter(way)[:2]]
        if len(hits) > 1:
            raise CouponError("ambiguous")
        if hits:
            return hits[0]
    raise CouponError("specimen" if names_specimen(text) else "invalid")


def _only(coupons: QuerySet[Coupon]) -> Coupon:
    coupon = coupons.first()
    if coupon is None:
        raise CouponError("invalid")
    return coupon
