"""LINE's own coupon sent as a message, while it is there and can be used."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from contacts.models import Contact, ContactList
from deliveries import services as deliveries
from deliveries.models import Delivery
from sync.models import Publication
from sync.native import checked, native_of, sendable

__all__ = ["checked", "native_of", "sendable", "start_native"]

Clock = Callable[[], datetime]


@transaction.atomic
def start_native(
    publication_id: int,
    *,
    nonce: UUID,
    by: User,
    contact_list: ContactList | None = None,
    contact: Contact | None = None,
    tag: str = "",
    send_at: datetime | None = None,
    clock: Clock = timezone.now,
) -> Delivery:
    """Send its coupon on LINE to a list or to one contact; the same nonce is the same.

    Its row is held meanwhile, so that whoever takes the coupon back either finds this
    delivery and cancels it, or makes it too late. Raises DeliveryError: not_sendable,
    and what deliveries.services.start_native raises.
    """
    earlier = Delivery.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    Publication.objects.select_for_update().get(pk=publication_id)
    rows = Publication.objects.select_related("campaign", "connection")
    publication = rows.get(pk=publication_id)
    return deliveries.start_native(
        publication.campaign,
        publication.connection,
        checked(publication, at=clock()),
        nonce=nonce,
        by=by,
        contact_list=contact_list,
        contact=contact,
        tag=tag,
        send_at=send_at,
        clock=clock,
    )
