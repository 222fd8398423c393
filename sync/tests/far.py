"""Steps that a test runs in processes of their own: `python -m sync.tests.far`.

Each prints one line of JSON.
"""

import json
import os
import sys
from collections import Counter
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from connections.models import Connection  # noqa: E402
from sync.models import Publication, RemoteCoupon  # noqa: E402
from sync.options import LineOptions, PaddleOptions, VivoldiOptions  # noqa: E402
from sync.services.publishing import close, publish  # noqa: E402
from testing.factories import (  # noqa: E402
    make_campaign,
    make_connection,
    make_serials,
    make_user,
)

OFFER = {"benefit": "percentage", "benefit_value": 10, "currency": "JPY"}


def start(count):
    """An account at each provider, and so many codes for Paddle and Vivoldi."""
    user = make_user()
    make_connection(access_token="token")
    paddle = make_connection(
        provider="paddle", account_id="1001", access_token="0a1b2c"
    )
    vivoldi = make_connection(
        provider="vivoldi", account_id="", access_token="vivoldi-key"
    )
    campaign = make_campaign(**OFFER)
    make_serials(campaign, [f"CODE{n:08d}" for n in range(int(count))])
    for connection, options in (
        (paddle, PaddleOptions()),
        (vivoldi, VivoldiOptions()),
    ):
        publish(campaign.pk, connection.pk, options=options, by=user, nonce=uuid4())


def start_line(first, count):
    """So many campaigns on LINE; each has a name of its own."""
    line = Connection.objects.get(provider="line")
    for n in range(int(first), int(first) + int(count)):
        campaign = make_campaign(**OFFER, name=f"Offer {n}")
        publish(campaign.pk, line.pk, options=LineOptions(), by=None, nonce=uuid4())


def take_back():
    for publication in Publication.objects.all():
        close(publication.pk, by=None)


def report():
    """By provider: rows by status, what is still to be done, and the counts."""
    found = {}
    for connection in Connection.objects.order_by("pk"):
        rows = RemoteCoupon.objects.filter(connection=connection)
        publications = Publication.objects.filter(connection=connection)
        found[connection.provider] = {
            "statuses": dict(Counter(rows.values_list("status", flat=True))),
            "busy": rows.exclude(errand="").count(),
            "names": sorted(rows.values_list("remote_id", flat=True)),
            "states": dict(Counter(publications.values_list("state", flat=True))),
            "live": sum(publications.values_list("live", flat=True)),
            "total": sum(publications.values_list("total", flat=True)),
            "details": sorted(set(rows.values_list("detail", flat=True)))[:5],
            "account": [connection.state, connection.pause_reason],
        }
    return found


if __name__ == "__main__":
    step: dict[str, Any] = {
        "start": start,
        "start_line": start_line,
        "take_back": take_back,
        "report": report,
    }
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
