"""The story on a coupon's record: every step and refusal, told so that people follow."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from coupons.errors import MESSAGES, CouponError
from coupons.models import Attempt, Coupon, Event, Verification
from coupons.services import (
    Source,
    issue,
    mark_sent,
    open_coupon,
    redeem,
    reissue,
    revoke,
    scan,
    undo,
    verify,
)
from reports.story import MOST_ATTEMPTS, story_of
from reports.tests.record_helpers import Desk, words_of
from testing.factories import instant, make_store, make_user

pytestmark = pytest.mark.django_db

START = instant("2026-05-01 12:00")  # 21:00 in Tokyo


@pytest.fixture
def desk():
    return Desk(
        use_starts_at=instant("2026-04-01 00:00"),
        use_ends_at=instant("2026-06-30 15:00"),
    )


def at(**after):
    """A clock that stands so long after the start."""
    return lambda: START + timedelta(**after)


def sent(desk, contact=None):
    [coupon] = issue(
        desk.campaign, [contact], source=Source("push", desk.manager), clock=at()
    )
    mark_sent({coupon.pk: at(seconds=2)()}, source=Source("push"))
    return coupon


def redeemed(desk):
    coupon = sent(desk)
    open_coupon(coupon.token, source=Source("page"), clock=at(hours=1))
    redeem(coupon.token, source=Source("page"), clock=at(hours=1, minutes=1))
    return coupon


def told(coupon, when=START + timedelta(days=10)):
    return story_of(Coupon.objects.get(pk=coupon.pk), at=when)


def lines(story):
    return [
        (f"{day.on:%m-%d}", f"{step.at.astimezone(story.zone):%H:%M}", str(step.what))
        for day in story.days
        for step in day.steps
    ]


def test_steps_and_refusals_stand_in_one_list_by_their_time(desk):
    coupon = sent(desk)
    scan(
        coupon.number,
        store=desk.store,
        staff=desk.clerk,
        nonce=uuid4(),
        clock=at(hours=2),
    )
    redeem(coupon.token, source=Source("page"), clock=at(hours=4))
    verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=5))

    story = told(coupon)

    assert story.zone.key == "Asia/Tokyo"
    assert lines(story) == [
        ("05-01", "21:00", "issued"),
        ("05-01", "21:00", "sent"),
        ("05-01", "23:00", "scan refused"),
        ("05-02", "01:00", "opened"),
        ("05-02", "01:00", "redeemed"),
        ("05-02", "02:00", "verified"),
    ]
    refused = story.days[0].steps[-1]
    assert refused.is_refused
    assert refused.why == MESSAGES["not_redeemed"]
    assert (refused.store, refused.who) == ("Clover Street", "Aki")


def test_the_page_tells_it_with_headings_of_days_and_its_zone(desk):
    coupon = redeemed(desk)
    verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=5))

    page = desk.record(coupon)

    words = words_of(page)
    assert "times in Asia/Tokyo" in words
    assert "2026-05-01 Friday" in words
    assert "2026-05-02 Saturday" in words
    assert "21:00:00 Issued message on LINE" in words
    assert "22:01:00 Redeemed on the coupon page" in words
    assert "02:00:00 Verified by scan Clover Street · Aki" in words
    story = page.content.decode().split('<ol class="bo-story"')[1]
    assert story.count("<h4>") == 2
    assert story.count('<li class="bo-step') == 5


@pytest.mark.parametrize(
    ("kind", "way", "words"),
    [
        ("issued", "push", "message on LINE"),
        ("issued", "api", "through the API"),
        ("sent", "staff", "link handed over by staff"),
        ("opened", "page", "on the coupon page"),
        ("revoked", "staff", "by staff"),
        ("issued", "something new", "something new"),
    ],
)
def test_how_a_step_came_about_is_told_in_words(desk, kind, way, words):
    coupon = Coupon.objects.create(
        campaign=desk.campaign, issued_at=START, ends_at=desk.campaign.use_ends_at
    )
    Event.objects.create(coupon=coupon, kind=kind, way=way, at=START)

    [day] = told(coupon).days

    assert str(day.steps[0].how) == words


def test_an_undone_verification_is_marked_where_it_stands_and_where_it_was_undone(desk):
    coupon = redeemed(desk)
    first = verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=2))
    undo(
        first.pk,
        by=desk.manager,
        reason="Wrong coupon",
        is_manager=True,
        clock=at(hours=2, minutes=3),
    )
    verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=3))

    steps = [step for day in told(coupon).days for step in day.steps]
    words = words_of(desk.record(coupon))

    undone, undoing, live = steps[-3:]
    assert undone.undone == first
    assert undoing.of == first
    assert undoing.reason == "Wrong coupon"
    assert live.undone is None
    assert "Taken back 23:03 by mika" in words
    assert "Of the verification on 2026-05-01 23:00 at Clover Street" in words
    assert words.count("“Wrong coupon”") == 1


def test_two_verifications_at_one_instant_are_told_apart(desk):
    coupon = redeemed(desk)
    same = at(hours=2)
    other_store = make_store(name="Station East")
    for store in (desk.store, other_store):
        found = verify(coupon.pk, store=store, staff=desk.clerk, clock=same)
        undo(found.pk, by=desk.manager, reason=store.name, is_manager=True, clock=same)

    steps = [step for day in told(coupon).days for step in day.steps][-4:]

    assert [step.undone.store.name for step in steps if step.undone] == [
        "Clover Street",
        "Station East",
    ]
    assert [step.of.store.name for step in steps if step.of] == [
        "Clover Street",
        "Station East",
    ]


def test_taken_back_on_another_day_it_says_which(desk):
    coupon = redeemed(desk)
    found = verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=2))
    undo(found.pk, by=desk.manager, reason="Late", is_manager=True, clock=at(hours=4))

    assert "Taken back 2026-05-02 01:00 by mika" in words_of(desk.record(coupon))


def test_a_tills_own_clock_is_shown_beside_ours(desk):
    coupon = redeemed(desk)
    found = verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=2))
    Verification.objects.filter(pk=found.pk).update(pos_time=at(hours=1)())

    assert "The till's own clock said 2026-05-01 22:00:00" in words_of(
        desk.record(coupon)
    )


@pytest.mark.parametrize("status", ["sent", "redeemed"])
def test_the_end_is_the_last_line(desk, status):
    coupon = sent(desk) if status == "sent" else redeemed(desk)

    before = told(coupon, instant("2026-06-30 14:59"))
    after = told(coupon, instant("2026-06-30 15:00"))

    assert (before.is_over, before.ends_at) == (False, coupon.ends_at)
    assert (after.is_over, after.ends_at) == (True, coupon.ends_at)


def test_the_page_says_that_a_coupon_has_expired_or_when_it_ends():
    ends = timezone.now() + timedelta(hours=2)
    desk = Desk(use_ends_at=ends)
    coupon = desk.coupon()
    running = words_of(desk.record(coupon))
    Coupon.objects.filter(pk=coupon.pk).update(ends_at=ends - timedelta(hours=3))

    over = words_of(desk.record(coupon))

    local = ends.astimezone(desk.campaign.zone)
    assert f"Ends on {local:%Y-%m-%d %H:%M}" in running
    assert "Expired on" not in running
    assert f"Expired on {local - timedelta(hours=3):%Y-%m-%d %H:%M}" in over
    assert "sent expired" in over


def test_a_used_or_revoked_coupon_never_reads_as_expired(desk):
    used = redeemed(desk)
    verify(used.pk, store=desk.store, staff=desk.clerk, clock=at(hours=2))
    gone = sent(desk)
    revoke(gone.pk, source=Source("staff", desk.manager), reason="x", clock=at(hours=2))
    late = instant("2026-07-01 00:00")

    assert told(used, late).ends_at is None
    assert told(gone, late).ends_at is None
    assert told(used).ends_at == used.ends_at
    assert not told(used, late).is_over


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_every_refusal_is_told_in_the_words_of_the_error(desk, code):
    coupon = sent(desk)
    Attempt.objects.create(
        action="verify", reason=code, coupon=coupon, at=at(hours=1)()
    )

    step = told(coupon).days[-1].steps[-1]

    assert str(step.why) == CouponError(code).message


def test_refusals_of_every_kind_say_what_was_tried(desk):
    coupon = sent(desk)
    tries: list[dict[str, Any]] = [
        {"action": "redeem"},
        {"action": "verify", "nonce": uuid4(), "digest": "a"},
        {"action": "verify"},
    ]
    for minutes, given in enumerate(tries, start=1):
        Attempt.objects.create(
            reason="expired", coupon=coupon, at=at(minutes=minutes)(), **given
        )

    what = [str(step.what) for step in told(coupon).days[0].steps[-3:]]

    assert what == ["redeem refused", "scan refused", "verification refused"]


def test_scans_that_went_well_stand_once(desk):
    coupon = redeemed(desk)
    scan(
        coupon.number,
        store=desk.store,
        staff=desk.clerk,
        nonce=uuid4(),
        clock=at(hours=2),
    )

    what = [step.kind for day in told(coupon).days for step in day.steps]

    assert what.count("verified") == 1
    assert "refused" not in what


def many_refused(coupon, count):
    Attempt.objects.bulk_create(
        Attempt(
            action="redeem",
            reason="not_started",
            coupon=coupon,
            at=at(minutes=number)(),
        )
        for number in range(1, count + 1)
    )


@pytest.mark.parametrize(("count", "hidden"), [(200, 0), (201, 1), (260, 60)])
def test_of_many_refusals_the_newest_are_shown_and_the_rest_is_counted(
    desk, count, hidden
):
    coupon = sent(desk)
    many_refused(coupon, count)

    story = told(coupon)
    words = words_of(desk.record(coupon))

    steps = [step for day in story.days for step in day.steps]
    refused = [step for step in steps if step.is_refused]
    assert len(refused) == MOST_ATTEMPTS
    assert refused[-1].at == at(minutes=count)()
    assert story.not_shown == hidden
    assert (f"{hidden} earlier refused attempt" in words) == bool(hidden)
    assert [step.kind for step in steps if not step.is_refused] == ["issued", "sent"]


def test_a_long_story_takes_no_more_queries_than_a_short_one(desk):
    short, long = sent(desk), redeemed(desk)
    clock = 60
    for number in range(20):
        found = verify(
            long.pk, store=desk.store, staff=desk.clerk, clock=at(minutes=clock + 1)
        )
        undo(
            found.pk,
            by=make_user("Manager"),
            reason=f"Again {number}",
            is_manager=True,
            clock=at(minutes=clock + 2),
        )
        clock += 2
    many_refused(long, 40)
    desk.record(short)

    with CaptureQueriesContext(connection) as few:
        desk.record(short)
    with CaptureQueriesContext(connection) as many:
        page = desk.record(long)

    assert page.content.decode().count('<li class="bo-step') == 4 + 40 + 40
    # One more for its serial, one for its batch at most.
    assert len(many) <= len(few) + 2


def test_names_and_reasons_are_text_and_nothing_else(desk):
    desk.clerk.first_name = "<b>Aki</b>"
    desk.clerk.save()
    coupon = redeemed(desk)
    found = verify(coupon.pk, store=desk.store, staff=desk.clerk, clock=at(hours=2))
    undo(
        found.pk,
        by=desk.manager,
        reason="<script>alert(1)</script>",
        is_manager=True,
        clock=at(hours=3),
    )

    page = desk.record(coupon).content.decode()

    assert "<b>Aki" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_no_page_of_a_record_holds_the_token(desk):
    old = redeemed(desk)
    revoke(old.pk, source=Source("staff", desk.manager), reason="x")
    new = Coupon.objects.create(
        campaign=desk.campaign,
        issued_at=START,
        ends_at=old.ends_at,
        replaces=old,
    )

    for coupon in (old, new):
        page = desk.record(coupon).content.decode()
        assert old.token not in page
        assert new.token not in page
        assert not re.search(r"/c/[A-Za-z0-9_-]{20}", page)


def test_a_handed_over_coupon_says_so(desk):
    old = sent(desk)
    by = Source("staff", desk.manager)
    revoke(old.pk, source=by, reason="x", clock=at(hours=1))
    new = reissue(old.pk, source=by, is_handed_over=True, clock=at(hours=2))

    words = words_of(desk.record(new))

    assert "Issued by staff mika" in words
    assert "Sent link handed over by staff mika" in words


def test_the_list_says_which_coupons_have_expired():
    desk = Desk()
    running, over = desk.coupon(), desk.coupon("redeemed")
    ended = timezone.now() - timedelta(seconds=1)
    Coupon.objects.filter(pk=over.pk).update(ends_at=ended)

    page = desk.client.get("/admin/reports/redemptionrecord/")

    words = words_of(page)
    assert "redeemed, expired" in words
    assert "sent, expired" not in words
    assert running.shown_number in words
