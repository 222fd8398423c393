"""What tests of looking at providers share: accounts that really answer, and turns."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from connections.models import Connection
from sync.models import Difference, Publication, RemoteCoupon, Run, Step
from sync.pulling import runs
from sync.pulling.working import pull
from testing.factories import make_campaign, make_connection, make_fixed_batch

SECONDS = 20


class Clock:
    """The time of now, and a step further with each `pass_`."""

    def __init__(self):
        self.shift = timedelta(0)

    def __call__(self):
        return timezone.now() + self.shift

    def pass_(self, **time):
        self.shift += timedelta(**time)


@dataclass
class Watch:
    """An account, and looks at it."""

    connection: Connection
    clock: Clock

    def start(self, *, is_whole=False, by=None):
        return runs.begin(self.connection, at=self.clock(), is_whole=is_whole, by=by)

    def glance(self):
        """As far as a look comes without waiting for a provider in trouble."""
        return self.look(seconds=0.5)

    def look(self, *, is_whole=False, seconds=SECONDS):
        """One look from its beginning to its end, a minute after the last."""
        self.clock.pass_(minutes=1)
        run = self.start(is_whole=is_whole)
        while pull(run.pk, seconds=seconds, clock=self.clock):
            pass
        run.refresh_from_db()
        return run

    def coupons(self):
        """All rows, by the provider's name."""
        rows = RemoteCoupon.objects.filter(connection=self.connection)
        return {row.remote_id: row for row in rows}

    def differences(self):
        """What is open: (field, ours, theirs)."""
        rows = Difference.objects.filter(ended_at=None).order_by("pk")
        return list(rows.values_list("field", "ours", "theirs"))

    def steps(self):
        """What the history says of coupons, oldest first."""
        rows = Step.objects.filter(coupon__isnull=False).order_by("pk")
        return list(rows.values_list("kind", flat=True))

    def runs(self):
        return Run.objects.filter(connection=self.connection).order_by("pk")


def watch_line(**fields):
    return Watch(make_connection(access_token="token", **fields), Clock())


def make_publication(connection, campaign=None, *, terms=None, **fields: Any):
    """One that is open, with nothing in it."""
    fields.setdefault("state", Publication.State.OPEN)
    fields.setdefault("prepared_at", timezone.now())
    return Publication.objects.create(
        campaign=campaign or make_shown_campaign(),
        connection=connection,
        terms=terms or {},
        nonce=uuid4(),
        **fields,
    )


def make_shown_campaign(*, has_text=True, **fields):
    """A campaign that every provider takes; `has_text`: a fixed one for everybody."""
    fields.setdefault("name", "Spring latte")
    fields.setdefault("benefit", "percentage")
    fields.setdefault("benefit_value", 20)
    fields.setdefault("currency", "USD")
    campaign = make_campaign(**fields)
    if has_text:
        make_fixed_batch(campaign, code="LATTE20", quantity=None)
    return campaign


def make_remote(publication, remote_id, **fields: Any):
    """A coupon of it that is there, counted as such."""
    fields.setdefault("status", RemoteCoupon.Status.LIVE)
    row = RemoteCoupon.objects.create(
        connection=publication.connection,
        publication=publication,
        campaign=publication.campaign,
        remote_id=remote_id,
        terms_no=publication.terms_no,
        **fields,
    )
    status = str(row.status)
    publication.total += 1
    if status != "waiting":  # those are what is left of the total
        setattr(publication, status, getattr(publication, status) + 1)
    publication.save()
    return row
