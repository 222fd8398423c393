"""Making an import for tests: a file of bytes, the work done as tasks do it."""

from django.core.files.base import ContentFile

from serials import services
from serials.models import Batch, RefusedRow, Serial
from serials.tasks import work
from testing.factories import make_campaign


def upload(data, campaign=None, *, by=None, name="serials.csv"):
    """An uploaded file, not yet checked; text is sent as UTF-8."""
    data = data.encode() if isinstance(data, str) else data
    return services.start_import(
        campaign or make_campaign(barcode="none"),
        file=ContentFile(data, name=name),
        name=name,
        by=by,
    )


def checked(data, campaign=None, **how):
    batch = upload(data, campaign)
    work(batch.pk)
    batch.refresh_from_db()
    if how:
        services.recheck(batch, **how)
        work(batch.pk)
        batch.refresh_from_db()
    return batch


def imported(data, campaign=None):
    batch = checked(data, campaign)
    services.confirm(batch)
    work(batch.pk)
    batch.refresh_from_db()
    return batch


def report(batch):
    """Row and reason of what was left out."""
    rows = RefusedRow.objects.filter(batch=batch).order_by("line")
    return list(rows.values_list("line", "reason"))


def codes(batch):
    serials = Serial.objects.filter(batch=batch).order_by("pos")
    return list(serials.values_list("code", flat=True))


def counts(batch):
    return batch.new, batch.duplicate, batch.refused


def assert_exact(batch):
    """What must hold of a ready batch: the counts are those of the rows."""
    assert batch.state == Batch.State.READY
    assert batch.new == batch.total == Serial.objects.filter(batch=batch).count()
    assert sum(counts(batch)) == batch.lines
    listed = RefusedRow.objects.filter(batch=batch).count()
    assert listed == batch.duplicate + batch.refused
