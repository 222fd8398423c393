"""Vivoldi's webhooks on their way in. How they are signed is unconfirmed."""

import hashlib
import hmac
import json
import time

import pytest
from django.urls import reverse
from django.utils import timezone

from coupons.models import Verification
from sandbox.testing import start_sandbox
from sandbox.vivoldi.uses import signed_text
from sync.models import InboundEvent, Use
from sync.processing import work_off
from sync.tests.uses_helpers import make_vivoldi, post_vivoldi, publish
from testing.factories import make_coupon

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_vivoldi(secret="vivoldi-secret")


def test_a_signed_event_is_stored_once_and_without_the_password(client, account):
    answers = [
        post_vivoldi(client, account, "ABCD-EF12", event_id="e1").status_code
        for _ in range(2)
    ]

    event = InboundEvent.objects.get()
    assert answers == [200, 200]
    assert (event.event_id[:5], event.kind) == ("body:", "coupon.none")
    assert event.payload["number"] == "ABCDEF12"
    assert "913377" not in json.dumps(event.payload)


@pytest.mark.parametrize(
    "changed",
    [
        {"X_Vivoldi_Signature": None},
        {"X_Vivoldi_Signature": "t=1,v1=00,alg=hmac-sha256"},
        {"X_Vivoldi_Signature": "nonsense"},
        {"X_Content_SHA256": "0" * 64},
        {"X_Content_SHA256": None},
        {"X_Vivoldi_Timestamp": "12345"},
        {"secret": "another"},
    ],
    ids=str,
)
def test_what_is_forged_or_cut_is_refused_and_not_stored(client, account, changed):
    assert post_vivoldi(client, account, "ABCDEF12", **changed).status_code == 403
    assert not InboundEvent.objects.exists()


def signed_call(account, body, base, *, event_id, request_id="r1", at=None):
    """A call as Vivoldi may sign it; `base` is the sandbox's name for the way."""
    timestamp = str(int((at or time.time()) * 1000))
    text = signed_text(base, timestamp, f"{request_id}.{event_id}", body)
    signature = hmac.new(account.secret.encode(), text, hashlib.sha256).hexdigest()
    return {
        "X-Vivoldi-Request-Id": request_id,
        "X-Vivoldi-Event-Id": event_id,
        "X-Vivoldi-Resource-Type": "COUPON",
        "X-Vivoldi-Action-Type": "NONE",
        "X-Vivoldi-Timestamp": timestamp,
        "X-Content-SHA256": hashlib.sha256(body).hexdigest(),
        "X-Vivoldi-Signature": f"t={timestamp},v1={signature},alg=hmac-sha256",
    }


def post(client, account, body, headers):
    return client.post(
        reverse("hooks:vivoldi", args=[account.hook_key]),
        data=body,
        content_type="application/json",
        headers=headers,
    ).status_code


BODY = json.dumps({"cpnNo": "ABCDEF12", "useCnt": 1}).encode()
WAYS = pytest.mark.parametrize(
    ("base", "answer"),
    [("timestamp.body", 200), ("timestamp.hash", 200), ("timestamp.ids.hash", 403)],
)


@WAYS
def test_the_same_signed_bytes_under_another_id_count_once(
    client, account, base, answer
):
    """A replay within the minutes that a call is good for."""
    publish(account, ["ABCDEF12"])
    headers = signed_call(account, BODY, base, event_id="e1")

    first = post(client, account, BODY, headers)
    replays = [
        post(client, account, BODY, {**headers, "X-Vivoldi-Event-Id": f"other-{n}"})
        for n in range(3)
    ]
    work_off()

    assert (first, set(replays)) == (200, {answer})
    assert InboundEvent.objects.count() == 1
    assert Use.objects.get().count == 1


