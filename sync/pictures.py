"""Where a provider fetches the picture of a fixed code's barcode.

The address is signed: who was not given it cannot make it up, and it names the batch in
place of the code, which logs are not to hold. LINE keeps a copy at once; the address
says all that is drawn, so what it gives never changes.
"""

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from campaigns.barcode_pictures import line_picture
from campaigns.models import Campaign
from serials.codes import fits
from serials.models import Batch

LONGEST = 100  # letters of a name


def _signer() -> Signer:
    return Signer(salt="sync.pictures", sep=".")


def barcode_url(campaign: Campaign, batch: Batch) -> str:
    """The public address of its barcode as a PNG; empty when there is none to draw."""
    if campaign.barcode == Campaign.Barcode.NONE or not batch.is_fixed:
        return ""
    if not fits(campaign.barcode, batch.code):
        return ""
    name = _signer().sign(f"{batch.pk}-{campaign.barcode}")
    path = reverse("barcode_picture", args=[f"{name}.png"])
    return f"{settings.SITE_URL}{path}"


def barcode_of(name: str) -> bytes | None:
    """The PNG that an address names; None when we never gave it out."""
    try:
        signed = _signer().unsign(name[:LONGEST].removesuffix(".png"))
    except BadSignature:
        return None
    batch_id, _dash, kind = signed.partition("-")
    batch = Batch.objects.filter(pk=batch_id, kind=Batch.Kind.FIXED).first()
    return line_picture(kind, batch.code) if batch else None
