"""What saving a campaign does to the files of its pictures."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

from campaigns.admin import CampaignAdmin
from campaigns.images import ADVISED_SIDE
from campaigns.models import Campaign
from reports.pictures import drop_unless_shown


class TidiesPictures(CampaignAdmin):
    """Deletes pictures that were replaced or removed, and warns of small ones."""

    def save_model(
        self, request: HttpRequest, obj: Campaign, form: Any, change: bool
    ) -> None:
        # What the form began with was read with the row locked.
        before = form.initial.get("image") if change else None
        super().save_model(request, obj, form, change)
        if "image" not in form.changed_data:
            return
        if before:
            drop_unless_shown(before.name)
        if obj.image and obj.image.width < ADVISED_SIDE:
            messages.warning(
                request,
                _(
                    "The picture has only %(side)s pixels a side and may look blurred. "
                    "640 or more are advised."
                )
                % {"side": obj.image.width},
            )

    def delete_model(self, request: HttpRequest, obj: Campaign) -> None:
        name = obj.image.name or ""
        super().delete_model(request, obj)
        drop_unless_shown(name)
