"""Making serials by a pattern, block by block, until there are as many as wanted.

What is new is decided by the unique key in the database, as for an import: a code that
the campaign has already is made again. Serials and checkpoint are one commit, so a
worker that dies leaves a batch that the next one goes on with.
"""

import functools
import time

from django.conf import settings
from django.db.models import F
from django.utils.translation import gettext as _

from serials import storing
from serials.errors import ImportRefused
from serials.models import Batch
from serials.patterns import Pattern
from serials.steps import Clock, again, step

# So many codes for nothing, and as many for each one wanted, say that the campaign has
# nearly all of the pattern.
MOST_IN_VAIN = 10_000, 20


def generate(batch: Batch, until: float, clock: Clock) -> bool:
    """Make serials until the time is over; True when all are there.

    Raises ImportRefused when hardly a code of the pattern is left.
    """
    pattern = Pattern(batch.pattern, batch.alphabet)
    is_case_sensitive = batch.campaign.is_case_sensitive
    with storing.staging():
        while batch.new < (batch.wanted or 0):
            left = (batch.wanted or 0) - batch.new
            codes = set(pattern.codes(min(left, settings.IMPORT_BLOCK)))
            storing.empty_stage()
            storing.stage(
                [
                    (pos, code, code if is_case_sensitive else code.lower())
                    for pos, code in enumerate(codes, start=batch.done_to + 1)
                ]
            )
            again(functools.partial(_insert, batch, len(codes), clock))
            _refuse_used_up(batch)
            if time.monotonic() >= until:
                return False
    return True


def _insert(batch: Batch, count: int, clock: Clock) -> None:
    done_to = batch.done_to + count
    with step(batch, clock, done_to=done_to):
        new = storing.insert_staged(batch.pk, batch.campaign_id)
        Batch.objects.filter(pk=batch.pk).update(new=F("new") + new)
    batch.done_to, batch.new = done_to, batch.new + new


def _refuse_used_up(batch: Batch) -> None:
    base, each = MOST_IN_VAIN
    if batch.done_to - batch.new > base + each * (batch.wanted or 0):
        raise ImportRefused(
            _(
                "The campaign has nearly all serials of this pattern already. Generate "
                "them with more #."
            )
        )
