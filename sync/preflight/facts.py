"""What the pre-flight has to know besides the campaign's own fields."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Sum

from campaigns.models import Campaign, TotalLimit
from campaigns.services import stores_on_page
from connections.models import Connection
from coupons.models import Tally
from serials.codes import fits
from serials.models import Batch, Serial
from serials.services import ready_batches
from stores.models import Store
from sync.pictures import barcode_url

LOOKED_AT = 500  # serials of a batch, half from its start and half from its end
MOST_BATCHES = 5  # whose serials are looked at
FITS = {"code39": "fits_code39", "code128": "fits_code128"}
PER_SERIAL = frozenset([Connection.Provider.PADDLE, Connection.Provider.VIVOLDI])
TEXTS = ("name", "instructions", "usage_condition", "button_label")


@dataclass(frozen=True)
class Stock:
    """A ready batch: how many it can still give, and what its codes look like."""

    name: str
    is_fixed: bool
    free: int | None  # None: as many as are asked for
    codes: tuple[str, ...] = ()
    is_all: bool = True  # `codes` are all there are, not some of a million
    fits_barcode: bool = True


@dataclass(frozen=True)
class Facts:
    """What is true at `at`; plain values, so that a test can make them up."""

    at: datetime
    stock: tuple[Stock, ...] = ()
    is_stock_coming: bool = False  # an import or a generation is under way
    limit: int | None = None  # in total
    limit_used: int = 0
    open_stores: int = 0  # that take the campaign
    stores_on_page: int = 0  # of them, whose staff can verify on the customer's page
    # Language -> the texts that are filled in.
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    image_url: str = ""
    is_image_lost: bool = False
    # Where a picture of the first fixed code's barcode can be fetched; empty: none.
    barcode_url: str = ""
    # Whether pictures may be fetched over http: the sandbox's own way, never LINE's.
    is_http_ok: bool = False
    connected: frozenset[str] = frozenset()  # providers we have an account at

    def may_fetch(self, url: str) -> bool:
        """Whether LINE, or the sandbox in its place, takes the address of a picture."""
        return url.startswith(
            ("https://", "http://") if self.is_http_ok else "https://"
        )

    @property
    def free(self) -> int | None:
        """Serials that can still be given out; None: no end."""
        frees = [stock.free for stock in self.stock]
        if any(free is None for free in frees):
            return None
        return sum(free for free in frees if free is not None)

    @property
    def limit_left(self) -> int | None:
        return None if self.limit is None else max(self.limit - self.limit_used, 0)

    @property
    def fixed(self) -> list[Stock]:
        return [stock for stock in self.stock if stock.is_fixed]

    @property
    def one_time(self) -> list[Stock]:
        return [stock for stock in self.stock if not stock.is_fixed]


def facts_of(
    campaign: Campaign, *, at: datetime, has_codes: bool | None = True
) -> Facts:
    """Read the facts; `has_codes` looks at serials too, some of each batch.

    Of the providers that we have an account at, two take each serial as a coupon of its
    own: with None serials are looked at for those alone.
    """
    limit = TotalLimit.objects.filter(campaign=campaign).first()
    batches = ready_batches(campaign.pk)
    connected = frozenset(Connection.objects.values_list("provider", flat=True))
    if has_codes is None:
        has_codes = bool(connected & PER_SERIAL)
    coming = Batch.objects.filter(
        campaign=campaign, state__in=[Batch.State.CHECKING, Batch.State.IMPORTING]
    )
    size, is_lost = _image_size(campaign)
    return Facts(
        at=at,
        stock=tuple(_stocks(campaign, batches, has_codes=has_codes)),
        is_stock_coming=coming.exists(),
        limit=limit.quota if limit else None,
        limit_used=limit.used if limit else 0,
        open_stores=_open_stores(campaign),
        stores_on_page=stores_on_page(campaign).count(),
        texts=_texts(campaign),
        image_size=size,
        image_url=_address(campaign.image.url) if campaign.image else "",
        is_image_lost=is_lost,
        barcode_url=_barcode_url(campaign, batches),
        is_http_ok=settings.ALLOW_LOCAL_PROVIDERS,
        connected=connected,
    )


def _stocks(
    campaign: Campaign, batches: Sequence[Batch], *, has_codes: bool
) -> Iterable[Stock]:
    looked_at = 0
    taken = _taken([batch.pk for batch in batches])
    for batch in batches:
        if batch.is_fixed:
            yield _fixed(campaign, batch)
            continue
        codes: tuple[str, ...] = ()
        if has_codes and looked_at < MOST_BATCHES:
            codes = _codes(batch)
            looked_at += 1
        flag = FITS.get(campaign.barcode)
        yield Stock(
            batch.name,
            is_fixed=False,
            free=max(batch.total - batch.voided - taken.get(batch.pk, 0), 0),
            codes=codes,
            is_all=bool(codes) and len(codes) < LOOKED_AT,
            fits_barcode=flag is None or getattr(batch, flag),
        )


def _fixed(campaign: Campaign, batch: Batch) -> Stock:
    units = getattr(batch, "stock", None)
    return Stock(
        batch.name,
        is_fixed=True,
        free=units.quantity - units.taken if units else None,
        codes=(batch.code,),
        fits_barcode=campaign.barcode == "none" or fits(campaign.barcode, batch.code),
    )


def _taken(batch_ids: Sequence[int]) -> dict[int, int]:
    """From the batches' tallies: never a count of their serials."""
    tallies = Tally.objects.filter(batch__in=batch_ids).values_list("batch")
    return dict(tallies.annotate(Sum("redeemed")))


def _codes(batch: Batch) -> tuple[str, ...]:
    """Free serials, walked from both ends of their index."""
    free = Serial.objects.filter(batch=batch, state=Serial.State.FREE)
    codes = free.values_list("code", flat=True)
    first = list(codes.order_by("pos")[: LOOKED_AT // 2])
    last = list(codes.order_by("-pos")[: LOOKED_AT // 2])
    return tuple(dict.fromkeys([*first, *reversed(last)]))


def _open_stores(campaign: Campaign) -> int:
    stores = Store.objects.filter(is_active=True)
    named = campaign.stores.all()
    if named.exists():
        stores = stores.filter(campaigns=campaign)
    return stores.count()


def _texts(campaign: Campaign) -> dict[str, frozenset[str]]:
    found = {campaign.language: _filled(campaign)}
    for text in campaign.texts.all():
        found[text.language] = _filled(text)
    return found


def _filled(row: object) -> frozenset[str]:
    return frozenset(name for name in TEXTS if getattr(row, name))


def _image_size(campaign: Campaign) -> tuple[tuple[int, int] | None, bool]:
    """Its size in pixels, and whether the file can't be read."""
    if not campaign.image:
        return None, False
    try:
        return (campaign.image.width, campaign.image.height), False
    except (OSError, ValueError):
        return None, True
    finally:
        campaign.image.close()


def _barcode_url(campaign: Campaign, batches: Sequence[Batch]) -> str:
    fixed = [batch for batch in batches if batch.is_fixed]
    return barcode_url(campaign, fixed[0]) if fixed else ""


def _address(url: str) -> str:
    return url if "://" in url else f"{settings.SITE_URL}{url}"
