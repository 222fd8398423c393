"""A campaign form that waits for an answer: kept as it was sent, picture and all."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile
from django.http import QueryDict

from campaigns.models import Campaign, UnsavedChange

KEPT_FOR = timedelta(days=1)
# Ours, not the form's.
OWN = ("csrfmiddlewaretoken", "_unsaved", "_answer", "_seen", "_kept")


def keep(
    campaign: Campaign,
    sent: QueryDict,
    image: "UploadedFile[Any] | None",
    *,
    owner: User,
    at: datetime,
) -> UnsavedChange:
    """Keep what was sent; what waits for longer than a day goes."""
    UnsavedChange.objects.filter(at__lt=at - KEPT_FOR).delete()
    fields = sent.copy()
    for name in OWN:
        fields.pop(name, None)
    content = None
    if image is not None:
        image.seek(0)
        content = image.read()
    return UnsavedChange.objects.create(
        campaign=campaign,
        owner=owner,
        at=at,
        seen_at=campaign.updated_at,
        fields=fields.urlencode(),
        image_name=(image.name or "")[-200:] if image is not None else "",
        image=content,
    )


def kept_by(owner: User, campaign: Campaign, key: str) -> UnsavedChange | None:
    """What this person left here; None when it was answered, or never was."""
    if not key.isascii() or not key.isdecimal() or len(key) > 18:
        return None
    rows = UnsavedChange.objects.filter(owner=owner, campaign=campaign)
    return rows.filter(pk=int(key)).first()


def sent_again(unsaved: UnsavedChange) -> QueryDict:
    return QueryDict(unsaved.fields)


def image_of(unsaved: UnsavedChange) -> SimpleUploadedFile | None:
    if unsaved.image is None:
        return None
    return SimpleUploadedFile(unsaved.image_name, bytes(unsaved.image))
