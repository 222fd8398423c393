"""What was published by us and not touched by anybody is, at each provider, as we sent it."""

from uuid import uuid4

import pytest

from sandbox.testing import start_sandbox
from sync.models import Difference, Publication, RemoteCoupon
from sync.options import LineOptions, PaddleOptions, VivoldiOptions
from sync.publishing.walking import walk
from sync.publishing.working import work
from sync.services.publishing import close, publish
from sync.tests.looks import Clock, Watch, make_shown_campaign
from testing.factories import make_connection, make_serials, make_user

pytestmark = pytest.mark.django_db
CODES = [f"LATTE{n:04d}" for n in range(5)]


@pytest.fixture
def sandbox(settings):
    settings.PADDLE_RATE = settings.VIVOLDI_RATE = 60_000  # a minute: tests don't wait
    with start_sandbox(token="token") as sandbox:
        sandbox.add_paddle(vendor_id=123, auth_code="abc", products=[510509, 511520])
        sandbox.add_vivoldi(api_key="key")
        settings.LINE_API_URL = sandbox.url
        settings.PADDLE_API_URL = sandbox.paddle_url
        settings.VIVOLDI_API_URL = sandbox.vivoldi_url
        yield sandbox


CONNECTIONS = {
    "line": {"access_token": "token"},
    "paddle": {"provider": "paddle", "account_id": "123", "access_token": "abc"},
    "vivoldi": {"provider": "vivoldi", "account_id": "", "access_token": "key"},
}


def published(watch, options, **campaign):
    """Published, and all that workers have to do for it done."""
    made = make_shown_campaign(
        has_text=isinstance(options, LineOptions), barcode="none", **campaign
    )
    if not isinstance(options, LineOptions):
        make_serials(made, CODES)
    found = publish(
        made.pk,
        watch.connection.pk,
        options=options,
        by=make_user("Manager"),
        nonce=uuid4(),
        clock=watch.clock,
    )
    do_errands(watch)
    return found


def do_errands(watch):
    for _ in range(3):
        for publication in Publication.objects.all():
            walk(publication.pk, seconds=5, clock=watch.clock)
        work(watch.connection.pk, seconds=5, clock=watch.clock)


@pytest.mark.parametrize(
    ("provider", "options", "campaign"),
    [
        ("line", LineOptions(), {}),
        ("line", LineOptions("PUBLIC", 20, 1_000), {"usage_condition": "Once a day"}),
        ("line", LineOptions(), {"benefit": "cash_back", "currency": "JPY"}),
        ("line", LineOptions(), {"benefit": "gift", "benefit_value": None}),
        ("line", LineOptions(), {"instructions": "One\r\ntwo  three\r\n\r\nfour"}),
        ("line", LineOptions(), {"name": "夏のクーポン 🍧" * 4}),
        ("paddle", PaddleOptions(), {}),
        ("paddle", PaddleOptions(), {"product_ids": "510509,511520"}),
        ("paddle", PaddleOptions(), {"benefit": "amount", "benefit_value": "2.50"}),
        ("paddle", PaddleOptions(), {"benefit_value": "7.25"}),
        ("paddle", PaddleOptions(), {"applies_to_renewals": True}),
        ("vivoldi", VivoldiOptions(), {}),
        ("vivoldi", VivoldiOptions(memo="Ours"), {"button_url": "https://a.example/"}),
        ("vivoldi", VivoldiOptions(), {"benefit": "amount", "benefit_value": "2.5"}),
    ],
)
def test_what_was_published_shows_no_difference(sandbox, provider, options, campaign):
    watch = Watch(make_connection(**CONNECTIONS[provider]), Clock())
    publication = published(watch, options, **campaign)
    publication.refresh_from_db()
    assert publication.live == publication.total > 0

    run = watch.look(is_whole=True)

    rows = RemoteCoupon.objects.all()
    assert (run.state, run.problem) == ("done", "")
    assert [row.problem for row in rows if row.problem] == []
    assert all(row.raw for row in rows)
    assert len(rows) == publication.total
    found = Difference.objects.values_list("field", "ours", "theirs")
    assert list(found) == []


@pytest.mark.parametrize(
    ("provider", "options"),
    [
        ("line", LineOptions()),
        ("paddle", PaddleOptions()),
        ("vivoldi", VivoldiOptions()),
    ],
)
def test_what_was_taken_back_shows_none_either(sandbox, provider, options):
    watch = Watch(make_connection(**CONNECTIONS[provider]), Clock())
    publication = published(watch, options)
    watch.look()
    close(publication.pk, by=make_user("Manager"), clock=watch.clock)
    do_errands(watch)

    watch.look()
    watch.look(is_whole=True)

    publication.refresh_from_db()
    assert publication.state == "closed"
    assert not Difference.objects.exists()
