"""What a coupon's page needs to know, read in two statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import JSONObject

from campaigns.models import Campaign, CampaignText
from coupons.models import ContactUse, Coupon, Verification
from serials.models import Batch, Serial
from stores.models import Store

TEXTS = ("name", "instructions", "usage_condition", "button_label")
MOST_STORES = 100  # on one page
STILL_OF_USE = (*Coupon.BEFORE_REDEEM, Coupon.Status.REDEEMED)


@dataclass(frozen=True)
class Facts:
    """What the page needs to know beside the coupon and its campaign."""

    texts: Mapping[str, str] = field(default_factory=dict)  # in the page's language
    has_stock: bool = True
    is_contact_full: bool = False
    is_total_full: bool = False
    store_name: str = ""  # which took it
    stores: Sequence[Store] = ()


def find_shown(token: str, *, language: str) -> tuple[Coupon, Facts] | None:
    """The coupon of a link and what its page needs, in two statements; or None.

    Every extra is a subquery for one value. PostgreSQL may answer an EXISTS here for
    all campaigns at once, by reading all serials (see `free_serial`).
    """
    coupon = (
        Coupon.objects.filter(token=token)
        .select_related(
            "campaign__group",
            "campaign__template",
            "campaign__total_limit",
            "batch",
            "serial",
        )
        .annotate(
            page_texts=texts_in(language),
            page_giving=giving_batch(),
            page_used=Subquery(
                ContactUse.objects.filter(
                    campaign=OuterRef("campaign"), contact=OuterRef("contact")
                ).values("used")
            ),
            page_store=Subquery(
                Verification.objects.filter(
                    coupon=OuterRef("pk"), undone_at=None
                ).values("store__name")
            ),
        )
        .first()
    )
    if coupon is None:
        return None
    campaign = coupon.campaign
    total = getattr(campaign, "total_limit", None)
    return coupon, Facts(
        texts=coupon.page_texts or {},
        has_stock=coupon.page_giving is not None,
        is_contact_full=0 < campaign.limit_per_contact <= (coupon.page_used or 0),
        is_total_full=total is not None and total.used >= total.quota,
        store_name=coupon.page_store or "",
        stores=stores_of(campaign) if coupon.status in STILL_OF_USE else (),
    )


def texts_in(language: str) -> Subquery:
    texts = CampaignText.objects.filter(
        campaign=OuterRef("campaign"), language=language
    )
    return Subquery(texts.values(as_one=JSONObject(**{name: name for name in TEXTS})))


def giving_batch() -> Subquery:
    """A whole batch of the campaign that has something left, or null."""
    ready = Batch.objects.filter(campaign=OuterRef("campaign"), state=Batch.State.READY)
    counted = Q(stock=None) | Q(stock__taken__lt=F("stock__quantity"))
    gives = Q(kind=Batch.Kind.FIXED) & counted | Q(free__isnull=False)
    return Subquery(
        ready.annotate(free=free_serial()).filter(gives).order_by().values("pk")[:1]
    )


def free_serial() -> Subquery:
    """The serial that a claim would take: in its order, so by its index."""
    free = Serial.objects.filter(batch=OuterRef("pk"), state=Serial.State.FREE)
    return Subquery(free.order_by("pos").values("pk")[:1])


def stores_of(campaign: Campaign) -> list[Store]:
    """The open stores that take the campaign; none named means all. One over MOST."""
    named = Campaign.stores.through.objects.filter(campaign=campaign)
    stores = Store.objects.filter(
        Q(pk__in=named.values("store")) | ~Exists(named), is_active=True
    )
    return list(stores.only("name", "address")[: MOST_STORES + 1])
