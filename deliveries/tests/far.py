"""Steps that a test runs in processes of their own: `python -m deliveries.tests.far`.

Each prints one line of JSON.
"""

import json
import os
import socket
import sys
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from coupons.models import Coupon  # noqa: E402
from deliveries.models import Delivery, Dispatch, Heartbeat  # noqa: E402
from deliveries.native import NativeCoupon  # noqa: E402
from deliveries.outages import NAME  # noqa: E402
from deliveries.preparing import prepare  # noqa: E402
from deliveries.sending import send_due  # noqa: E402
from deliveries.services import resume, start_delivery, start_native  # noqa: E402
from serials import importing  # noqa: E402
from serials.models import Batch  # noqa: E402
from testing.factories import (  # noqa: E402
    make_campaign,
    make_connection,
    make_contacts,
    make_fixed_batch,
    make_list,
    make_user,
)

SEND = "/admin/deliveries/delivery/send/"


def start(count, kind="card"):
    """A delivery to so many contacts; their LINE user ids.

    Of kind "native" it is LINE's own coupon.
    """
    connection = make_connection(access_token="token")
    contacts = make_contacts(connection, int(count))
    begin = start_delivery
    if kind == "native":
        begin = partial(start_native, coupon=NativeCoupon("01ABC"), tag="tag")
    begin(
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


def age(minutes):
    """As if the last worker had been seen so long ago."""
    Heartbeat.objects.create(
        name=NAME, at=timezone.now() - timedelta(minutes=float(minutes))
    )


def go_on():
    resume(Delivery.objects.get().pk, by=make_user())


def press(broker):
    """Press every button that wakes a worker; each answer, and the users to reach.

    `broker` is "silent" for a queue that takes connections and never says a word.
    """
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    port = urlsplit(settings.REDIS_URL).port
    with socket.create_server(("127.0.0.1", port)) as server:
        if broker == "closed":
            server.close()
        return press_all()


def press_all():
    client = Client()
    client.force_login(make_user("Editor"))
    connection = make_connection(access_token="token")
    campaign, contacts = make_campaign(), make_contacts(connection, 3)
    make_fixed_batch(campaign, quantity=None)
    data = {
        "step": "send",
        "campaign": campaign.pk,
        "contact_list": make_list(*contacts).pk,
        "connection": connection.pk,
        "kind": "card",
    }
    answers = {}
    nonces = uuid4(), uuid4()
    for nonce in nonces:
        answers["send"] = client.post(SEND, data | {"nonce": nonce}).status_code
    kept, dropped = [Delivery.objects.get(nonce=nonce) for nonce in nonces]
    for name, delivery in (("pause", kept), ("resume", kept), ("cancel", dropped)):
        page = reverse(f"admin:deliveries_delivery_{name}", args=[delivery.pk])
        answers[name] = client.post(page).status_code
    file = SimpleUploadedFile("x.csv", b"serial\nAB-1\n", content_type="text/csv")
    upload = {"campaign": campaign.pk, "name": "x", "file": file}
    answers["upload"] = client.post(
        reverse("admin:serials_batch_upload"), upload
    ).status_code
    batch = Batch.objects.get(name="x")
    importing.run(batch.pk)
    confirm = reverse("admin:serials_batch_confirm", args=[batch.pk])
    answers["confirm"] = client.post(confirm).status_code
    return {
        "answers": answers,
        "users": [contact.line_user_id for contact in contacts],
    }


def left():
    """What became of all deliveries and batches."""
    return {
        "deliveries": list(
            Delivery.objects.order_by("pk").values_list("state", flat=True)
        ),
        "batches": list(Batch.objects.filter(name="x").values_list("state", flat=True)),
    }


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
        "unsent": Coupon.objects.filter(sent_at=None).count(),
        "tries": sum(Dispatch.objects.values_list("tries", flat=True)),
    }


if __name__ == "__main__":
    step: dict[str, Any] = {
        "start": start,
        "age": age,
        "go_on": go_on,
        "left": left,
        "prepare": prepare_all,
        "press": press,
        "send": send,
        "report": report,
    }
    sys.stdout.write(json.dumps(step[sys.argv[1]](*sys.argv[2:])) + "\n")
