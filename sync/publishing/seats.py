"""One worker at a time for an account's errands, so that no provider fills all of them.

Only a matter of manners: that nothing is done twice rests on the rows' own leases. A
worker that dies keeps its seat for as long as its rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone

from connections.models import Bucket

SEAT = "publishing"


@contextmanager
def seat(connection_id: int) -> Iterator[bool]:
    """Whether the seat was free; for the `with` block, and a lease at most, it is ours."""
    now = timezone.now()
    seats = Bucket.objects.filter(connection_id=connection_id, endpoint=SEAT)
    if not seats.exists():
        seats.bulk_create(
            [Bucket(connection_id=connection_id, endpoint=SEAT, free_at=now)],
            ignore_conflicts=True,
        )
    until = now + settings.SYNC_LEASE
    is_ours = bool(seats.filter(free_at__lte=now).update(free_at=until))
    try:
        yield is_ours
    finally:
        if is_ours:
            seats.filter(free_at=until).update(free_at=timezone.now())
