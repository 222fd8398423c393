"""Pictures of campaigns that nobody is shown any more."""

import logging

from django.core.files.storage import default_storage
from django.db import transaction

from campaigns.models import Campaign
from deliveries.models import Delivery

logger = logging.getLogger(__name__)


def drop_unless_shown(name: str) -> None:
    """Once what is going on is committed, delete the picture's file if nothing shows it.

    A copy of the campaign may share it. A message that was sent keeps showing it too:
    LINE fetches the picture from us whenever somebody reads the chat. Whoever takes on
    the picture of a campaign has that campaign's row locked, so none can slip between.
    """
    if name:
        transaction.on_commit(lambda: _drop(name), robust=True)


def _drop(name: str) -> None:
    if Campaign.objects.filter(image=name).exists():
        return
    if Delivery.objects.filter(template__contains=name).exists():
        return
    default_storage.delete(name)
    logger.info("picture.dropped")
