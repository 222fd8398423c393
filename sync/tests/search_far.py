"""Steps that a test runs in processes of their own: `python -m sync.tests.search_far`.

Each prints one line of JSON.
"""

import json
import os
import sys
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from connections.models import Connection  # noqa: E402
from sync.models import RemoteCoupon, Search  # noqa: E402
from sync.options import LineOptions  # noqa: E402
from sync.publishing.working import work  # noqa: E402
from sync.services.publishing import publish  # noqa: E402
from sync.tests.publishing import an_offer, prepare_all  # noqa: E402
from testing.factories import make_connection  # noqa: E402


def start(count):
    """So many campaigns on LINE, each asked for once."""
    line = make_connection(access_token="token")
    for number in range(int(count)):
        campaign = an_offer(name=f"Offer {number}")
        publish(campaign.pk, line.pk, options=LineOptions(), by=None, nonce=uuid4())
    prepare_all()
    work(line.pk, seconds=0.01)
    return report()


def go_on(seconds):
    """Errands as they come due, like a worker that is swept now and then."""
    ends = time.monotonic() + float(seconds)
    line = Connection.objects.get()
    while time.monotonic() < ends and RemoteCoupon.objects.exclude(errand="").exists():
        if not work(line.pk, seconds=1):
            time.sleep(0.2)
    return report()


def report():
    rows = RemoteCoupon.objects.all()
    found = Search.objects.first()
    return {
        "statuses": dict(Counter(rows.values_list("status", flat=True))),
        "ids": sorted(rows.values_list("remote_id", flat=True)),
        "pages": found.cursor.get("pages", 0) if found else 0,
    }


if __name__ == "__main__":
    step: dict[str, Any] = {"start": start, "go_on": go_on, "report": report}
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
