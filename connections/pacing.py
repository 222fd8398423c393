"""How fast we call: time is booked ahead in one row that all workers share."""

from datetime import datetime, timedelta

from django.db import transaction

from connections.models import Bucket

# What an idle bucket has saved up.
SPARE = timedelta(milliseconds=50)


def book(
    connection_id: int,
    endpoint: str,
    count: int,
    *,
    rate: float,
    now: datetime,
    latest: datetime,
) -> datetime | None:
    """Book time for `count` calls at `rate` a second; the instant the first may start.

    Who comes later is told a later time. None, and nothing booked, when that would be
    after `latest`.
    """
    with transaction.atomic():
        row = _locked(connection_id, endpoint, now)
        starts_at = max(row.free_at, now - SPARE)
        if starts_at > latest:
            return None
        _push(row, starts_at + timedelta(seconds=count / rate))
    return starts_at


def hold(connection_id: int, endpoint: str, *, until: datetime) -> None:
    """Let nobody start before `until`: the provider said that we are too fast."""
    with transaction.atomic():
        row = _locked(connection_id, endpoint, until)
        if row.free_at < until:
            _push(row, until)


def _locked(connection_id: int, endpoint: str, now: datetime) -> Bucket:
    which = {"connection_id": connection_id, "endpoint": endpoint}
    found = Bucket.objects.select_for_update().filter(**which).first()
    if found is not None:
        return found
    Bucket.objects.bulk_create([Bucket(**which, free_at=now)], ignore_conflicts=True)
    return Bucket.objects.select_for_update().get(**which)


def _push(row: Bucket, free_at: datetime) -> None:
    moved = Bucket.objects.filter(pk=row.pk, free_at=row.free_at).update(
        free_at=free_at
    )
    if moved != 1:
        raise RuntimeError("Another worker has booked this time.")
