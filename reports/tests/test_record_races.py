"""Several managers at one coupon at once: one does it, the others are told in words."""

from collections import Counter

import pytest

from coupons.models import Coupon, Event, Verification
from deliveries.models import Delivery
from reports.tests.record_helpers import Desk, signed_in, words_of
from testing.factories import make_user
from testing.races import THREADS, Racers

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ROUNDS = 3  # each press is a whole request


@pytest.fixture
def desk():
    return Desk()


def managers(count):
    return [signed_in(make_user("Manager")) for _ in range(count)]


def race(clients, press, *args, **given):
    """Everybody presses at once: how often each status came back, and the answers."""
    racers = Racers(len(clients))
    try:
        answers = racers.race(lambda n: press(*args, **given, client=clients[n]))
    finally:
        racers.stop()
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return Counter(answer.status_code for answer in answers), answers


def refused(answers):
    return [words_of(answer) for answer in answers if answer.status_code == 409]


def test_two_managers_revoke_at_once_and_one_is_told(desk):
    two = managers(2)
    for _ in range(ROUNDS):
        coupon = desk.coupon("redeemed")

        statuses, answers = race(two, desk.revoke, coupon)

        assert statuses == {302: 1, 409: 1}
        assert "revoked already" in refused(answers)[0]
        assert coupon.events.filter(kind="revoked").count() == 1


def test_two_managers_take_back_at_once_and_one_is_told(desk):
    two = managers(2)
    for _ in range(ROUNDS):
        coupon = desk.coupon("verified")
        live = coupon.verifications.get()

        statuses, answers = race(two, desk.take_back, coupon, verification=live)

        assert statuses == {302: 1, 409: 1}
        assert "taken back already" in refused(answers)[0]
        assert coupon.events.filter(kind="undone").count() == 1
        assert Verification.objects.get(pk=live.pk).undone_at


def test_issue_another_pressed_by_twenty_shows_one_link_of_one_coupon(desk):
    everybody = managers(THREADS)
    for _ in range(ROUNDS):
        old = desk.coupon("revoked", desk.contact())

        statuses, answers = race(everybody, desk.replace, old)

        assert statuses == {200: 1, 409: THREADS - 1}
        new = Coupon.objects.get(replaces=old)
        shown = [a for a in answers if new.token in a.content.decode()]
        assert [answer.status_code for answer in shown] == [200]
        assert all(new.shown_number in words for words in refused(answers))


def test_send_on_line_pressed_by_twenty_is_one_delivery_of_one_coupon(desk):
    everybody = managers(THREADS)
    for _ in range(ROUNDS):
        old = desk.coupon("revoked", desk.contact())

        statuses, _ = race(everybody, desk.replace, old, "line")

        assert statuses == {302: 1, 409: THREADS - 1}
        new = Coupon.objects.get(replaces=old)
        assert Delivery.objects.filter(coupon=new).count() == 1
        assert Event.objects.filter(coupon=new, kind="issued").count() == 1


def test_one_person_pressing_send_twice_at_once_sees_it_done_both_times(desk):
    for _ in range(ROUNDS):
        old = desk.coupon("revoked", desk.contact())
        both = [signed_in(desk.manager), signed_in(desk.manager)]

        statuses, _ = race(both, desk.replace, old, "line")

        assert statuses == {302: 2}
        assert Coupon.objects.filter(replaces=old).count() == 1
