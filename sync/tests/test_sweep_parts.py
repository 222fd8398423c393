"""A sweep in which something fails: the rest has its turn, and it is seen."""

import logging
from contextlib import contextmanager

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, connection

from connections.models import Connection
from sync.models import Run, Use
from sync.parts import Parts
from sync.tasks import sweep
from sync.tests.test_mirroring import verified
from sync.tests.uses_helpers import make_vivoldi, publish
from testing.factories import make_connection

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def without(table):
    """As when a migration went wrong: the table is not there."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


def test_what_fails_does_not_keep_others_from_their_turn(caplog):
    rows = publish(make_vivoldi(), ["AAAA1111"], is_mirrored=True)
    verified(rows["AAAA1111"])
    with without("sync_mirror"), pytest.raises(DatabaseError):
        sweep()

    assert Run.objects.exists()  # what comes after it in a sweep
    failed = [one for one in caplog.records if one.message == "part.failed"]
    assert failed
    assert all(one.levelno == logging.ERROR and one.exc_info for one in failed)
    sweep()
    assert Use.objects.count() == 1


def test_an_account_that_can_not_be_looked_at_does_not_hide_the_others(caplog):
    """Its secret was encrypted with a key that is gone."""
    broken, whole = make_connection(), make_connection()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET access_token = %s WHERE id = %s",
            ["gAAAAAB-no-key-fits", broken.pk],
        )

    sweep()

    assert set(Run.objects.values_list("connection", flat=True)) == {
        broken.pk,
        whole.pk,
    }
    assert Connection.objects.filter(pk=whole.pk, state="active").exists()


def test_a_part_that_fails_is_raised_in_the_end_and_only_then():
    def fail(word):
        raise ValueError(word)

    parts = Parts()
    assert parts.run(fail, "first") is None
    parts.run(fail, "second")
    assert parts.run(lambda: "answer") == "answer"

    with pytest.raises(ValueError, match="first"):
        parts.end()


def test_a_task_out_of_time_ends_at_once():
    def late():
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        Parts().run(late)
