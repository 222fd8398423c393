"""Whether LINE's own coupon can be sent as a message: it is there and can be used."""

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from connections.models import Connection
from coupons.moments import local
from deliveries import services as deliveries
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from deliveries.native import NativeCoupon
from sync.models import Publication, RemoteCoupon

Status = RemoteCoupon.Status

# LINE's own words for a coupon's state; what is not known yet is taken to be running.
DRAFT, CLOSED = "DRAFT", "CLOSED"
NAMED = ("connection_id", "native_coupon_id")  # of a delivery's coupon


def native_of(publication: Publication) -> NativeCoupon | None:
    """What a delivery has to know of its coupon on LINE; None while there is none."""
    row = _coupon_of(publication)
    if row is None:
        return None
    return NativeCoupon(
        coupon_id=row.remote_id,
        title=row.title or _sent(publication, row, "title", ""),
        starts_at=row.starts_at or _instant(publication, row, "startTimestamp"),
        ends_at=row.ends_at or _instant(publication, row, "endTimestamp"),
    )


def _coupon_of(publication: Publication) -> RemoteCoupon | None:
    made = publication.coupons.exclude(remote_id="")
    return made.order_by("-pk").first()


def _sent(publication: Publication, row: RemoteCoupon, field: str, none: Any) -> Any:
    """What LINE was given for a field when the coupon was made."""
    return row.own.get(field, publication.terms.get(field, none))


def _instant(
    publication: Publication, row: RemoteCoupon, field: str
) -> datetime | None:
    seconds = _sent(publication, row, field, None)
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def sendable(publication: Publication, *, at: datetime) -> str:
    """Why its coupon can't be sent as a message, in words; empty when it can.

    One that begins later can be: the delivery waits for that.
    """
    if publication.connection.provider != Connection.Provider.LINE:
        return _("Only a coupon on LINE can be sent as a message.")
    row = _coupon_of(publication)
    if row is None:
        return _("The coupon is not on LINE yet. Wait until it is published.")
    if publication.state != Publication.State.OPEN:
        return _("The coupon is being taken back, or was. Publish the campaign again.")
    return _wrong_there(row) or _over(publication, at)


def _wrong_there(row: RemoteCoupon) -> str:
    if row.errand == RemoteCoupon.Errand.DELETE or row.status == Status.GONE:
        return _("The coupon is being taken back, or was. Publish the campaign again.")
    if row.status != Status.LIVE:
        return _("It is not certain that the coupon is on LINE. Look at it first.")
    if row.missing_since is not None or row.told == CLOSED:
        return _("The coupon is closed on LINE. It can be made again under Providers.")
    if row.told == DRAFT:
        return _("The coupon is a draft on LINE. Publish it in LINE's manager first.")
    return ""


def _over(publication: Publication, at: datetime) -> str:
    coupon = native_of(publication)
    if coupon is None or coupon.ends_at is None or at < coupon.ends_at:
        return ""
    when = local(publication.campaign, coupon.ends_at, is_end=True)
    return _("The coupon on LINE ended on %(when)s.") % {"when": when}


def checked(publication: Publication, *, at: datetime) -> NativeCoupon:
    """Its coupon, when it can be sent. Raises DeliveryError not_sendable."""
    why_not = sendable(publication, at=at)
    coupon = native_of(publication)
    if why_not or coupon is None:
        raise DeliveryError("not_sendable", why_not)
    return coupon


def stop_native() -> int:
    """Cancel deliveries of coupons that are not to be had any more; how many.

    The backstop of every sweep: it finds what was closed in LINE's own manager too.
    """
    waiting = Delivery.objects.filter(
        kind=Delivery.Kind.NATIVE, state__in=Delivery.OPEN
    )
    ids = {(of, name) for of, name in waiting.values_list(*NAMED)}
    if not ids:
        return 0
    rows = RemoteCoupon.objects.filter(remote_id__in={name for _of, name in ids})
    stopped = 0
    for row in rows:
        why_not = _wrong_there(row)
        if why_not and (row.connection_id, row.remote_id) in ids:
            stopped += deliveries.cancel_native(
                row.remote_id, reason=why_not, connection_id=row.connection_id
            )
    return stopped
