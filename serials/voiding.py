"""Making a batch's free serials void: nobody gets one of them any more.

The batch gives nothing from the moment it is asked for; its rows follow block by block.
A redeem that took a serial before its row's turn keeps it.
"""

import time

from django.conf import settings
from django.db.models import F, Max

from serials import storing
from serials.models import Batch, Serial
from serials.steps import Clock, step

State = Batch.State


def void(batch: Batch, until: float, clock: Clock) -> bool:
    """Make serials void until the time is over; True when none is free any more."""
    last = _last(batch)
    while batch.done_to < last:
        done_to = min(batch.done_to + settings.IMPORT_BLOCK, last)
        with step(batch, clock, done_to=done_to):
            voided = storing.void_serials(batch.pk, batch.done_to + 1, done_to)
            Batch.objects.filter(pk=batch.pk).update(voided=F("voided") + voided)
        batch.done_to = done_to
        if time.monotonic() >= until and done_to < last:
            return False
    with step(batch, clock):
        Batch.objects.filter(pk=batch.pk).update(
            state=State.VOID, done_to=0, leased_until=None
        )
    return True


def _last(batch: Batch) -> int:
    """The place of the batch's last free serial; 0 when none is free."""
    free = Serial.objects.filter(batch=batch, state=Serial.State.FREE)
    return int(free.aggregate(last=Max("pos"))["last"] or 0)