@WAYS
def test_a_second_try_with_a_time_of_its_own_counts_once(client, account, base, answer):
    del answer
    publish(account, ["ABCDEF12"])
    for seconds, request_id in ((0, "r1"), (30, "r2")):
        headers = signed_call(
            account,
            BODY,
            base,
            event_id="e1",
            request_id=request_id,
            at=time.time() - 60 + seconds,
        )
        assert post(client, account, BODY, headers) == 200
    work_off()

    assert Use.objects.get().count == 1


@WAYS
def test_another_use_has_another_body_and_counts(client, account, base, answer):
    del answer
    publish(account, ["ABCDEF12"])
    for count in (1, 2):
        body = json.dumps({"cpnNo": "ABCDEF12", "useCnt": count}).encode()
        headers = signed_call(account, body, base, event_id=f"e{count}")
        assert post(client, account, body, headers) == 200
    work_off()

    assert Use.objects.count() == 2


@pytest.mark.parametrize("off", [-3600, 3600])
def test_what_is_an_hour_off_is_refused_and_not_stored(client, account, off):
    answer = post_vivoldi(client, account, "ABCDEF12", at=time.time() + off)

    assert answer.status_code == 403
    assert not InboundEvent.objects.exists()


def test_an_event_without_an_id_is_refused_with_400(client, account):
    answer = post_vivoldi(client, account, "ABCDEF12", X_Vivoldi_Event_Id=None)

    assert answer.status_code == 400


def test_without_a_secret_nothing_is_taken_and_the_account_says_why(client):
    account = make_vivoldi(secret="")

    assert post_vivoldi(client, account, "A", secret="x").status_code == 403
    account.refresh_from_db()
    assert "no secret here" in account.last_error


def test_the_previous_secret_counts_for_a_while(client, account):
    account.change_secret("newer", at=timezone.now())
    account.save()

    for secret in ("vivoldi-secret", "newer"):
        answer = post_vivoldi(client, account, "ABCDEF12", secret=secret)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "changed", [{"X_Vivoldi_Resource_Type": "URL"}, {"X_Vivoldi_Action_Type": "REMOVE"}]
)
def test_what_is_no_use_of_a_coupon_is_kept_and_changes_nothing(
    client, account, changed
):
    publish(account, ["ABCDEF12"])

    post_vivoldi(client, account, "ABCDEF12", **changed)
    work_off()

    assert InboundEvent.objects.get().processed_at is not None
    assert not Use.objects.exists()


def test_an_event_that_names_no_coupon_is_done_with(client, account):
    post_vivoldi(client, account, "")
    work_off()

    event = InboundEvent.objects.get()
    assert (event.processed_at is not None, event.problem) == (True, "")
    assert not Use.objects.exists()


@pytest.mark.parametrize("is_ms", [True, False], ids=["ms", "s"])
@pytest.mark.parametrize(
    "base", ["timestamp.body", "timestamp.hash", "timestamp.ids.hash"]
)
def test_a_use_in_the_sandbox_verifies_the_coupon_here(
    tmp_path, live_server, base, is_ms
):
    with start_sandbox(data=str(tmp_path / "sandbox.sqlite3")) as box:
        account = make_vivoldi(secret="vivoldi-secret")
        hook = reverse("hooks:vivoldi", args=[account.hook_key])
        box.add_vivoldi(
            secret="vivoldi-secret",
            webhook_url=f"{live_server.url}{hook}",
            signature_base=base,
            timestamp_in_ms=is_ms,
        )
        rows = publish(account, ["ABCDEF12"])
        coupon = make_coupon(rows["ABCDEF12"].campaign, status="redeemed")
        box.make_vivoldi_coupon(cpnNo="ABCDEF12")

        event_id = box.vivoldi_use("ABCDEF12")
        box.redeliver(event_id)
        box.wait_for_webhooks()

    work_off()
    verification = Verification.objects.get()
    assert (verification.coupon, verification.way) == (coupon, "vivoldi")
    key = Use.objects.get().key
    if base == "timestamp.ids.hash":
        assert key == f"event:{event_id}"
    else:  # nothing that was signed has the id in it
        assert key.startswith("event:body:")
