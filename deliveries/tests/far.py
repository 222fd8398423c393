"""Steps that a test runs in processes of their own: `python -m deliveries.tests.far`.

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

from deliveries.models import Delivery, Dispatch  # noqa: E402
from deliveries.preparing import prepare  # noqa: E402
from deliveries.sending import send_due  # noqa: E402
from deliveries.services import start_delivery  # noqa: E402
from testing.factories import (  # noqa: E402
    make_campaign,
    make_connection,
    make_contacts,
    make_list,
    make_user,
)


def start(count):
    """A delivery to so many contacts; their LINE user ids."""
    connection = make_connection(access_token="token")
    contacts = make_contacts(connection, int(count))
    start_delivery(
        make_campaign(),
        connection,
        contact_list=make_list(*contacts),
        nonce=uuid4(),
        by=make_user(),
    )
    return [contact.line_user_id for contact in contacts]


def prepare_all():
    for delivery in Delivery.objects.all():
        prepare(delivery.pk)
    return None


def send(seconds):
    return send_due(seconds=float(seconds))


def report():
    delivery = Delivery.objects.get()
    statuses = Dispatch.objects.values_list("status", flat=True)
    return {
        "state": delivery.state,
        "reason": delivery.pause_reason,
        "accepted": delivery.accepted,
        "statuses": Counter(statuses),
        "tries": sum(Dispatch.objects.values_list("tries", flat=True)),
    }


if __name__ == "__main__":
    step: dict[str, Any] = {
        "start": start,
        "prepare": prepare_all,
        "send": send,
        "report": report,
    }
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
