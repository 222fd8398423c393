"""The campaign form with the rules that only serials can answer."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from campaigns.forms import CampaignForm
from campaigns.models import Campaign
from serials.models import Batch

NEEDS = {"code39": "fits_code39", "code128": "fits_code128"}


class CampaignOverviewForm(CampaignForm):
    def _locked(self) -> Campaign:
        """The campaign, locked until the save, as it is by whoever adds a batch.

        So nothing slips in between a look at its batches and the save.
        """
        return Campaign.objects.select_for_update().get(pk=self.instance.pk)

    def clean_is_case_sensitive(self) -> bool:
        """Refuse another way of comparing serials once there are some."""
        chosen = bool(self.cleaned_data["is_case_sensitive"])
        if self.instance.pk:
            locked = self._locked()
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
            # Of an import under way too: its next block goes by the new barcode.
            unfit = Batch.objects.filter(
                campaign=self._locked(),
                state__in=[Batch.State.READY, Batch.State.IMPORTING],
                **{NEEDS[kind]: False},
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
