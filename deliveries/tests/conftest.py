"""A LINE look-alike that really listens, and deliveries to send to it."""

import pytest

from deliveries.tests.helpers import Shop
from sandbox.testing import start_sandbox
from testing.factories import (
    make_campaign,
    make_connection,
    make_fixed_batch,
    make_user,
)


@pytest.fixture
def line(settings):
    with start_sandbox(token="token") as sandbox:
        settings.LINE_API_URL = sandbox.url
        yield sandbox


@pytest.fixture
def shop(db, line):
    """A shop with one running campaign, serials without end, and one LINE account."""
    campaign = make_campaign()
    make_fixed_batch(campaign, quantity=None)
    return Shop(
        line=line,
        campaign=campaign,
        connection=make_connection(access_token="token"),
        editor=make_user("Editor"),
    )


@pytest.fixture
def quick(settings):
    """A second per call, so that a test can wait for what never answers."""
    settings.SEND_DEADLINE = 1.0
