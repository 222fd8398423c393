"""Steps that a test runs in processes of their own: `python -m sync.tests.looks_far`.

Each prints one line of JSON.
"""

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from sync.models import RemoteCoupon, Run  # noqa: E402
from sync.pulling import runs  # noqa: E402
from sync.pulling.working import pull  # noqa: E402
from testing.factories import make_connection  # noqa: E402


def start():
    run = runs.begin(make_connection(access_token="token"), at=timezone.now())
    return run.pk


def go_on(run_id, seconds):
    return pull(int(run_id), seconds=float(seconds))


def report():
    run = Run.objects.get()
    rows = RemoteCoupon.objects.all()
    now = timezone.now()
    return {
        "state": run.state,
        "problem": run.problem,
        "asked": run.asked,
        "leased": ((run.leased_until or now) - now).total_seconds(),
        "rows": rows.count(),
        "read": rows.exclude(asked_at=None).filter(raw__isnull=False).count(),
    }


if __name__ == "__main__":
    step: dict[str, Any] = {"start": start, "go_on": go_on, "report": report}
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
