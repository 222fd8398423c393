"""What each answer of LINE leads to, with a server that really gives it."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from campaigns.services import move
from connections.clients import line_client
from connections.models import Bucket, Connection
from connections.services import save_credentials, words_for
from coupons.models import Coupon
from coupons.services import Source, revoke
from deliveries.models import Delivery, Dispatch
from deliveries.sending import Block, judge, send_due, wait_after
from deliveries.services import cancel, pause, resume
from deliveries.settling import cancel_some, settle
from deliveries.tests.helpers import (
    fresh,
    later,
    numbers,
    outcomes,
    send,
    statuses,
)
from providers.errors import Unauthorised
from providers.line import Kind, Outcome
from testing.factories import make_contacts, make_list

pytestmark = pytest.mark.django_db


def test_each_contact_gets_one_message_with_its_own_link(shop):
    delivery = shop.ready(5)

    send()

    assert numbers(delivery) == (5, 0, 0, 0)
    assert delivery.state == Delivery.State.DONE
    assert delivery.done_at is not None
    assert set(shop.counts().values()) == {1}
    assert outcomes(delivery) == {"accepted": 5}
    sent = Coupon.objects.annotate(user_id=F("contact__line_user_id"))
    for coupon in sent:
        [message] = shop.line.messages(coupon.user_id)
        assert f"http://testserver/c/{coupon.token}" in str(message)
        assert coupon.status == Coupon.Status.SENT


def test_a_text_delivery_carries_its_words_and_the_link(shop):
    delivery = shop.ready(1, kind=Delivery.Kind.TEXT, text="Hello from us")

    send()

    recipient = delivery.recipients.get()
    [message] = shop.line.messages(recipient.contact.line_user_id)
    assert message["text"] == (
        f"Hello from us\nhttp://testserver/c/{recipient.coupon.token}"
    )


def test_sent_again_after_the_end_nothing_happens(shop):
    shop.ready(2)
    send()

    send()

    assert len(shop.line.requests("push")) == 2


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_500"])
def test_a_lost_answer_is_repeated_with_the_same_key_and_bytes(shop, fault):
    delivery = shop.ready(1)
    shop.line.fault("push", fault, times=1)

    send()
    assert statuses(delivery) == {"queued": 1}
    send(clock=later(seconds=5))

    first, second = shop.line.requests("push")
    assert (first.retry_key, first.body_hash) == (second.retry_key, second.body_hash)
    assert second.status == 409
    assert list(shop.counts().values()) == [1]
    assert numbers(delivery) == (1, 0, 0, 0)
    row = delivery.dispatches.get()
    assert row.line_request_id == first.request_id
    assert row.failures == 1


@pytest.mark.parametrize("fault", ["500", "drop"])
def test_a_fault_before_acceptance_loses_nobody(shop, fault):
    delivery = shop.ready(2)
    shop.line.fault("push", fault, times=2)

    send()
    send(clock=later(seconds=5))

    assert numbers(delivery) == (2, 0, 0, 0)
    assert set(shop.counts().values()) == {1}


@pytest.mark.parametrize("fault", ["trickle", "slow"])
def test_an_endless_answer_ends_at_the_deadline(shop, quick, fault):
    delivery = shop.ready(1)
    shop.line.fault("push", fault, times=1, seconds=5)

    send()
    send(clock=later(seconds=5))

    assert numbers(delivery) == (1, 0, 0, 0)
    assert list(shop.counts().values()) == [1]


def test_no_answer_by_the_deadline_is_repeated_with_the_same_key_and_bytes(shop, quick):
    delivery = shop.ready(1)
    shop.line.fault("push", "slow", times=1, seconds=5)

    send()
    assert delivery.dispatches.get().failures == 1
    send(clock=later(seconds=5))

    first, second = shop.line.requests("push")
    assert (first.retry_key, first.body_hash) == (second.retry_key, second.body_hash)
    assert second.status == 409
    assert list(shop.counts().values()) == [1]


def test_an_answer_that_trickles_is_cut_at_the_deadline_and_its_status_counts(
    shop, quick
):
    delivery = shop.ready(1)
    shop.line.fault("push", "trickle", times=1, seconds=60)

    send()  # ends at all, for a byte a minute trips no time-out per read

    assert numbers(delivery) == (1, 0, 0, 0)
    assert len(shop.line.requests("push")) == 1


@pytest.mark.parametrize("fault", ["html", "half_json"])
def test_an_unreadable_200_is_accepted(shop, fault):
    delivery = shop.ready(1)
    shop.line.fault("push", fault, times=1)

    send()

    assert numbers(delivery) == (1, 0, 0, 0)
    assert len(shop.line.requests("push")) == 1


def test_unreachable_line_leaves_no_doubt_and_tries_again(shop, settings):
    delivery = shop.ready(1)
    settings.LINE_API_URL = "http://127.0.0.1:9"

    send()
    row = delivery.dispatches.get()
    assert (row.status, row.first_try_at, row.failures) == ("queued", None, 1)
    settings.LINE_API_URL = shop.line.url
    send(clock=later(seconds=5))

    assert numbers(delivery) == (1, 0, 0, 0)


def test_too_fast_waits_and_is_no_failure(shop):
    delivery = shop.ready(2)
    shop.line.fault("push", "429_rate", times=1)

    send()
    assert delivery.dispatches.filter(failures__gt=0).count() == 0
    assert fresh(delivery).state == Delivery.State.READY
    send_due(seconds=5)

    assert numbers(delivery) == (2, 0, 0, 0)
    assert set(shop.counts().values()) == {1}


def test_too_fast_holds_everything_of_the_account_back(shop):
    shop.ready(2)
    shop.line.fault("push", "429_rate", times=1)

    send()

    bucket = Bucket.objects.get(connection=shop.connection)
    refused = shop.line.requests("push")[0]
    assert refused.status == 429
    assert bucket.free_at.timestamp() >= refused.at + 1
    connection = fresh_connection(shop)
    assert (connection.failures, connection.resting_until) == (0, None)


def test_a_used_up_month_pauses_the_delivery_and_keeps_its_rows(shop):
    shop.line.add_channel(quota=3)
    delivery = shop.ready(20)

    send()

    delivery.refresh_from_db()
    assert delivery.state == Delivery.State.PAUSED
    assert "3 of 3" in delivery.pause_reason
    assert statuses(delivery) == {"accepted": 3, "queued": 17}

    shop.line.add_channel(quota=50)
    resume(delivery.pk, by=shop.editor)
    send()

    assert numbers(delivery) == (20, 0, 0, 0)
    assert set(shop.counts().values()) == {1}


def test_a_rate_limit_that_is_really_the_month_pauses_too(shop):
    shop.line.add_channel(quota=0)
    delivery = shop.ready(1)
    shop.line.fault("push", "429_rate")

    send()

    assert fresh(delivery).state == Delivery.State.PAUSED


def test_a_refusal_is_final_and_says_why(shop):
    shop.line.add_channel(refuse_unknown=True)
    known, unknown = make_contacts(shop.connection, 2)
    shop.line.add_friend(known.line_user_id, "Hana")
    delivery = shop.ready(contact_list=make_list(known, unknown))

    send()

    assert numbers(delivery) == (1, 1, 0, 0)
    assert delivery.state == Delivery.State.DONE
    refused = delivery.recipients.get(outcome="refused")
    assert "Failed to send messages" in refused.reason
    assert refused.coupon.sent_at is None


def test_a_bad_token_pauses_the_account_and_keeps_the_rows(shop):
    delivery = shop.ready(3)
    shop.line.fault("push", "401")

    send()

    shop.connection.refresh_from_db()
    assert shop.connection.state == Connection.State.PAUSED
    assert shop.connection.pause_reason == words_for(Unauthorised("", 401))[:200]
    assert statuses(delivery) == {"queued": 3}
    assert fresh(delivery).state == Delivery.State.READY

    shop.line.clear_faults()
    send()
    assert shop.counts() == {}  # still paused
    shop.connection.resume()
    send()
    assert numbers(delivery) == (3, 0, 0, 0)


def test_with_a_new_token_the_rest_is_sent_once(shop):
    delivery = shop.ready(4)
    shop.line.fault("push", "accept_then_drop", times=1)
    send()  # one is in doubt; the others are accepted
    shop.line.add_channel(token="renewed")
    rest = shop.ready(2)
    send(clock=later(seconds=5))
    assert fresh_connection(shop).state == Connection.State.PAUSED

    connection = fresh_connection(shop)
    save_credentials(connection, access_token="renewed")
    connection.save()
    connection.resume()
    send(clock=later(seconds=10))

    assert numbers(delivery) == (4, 0, 0, 0)
    assert numbers(rest) == (2, 0, 0, 0)
    assert list(shop.counts().values()) == [1] * 6


def fresh_connection(shop):
    return Connection.objects.get(pk=shop.connection.pk)


def test_a_token_that_cannot_be_read_pauses_the_account(shop, settings):
    delivery = shop.ready(1)
    settings.FIELD_KEYS = ["b3RoZXIta2V5LW9mLTMyLWJ5dGVzLWZvci10ZXN0LTE="]

    send()

    settings.FIELD_KEYS = ["dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy0wMDA="]
    shop.connection.refresh_from_db()
    assert shop.connection.state == Connection.State.PAUSED
    assert statuses(delivery) == {"queued": 1}


def test_after_23_hours_without_an_answer_a_person_decides(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop")
    send()
    asked = len(shop.line.requests("push"))

    send(clock=later(hours=23, seconds=1))

    assert len(shop.line.requests("push")) == asked
    assert numbers(delivery) == (0, 0, 1, 0)
    assert delivery.state == Delivery.State.DONE
    assert "may have arrived" in delivery.recipients.get().reason


def test_an_unclear_message_whose_link_was_opened_did_arrive(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop")
    send()
    coupon = delivery.recipients.get().coupon
    coupon.open(at=timezone.now())

    send(clock=later(hours=23, seconds=1))

    assert numbers(delivery) == (1, 0, 0, 0)
    coupon.refresh_from_db()
    assert coupon.sent_at == delivery.dispatches.get().first_try_at


def test_ten_failures_in_a_row_rest_the_account_for_a_minute(shop, settings):
    settings.SEND_THREADS = 1
    delivery = shop.ready(15)
    shop.line.fault("push", "500")

    send()

    assert len(shop.line.requests("push")) == 10
    send()
    assert len(shop.line.requests("push")) == 10
    shop.line.clear_faults()
    send(clock=later(seconds=61))
    assert numbers(delivery) == (15, 0, 0, 0)


def test_a_body_that_would_differ_is_never_sent(shop):
    delivery = shop.ready(1)
    contact = delivery.recipients.get().contact
    contact.line_user_id = "U" + "f" * 32
    contact.save()

    send()

    assert shop.line.requests("push") == []
    assert numbers(delivery) == (0, 0, 1, 0)
    assert "has changed" in delivery.recipients.get().reason


def test_a_new_site_url_does_not_change_what_is_under_way(shop, settings):
    delivery = shop.ready(1)
    settings.SITE_URL = "https://elsewhere.example"

    send()

    assert numbers(delivery) == (1, 0, 0, 0)


def test_who_blocked_the_account_meanwhile_gets_nothing(shop):
    delivery = shop.ready(2)
    blocked = delivery.recipients.first().contact
    blocked.is_reachable = False
    blocked.save()

    send()

    assert blocked.line_user_id not in shop.counts()
    assert numbers(delivery) == (1, 0, 0, 1)
    assert delivery.state == Delivery.State.DONE


def test_who_blocks_after_an_unclear_try_is_settled_by_the_same_key(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop", times=1)
    send()
    contact = delivery.recipients.get().contact
    contact.is_reachable = False
    contact.save()

    send(clock=later(seconds=5))

    assert numbers(delivery) == (1, 0, 0, 0)
    assert list(shop.counts().values()) == [1]


# --- workers and leases -----------------------------------------------------------


def test_a_late_workers_result_is_not_written(shop):
    delivery = shop.ready(1)
    now = timezone.now()
    [stale] = claim(delivery, now=now)
    Dispatch.objects.release_expired(now=now + timedelta(seconds=31))
    [mine] = claim(delivery, now=now + timedelta(seconds=31))

    counted = settle([accepted(stale)], at=now)

    assert counted == set()
    assert statuses(delivery) == {"sending": 1}
    assert numbers(delivery) == (0, 0, 0, 0)
    assert settle([accepted(mine)], at=now) == {mine.pk}
    assert numbers(delivery) == (1, 0, 0, 0)
    assert settle([accepted(mine)], at=now) == set()
    assert numbers(delivery) == (1, 0, 0, 0)


def test_a_dead_workers_rows_are_sent_by_the_next(shop):
    delivery = shop.ready(3)
    claim(delivery, now=timezone.now())

    send()
    assert shop.counts() == {}
    send(clock=later(seconds=31))

    assert numbers(delivery) == (3, 0, 0, 0)
    assert set(shop.counts().values()) == {1}


def test_a_claimed_row_is_nobody_elses(shop):
    delivery = shop.ready(3)

    first = claim(delivery, now=timezone.now(), limit=2)
    second = claim(delivery, now=timezone.now(), limit=2)

    assert len(first) == 2
    assert len(second) == 1
    assert not {row.pk for row in first} & {row.pk for row in second}


def test_a_call_that_could_outlive_its_lease_is_not_started(shop, settings):
    settings.SEND_LEASE = timedelta(seconds=1)
    settings.SEND_DEADLINE = 5.0
    delivery = shop.ready(2)

    send()

    assert shop.line.requests("push") == []
    row = delivery.dispatches.first()
    assert (row.status, row.first_try_at, row.failures) == ("queued", None, 0)


def test_waits_double_up_to_ten_minutes():
    waits = [wait_after(n).total_seconds() for n in (0, 1, 5, 30)]

    for wait, least in zip(waits, (1, 2, 32, 600), strict=True):
        assert least <= wait <= least * 1.25


def test_the_pace_is_kept(shop, settings):
    settings.SEND_RATE = 400
    delivery = shop.ready(300)

    send_due(seconds=10)

    ats = sorted(attempt.at for attempt in shop.line.requests("push"))
    assert numbers(delivery) == (300, 0, 0, 0)
    assert ats[-1] - ats[0] >= 0.4  # the third hundred starts after half a second


# --- what stops it ----------------------------------------------------------------


def test_nothing_goes_out_before_its_time(shop):
    shop.ready(1, send_at=timezone.now() + timedelta(hours=1))

    send()
    assert shop.counts() == {}
    send(clock=later(hours=1, seconds=1))

    assert list(shop.counts().values()) == [1]


def test_nothing_goes_out_while_preparing(shop):
    delivery = shop.start(1)

    send()

    assert shop.counts() == {}
    assert statuses(delivery) == {}


def test_a_paused_campaign_waits_and_goes_on(shop):
    delivery = shop.ready(2)
    move(shop.campaign.pk, "pause")

    send()
    assert shop.counts() == {}
    move(shop.campaign.pk, "resume")
    send()

    assert numbers(delivery) == (2, 0, 0, 0)


def test_paused_sends_nothing_and_resumed_the_rest(shop):
    delivery = shop.ready(2)
    pause(delivery.pk, by=shop.editor)

    send()
    assert shop.counts() == {}
    resume(delivery.pk, by=shop.editor)
    send()

    assert numbers(delivery) == (2, 0, 0, 0)


def test_results_count_while_paused_and_the_last_one_ends_it(shop):
    delivery = shop.ready(1)
    [row] = claim(delivery, now=timezone.now())
    pause(delivery.pk, by=shop.editor)

    settle([accepted(row)], at=timezone.now())

    assert fresh(delivery).state == Delivery.State.DONE


def test_a_small_delivery_overtakes_a_large_one(shop, settings):
    settings.SEND_THREADS = 1
    shop.ready(300)
    small = shop.ready(1)

    send()

    [first] = shop.line.requests("push")[:1]
    assert first.retry_key == str(small.dispatches.get().retry_key)


def test_cancelled_goes_no_further(shop):
    delivery = shop.ready(2)

    cancel(delivery.pk, by=shop.editor)
    send()

    assert shop.counts() == {}
    assert outcomes(delivery) == {"queued": 2}  # until the worker's next round


def test_claimed_but_not_begun_is_stopped_by_a_cancel(shop):
    delivery = shop.ready(2)
    rows = claim(delivery, now=timezone.now())
    cancel(delivery.pk, by=shop.editor)

    send_claimed(shop, rows)

    assert shop.counts() == {}
    row = delivery.dispatches.first()
    assert (row.status, row.first_try_at, row.failures) == ("queued", None, 0)
    cancel_some(delivery.pk, reason="Cancelled.", at=timezone.now())
    assert outcomes(delivery) == {"cancelled": 2}


def test_a_doubtful_row_stays_so_when_a_cancel_stops_it(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop", times=1)
    send()
    rows = claim(delivery, now=later(seconds=5)())
    cancel(delivery.pk, by=shop.editor)

    send_claimed(shop, rows)

    row = delivery.dispatches.get()
    assert (row.status, row.failures) == ("queued", 1)
    assert row.first_try_at is not None
    cancel_some(delivery.pk, reason="Cancelled.", at=timezone.now())
    assert numbers(delivery) == (0, 0, 1, 0)


def test_a_pause_stops_what_still_waits_for_its_turn(shop, settings):
    settings.SEND_RATE = 2  # so each message waits half a second for its turn
    delivery = shop.ready(3)

    def pauses_after_the_first():
        is_open = fresh(delivery).state == Delivery.State.READY
        if is_open and shop.line.requests("push"):
            pause(delivery.pk, by=shop.editor)
        return timezone.now()

    send(clock=pauses_after_the_first)

    assert len(shop.line.requests("push")) == 1
    assert statuses(delivery) == {"accepted": 1, "queued": 2}


def test_a_coupon_withdrawn_before_its_turn_is_not_sent(shop):
    delivery = shop.ready(2)
    withdrawn = delivery.recipients.first()
    revoke(withdrawn.coupon_id, source=Source("staff"), reason="a mistake")

    send()

    assert withdrawn.contact.line_user_id not in shop.counts()
    assert numbers(delivery) == (1, 0, 0, 1)
    withdrawn.refresh_from_db()
    assert withdrawn.reason == "The coupon was withdrawn before its turn."


def test_a_withdrawn_coupon_of_an_unclear_try_is_settled_by_the_same_key(shop):
    delivery = shop.ready(1)
    shop.line.fault("push", "accept_then_drop", times=1)
    send()
    coupon_id = delivery.recipients.get().coupon_id
    revoke(coupon_id, source=Source("staff"), reason="a mistake")

    send(clock=later(seconds=5))

    assert numbers(delivery) == (1, 0, 0, 0)
    assert list(shop.counts().values()) == [1]


def send_claimed(shop, rows):
    """What a worker does with rows that it has claimed."""
    client = line_client(shop.connection, deadline=5.0)
    lease_ends = time.monotonic() + 30
    block = Block(client, shop.connection.pk, rows, lease_ends, timezone.now)
    with ThreadPoolExecutor(2) as pool:
        block.start(pool)
        block.finish()


def claim(delivery, *, now, limit=10):
    return Dispatch.objects.claim(
        limit, of=[delivery.pk], now=now, lease=timedelta(seconds=30)
    )


def accepted(row):
    return judge(row, Outcome(Kind.ACCEPTED, 200, "id"), timezone.now())
