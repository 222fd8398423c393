"""What people ask of a campaign: start, pause, end, duplicate and archive it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.errors import CampaignError
from campaigns.models import Campaign, CampaignEvent, CampaignText, TotalLimit
from stores.models import Store, hashed

Clock = Callable[[], datetime]
Kind = CampaignEvent.Kind

MOVES = {
    "activate": (("draft",), "active", Kind.ACTIVATED),
    "pause": (("active",), "paused", Kind.PAUSED),
    "resume": (("paused",), "active", Kind.RESUMED),
    "end": (("active", "paused"), "ended", Kind.ENDED),
}


@transaction.atomic
def move(
    campaign_id: int,
    action: str,
    *,
    by: User | None = None,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> None:
    """Change a campaign's state; the one writer of `state`.

    `action` is activate, pause, resume or end. Raises CampaignError `wrong_state`.
    """
    was, to, kind = MOVES[action]
    rows = Campaign.objects.filter(pk=campaign_id, archived_at=None)
    if not rows.filter(state__in=was).update(state=to):
        raise CampaignError(
            "wrong_state",
            _("This campaign is no longer in a state that allows this. Look again."),
        )
    record(campaign_id, kind, at=clock(), by=by, request_id=request_id)


def record(
    campaign_id: int,
    kind: CampaignEvent.Kind,
    *,
    at: datetime,
    by: User | None = None,
    request_id: str = "",
    details: dict[str, Any] | None = None,
) -> CampaignEvent:
    """Note what was done to a campaign, in the transaction that does it."""
    return CampaignEvent.objects.create(
        campaign_id=campaign_id,
        kind=kind,
        at=at,
        actor=by,
        request_id=request_id,
        details=details or {},
    )


# --- the archive ---------------------------------------------------------------------

ARCHIVABLE = (Campaign.State.DRAFT, Campaign.State.ENDED)


@transaction.atomic
def archive(
    campaign_id: int,
    *,
    by: User | None = None,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> bool:
    """Put a draft or an ended campaign out of sight; False when it was archived before.

    Nothing is deleted. Raises CampaignError `wrong_state`.
    """
    at = clock()
    rows = Campaign.objects.filter(pk=campaign_id, state__in=ARCHIVABLE)
    if rows.filter(archived_at=None).update(archived_at=at):
        record(campaign_id, Kind.ARCHIVED, at=at, by=by, request_id=request_id)
        return True
    if not rows.exists():
        raise CampaignError(
            "wrong_state",
            _(
                "Only drafts and campaigns that have ended can be archived. End this one "
                "first."
            ),
        )
    return False


@transaction.atomic
def unarchive(
    campaign_id: int,
    *,
    by: User | None = None,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> bool:
    """Bring a campaign back from the archive; False when it was not there."""
    rows = Campaign.objects.filter(pk=campaign_id, archived_at__isnull=False)
    if not rows.update(archived_at=None):
        return False
    record(campaign_id, Kind.UNARCHIVED, at=clock(), by=by, request_id=request_id)
    return True


# --- another one like it -------------------------------------------------------------

# What belongs to one campaign alone.
OWN = {
    "id",
    "name",
    "state",
    "archived_at",
    "password",
    "password_changed_at",
    "copy_nonce",
    "created_by",
    "created_at",
    "updated_at",
}


@transaction.atomic
def duplicate(
    campaign_id: int,
    *,
    nonce: UUID,
    by: User | None = None,
    request_id: str = "",
    clock: Clock = timezone.now,
) -> tuple[Campaign, bool]:
    """A new draft with all of a campaign's settings, and whether this call made it.

    Its texts, stores, group, template, picture, dates and limits; no serials, coupons,
    numbers or own password. The same nonce again gives the same copy.
    """
    # Locked, so that a second arrival waits for the first one's copy.
    source = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
    own_nonce = uuid5(nonce, f"copy {source.pk}")
    made = Campaign.objects.filter(copy_nonce=own_nonce).first()
    if made is not None:
        return made, False
    fields = [f for f in Campaign._meta.concrete_fields if f.name not in OWN]
    copy = Campaign(
        **{field.attname: getattr(source, field.attname) for field in fields},
        name=name_of_copy(source.name),
        copy_nonce=own_nonce,
        created_by=by,
    )
    copy.save()
    _copy_others(source, copy)
    at = clock()
    for of, kind, other in (
        (source, Kind.DUPLICATED, copy),
        (copy, Kind.COPIED, source),
    ):
        record(
            of.pk,
            kind,
            at=at,
            by=by,
            request_id=request_id,
            details={"campaign": other.pk},
        )
    return copy, True


def _copy_others(source: Campaign, copy: Campaign) -> None:
    """What stands in other tables."""
    copy.stores.set(source.stores.all())
    texts = list(source.texts.all())
    for text in texts:
        text.pk, text.campaign = None, copy
    CampaignText.objects.bulk_create(texts)
    limit = TotalLimit.objects.filter(campaign=source).first()
    if limit is not None:
        TotalLimit.objects.create(campaign=copy, quota=limit.quota)


def name_of_copy(name: str) -> str:
    """The name with “(copy)” behind it, within what a name may have."""
    most: int = Campaign._meta.get_field("name").max_length or 60
    ending = " " + _("(copy)")
    return name[: most - len(ending)].rstrip() + ending


def set_own_password(campaign: Campaign, raw: str) -> None:
    """Let this password count at every store of the campaign; "" for the stores' own."""
    campaign.password = hashed(raw) if raw else ""
    campaign.password_changed_at = timezone.now()
    campaign.save(update_fields=["password", "password_changed_at"])


def stores_on_page(campaign: Campaign) -> QuerySet[Store]:
    """The open stores whose staff can verify on the customer's page."""
    stores = Store.objects.filter(is_active=True)
    if campaign.stores.exists():
        stores = stores.filter(campaigns=campaign)
    if campaign.verified_on_page == "password" and not campaign.password:
        stores = stores.exclude(password="")
    return stores if campaign.verified_on_page else stores.none()
