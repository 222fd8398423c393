"""The campaign form with the rules that only serials can answer."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from campaigns.forms import CampaignForm
from serials.models import Batch

NEEDS = {"code39": "fits_code39", "code128": "fits_code128"}


class CampaignOverviewForm(CampaignForm):
    def clean_barcode(self) -> Any:
        """Refuse a barcode that some serial of the campaign can't be drawn in."""
        kind = self.cleaned_data["barcode"]
        if self.instance.pk and kind in NEEDS:
            unfit = Batch.objects.filter(
                campaign=self.instance, state=Batch.State.READY, **{NEEDS[kind]: False}
            ).first()
            if unfit is not None:
                raise ValidationError(
                    _(
                        "Some serials of “%(batch)s” can't be drawn so. Choose QR code, "
                        "which draws everything."
                    ),
                    params={"batch": unfit.name},
                )
        return kind
