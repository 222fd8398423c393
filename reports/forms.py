"""The campaign form with the rules that only serials can answer."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from campaigns.forms import CampaignForm
from campaigns.models import Campaign
from serials.models import Batch

NEEDS = {"code39": "fits_code39", "code128": "fits_code128"}


class CampaignOverviewForm(CampaignForm):
    def clean_is_case_sensitive(self) -> bool:
        """Refuse another way of comparing serials once there are some.

        The campaign is locked, as it is by whoever adds a batch: neither slips in
        between this look and the save.
        """
        chosen = bool(self.cleaned_data["is_case_sensitive"])
        if self.instance.pk:
            locked = Campaign.objects.select_for_update().get(pk=self.instance.pk)
            has_batches = Batch.objects.filter(campaign=locked).exists()
            if chosen != locked.is_case_sensitive and has_batches:
                raise ValidationError(
                    _(
                        "This can't change any more: the serials that are here were "
                        "compared the other way. Make a new campaign instead."
                    )
                )
        return chosen

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
