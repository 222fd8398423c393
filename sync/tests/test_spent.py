"""A code that is spent here doesn't stay usable at Paddle or Vivoldi without a word."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns.models import Campaign
from coupons.models import Verification
from reports.step_words import details_of
from serials.models import Batch
from sync.errors import SyncError
from sync.models import (
    Difference,
    Publication,
    RemoteCoupon,
    SpentCount,
    Step,
    Use,
)
from sync.publishing import spending
from sync.publishing.spending import Spent, ask_back, count_spent
from sync.publishing.walking import to_walk, walk
from sync.pulling import spent
from sync.services.publishing import (
    close,
    newcomers,
    pause,
    resume,
    retry,
    top_up,
)
from sync.services.pulling import actions_for, mend, words_for
from sync.tests.looks import Clock, Watch
from sync.tests.publishing import (
    an_offer,
    later,
    numbers,
    prepare_all,
    running_accounts,
    statuses,
)
from sync.tests.spent_helpers import (
    code_of,
    make_one_void,
    make_void,
    open_spent,
    redeemed,
    revoked,
    row_of,
    undone,
    verified,
)
from sync.tests.uses_helpers import make_paddle, make_vivoldi, publish
from sync.uses import Told, note_use
from testing.factories import (
    make_fixed_batch,
    make_remote_coupon,
    make_serials,
    make_user,
)

CODES = pytest.mark.parametrize("provider", ["paddle", "vivoldi"])


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


@pytest.fixture
def manager(db):
    return make_user("Manager")


def watch(accounts, provider="paddle"):
    return Watch(accounts.connection(provider), Clock())


def published(accounts, provider="paddle", count=4, **fields):
    """So many codes there, and what looks at them."""
    publication = accounts.done(provider, an_offer(provider, count), **fields)
    return publication, watch(accounts, provider)


def settle(accounts, looks, provider="paddle"):
    """All that workers have to do; their turns take some hours."""
    accounts.settle(provider)
    looks.clock.pass_(hours=7)


def the_difference():
    return Difference.objects.get(field="spent", ended_at=None)


def take_back(manager):
    mend(the_difference().pk, "clear", by=manager)


def fresh(publication):
    return Publication.objects.get(pk=publication.pk)


# --- which codes --------------------------------------------------------------------------


ROWS = ["AAAA1111", "BBBB2222", "CCCC3333"]


@pytest.fixture
def paddle(db):
    return publish(make_paddle(), ROWS)


def counted(row):
    return count_spent(fresh(row.publication))


def test_what_nobody_may_use_here_and_anybody_can_there_is_counted(paddle):
    row = paddle["AAAA1111"]
    verified(row.campaign)
    revoked(row.campaign)
    make_one_void("CCCC3333")

    assert counted(row) == Spent(void=1, used=1, revoked=1)


def test_a_void_text_for_everybody_counts_one(paddle):
    row = paddle["AAAA1111"]
    text = make_fixed_batch(row.campaign, code="EVERYBODY1", quantity=5)
    fixed = make_remote_coupon(row.publication, batch=text, remote_id=text.code)
    Use.objects.create(
        connection_id=fixed.connection_id,
        coupon=fixed,
        source="count",
        outcome="counted",
        seen_at=timezone.now(),
    )
    assert counted(row) == Spent()

    make_void(row.campaign)

    assert counted(row) == Spent(void=4)  # used once, it can be used again


def test_what_is_only_redeemed_is_not_spent(paddle):
    redeemed(paddle["AAAA1111"].campaign)

    assert counted(paddle["AAAA1111"]) == Spent()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "gone"},
        {"status": "waiting", "errand": "create", "next_try_at": timezone.now()},
        {"status": "refused"},
        {"missing_since": timezone.now()},
        {"errand": "delete", "next_try_at": timezone.now()},
    ],
    ids="gone waiting refused missing going".split(),
)
def test_what_is_not_there_or_going_is_not_counted(paddle, changes):
    make_void(paddle["AAAA1111"].campaign)
    RemoteCoupon.objects.exclude(remote_id="CCCC3333").update(**changes)

    assert counted(paddle["AAAA1111"]) == Spent(void=1)


def test_what_was_used_at_this_very_account_is_used_up_there(paddle):
    row = paddle["AAAA1111"]
    redeemed(row.campaign)
    for number, code in enumerate(ROWS[:2]):  # somebody's, and nobody's
        note_use(Told(row.connection_id, code, f"order:{number}"))
    assert Verification.objects.get().way == "paddle"

    assert counted(row) == Spent()


def test_what_was_used_at_one_account_is_spent_at_another(paddle):
    row = paddle["AAAA1111"]
    other = make_paddle()
    publication = Publication.objects.create(
        campaign=row.campaign,
        connection=other,
        state="open",
        prepared_at=timezone.now(),
        nonce="6f6b8a52-7b0c-4c1e-8b0e-0a8a2f9d3d11",
        total=3,
        live=3,
    )
    for code, one in paddle.items():
        make_remote_coupon(publication, serial=one.serial, remote_id=code)
    redeemed(row.campaign)

    for number, code in enumerate(ROWS[:2]):
        note_use(Told(row.connection_id, code, f"order:{number}"))

    assert count_spent(publication) == Spent(void=1, used=1)


def test_what_vivoldi_is_told_of_is_used_up_there(db):
    rows = publish(make_vivoldi(), ROWS, is_mirrored=True)
    campaign = rows["AAAA1111"].campaign
    verified(campaign)
    revoked(campaign)
    make_one_void("CCCC3333")

    assert counted(rows["AAAA1111"]) == Spent(void=1, revoked=1)


# --- a look -------------------------------------------------------------------------------


@CODES
def test_a_look_says_what_is_spent_here_and_usable_there(accounts, provider):
    publication, looks = published(accounts, provider)
    looks.look()
    assert open_spent() is None
    Campaign.objects.update(updated_at=timezone.now() - timedelta(days=1))
    verified(publication.campaign)
    make_void(publication.campaign)

    looks.look()

    found = the_difference()
    assert (found.publication, found.coupon) == (publication, None)
    assert (found.ours, found.theirs) == ("void:3 used:1", "usable")
    words = words_for(found)
    assert (words.field, words.ours, words.theirs) == (
        "Spent codes",
        "3 void, 1 used",
        "still usable",
    )
    assert "used there" in words.note


def test_it_ends_by_itself_when_none_is_left(accounts):
    publication, looks = published(accounts)
    verification = verified(publication.campaign)
    looks.look()
    assert open_spent() == "used:1"

    undone(verification)
    looks.look()

    assert open_spent() is None
    assert Difference.objects.get(field="spent").ended_how == "agreed"


def test_its_numbers_follow_and_the_history_tells_once(accounts):
    publication, looks = published(accounts)
    for number in (1, 2, 3):
        verified(publication.campaign)
        looks.look()
        assert open_spent() == f"used:{number}"

    steps = Step.objects.filter(kind="differs")
    assert Difference.objects.filter(field="spent").count() == 1
    assert [step.facts["ours"] for step in steps] == ["used:1"]


def test_comparing_terms_does_not_end_it(accounts, manager):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    Campaign.objects.update(benefit_value=25, updated_at=looks.clock())

    looks.look()
    assert open_spent() == "used:1"
    mend(Difference.objects.get(field="discount_amount").pk, "send", by=manager)

    assert open_spent() == "used:1"


def test_let_be_it_stays_away_until_there_are_more(accounts, manager):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()

    mend(the_difference().pk, "accept", by=manager)
    looks.look(is_whole=True)
    assert open_spent() is None
    verified(publication.campaign)
    looks.look()

    assert open_spent() == "used:2"


def test_a_campaign_that_is_over_leaves_nothing_to_use_there(accounts):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    looks.clock.pass_(days=400)

    looks.look()

    assert open_spent() is None


def test_what_is_being_taken_back_altogether_is_no_difference(accounts, manager):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()

    close(publication.pk, by=manager)
    looks.look()

    assert open_spent() is None


def counted_at():
    return SpentCount.objects.get().counted_at


def test_a_look_counts_only_where_a_sign_has_changed(accounts):
    publication, looks = published(accounts)
    looks.look()
    first = counted_at()

    looks.look()
    assert counted_at() == first
    verified(publication.campaign)
    looks.look()
    second = counted_at()
    looks.look()
    assert counted_at() == second > first
    looks.look(is_whole=True)
    assert counted_at() > second


def test_many_codes_wait_for_sales_and_not_for_a_void_batch(accounts, monkeypatch):
    monkeypatch.setattr("sync.pulling.spent.PATIENCE", timedelta(minutes=10))
    publication, looks = published(accounts)
    looks.look()

    verified(publication.campaign)
    looks.look()
    assert open_spent() is None
    looks.clock.pass_(minutes=40)  # of four codes
    looks.look()
    assert open_spent() == "used:1"

    make_void(publication.campaign)
    looks.look()
    assert open_spent() == "void:3 used:1"


def test_a_count_of_before_somebody_took_the_codes_back_is_thrown_away(
    accounts, manager, monkeypatch
):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    found = the_difference()
    real = spending.count_spent

    def slow(one):
        spent = real(one)
        if found.ended_at is None:
            mend(found.pk, "clear", by=manager)
            found.refresh_from_db()
            walk(publication.pk)
        return spent

    monkeypatch.setattr("sync.pulling.spent.count_spent", slow)
    looks.look(is_whole=True)

    assert not fresh(publication).is_clearing
    assert open_spent() is None


def test_asked_for_before_the_count_begins_it_is_not_said_again(
    accounts, manager, monkeypatch
):
    """The look has read by then which publications there are."""
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    found = the_difference()
    real = spent._count

    def late(held, one, signs):
        mend(found.pk, "clear", by=manager)
        real(held, one, signs)

    monkeypatch.setattr(spent, "_count", late)
    looks.look(is_whole=True)

    assert fresh(publication).is_clearing
    assert open_spent() is None


# --- taking them back ---------------------------------------------------------------------


@CODES
def test_spent_codes_are_taken_back_and_the_others_stay(accounts, provider, manager):
    publication, looks = published(accounts, provider)
    code = code_of(verified(publication.campaign))
    kept = redeemed(publication.campaign).serial.code
    make_void(publication.campaign)
    looks.look()
    [clear, accept] = actions_for(the_difference())
    assert (clear.key, clear.is_grave, accept.key) == ("clear", True, "accept")
    assert "published again" in clear.warning

    take_back(manager)
    settle(accounts, looks, provider)

    assert accounts.there(provider) == [kept]
    assert numbers(publication) == (4, 1, 3, 0, 0)
    row = row_of(publication, code)
    assert (row.status, row.is_spent, row.detail) == ("gone", True, "")
    assert not fresh(publication).is_clearing
    assert fresh(publication).state == "open"
    looks.look()
    looks.look(is_whole=True)
    assert open_spent() is None
    assert not Difference.objects.filter(ended_at=None, coupon__isnull=False).exists()
    call_command("audit_ledger")


def test_the_history_tells_who_took_them_back(accounts, manager):
    publication, looks = published(accounts)
    make_void(publication.campaign)
    looks.look()

    take_back(manager)

    step = Step.objects.get(kind="mended")
    assert (step.by, step.publication) == (manager, publication)
    said = details_of(step)
    assert "Spent codes" in said
    assert "4 void" in said
    assert "still usable" in said
    assert "taken back there" in said


def test_a_second_press_finds_it_settled(accounts, manager):
    publication, looks = published(accounts)
    make_void(publication.campaign)
    looks.look()
    found = the_difference()
    take_back(manager)

    with pytest.raises(SyncError) as refusal:
        mend(found.pk, "clear", by=manager)

    assert refusal.value.code == "ended"


def test_while_it_is_under_way_no_look_says_it_again(accounts, manager):
    publication, looks = published(accounts)
    make_void(publication.campaign)
    looks.look()
    take_back(manager)

    looks.look(is_whole=True)  # nobody has walked yet
    assert open_spent() is None
    prepare_all()
    looks.look(is_whole=True)  # told, but not gone

    assert open_spent() is None
    assert statuses(publication) == {"live": 4}


def test_what_the_provider_refuses_to_let_go_is_said_again(accounts, manager):
    publication, looks = published(accounts, count=1)
    make_void(publication.campaign)
    looks.look()
    take_back(manager)
    prepare_all()
    RemoteCoupon.objects.update(  # as a worker leaves what got a no
        errand="", next_try_at=None, failures=1, detail="Paddle says no."
    )
    looks.look()
    assert open_spent() == "void:1"

    take_back(manager)
    settle(accounts, looks)

    assert accounts.there("paddle") == []
    assert numbers(publication) == (1, 0, 1, 0, 0)


def refused_to_go(accounts, manager):
    """A code used here that Paddle would not let go of."""
    publication, looks = published(accounts, count=1)
    verification = verified(publication.campaign)
    looks.look()
    take_back(manager)
    prepare_all()
    RemoteCoupon.objects.update(
        errand="", next_try_at=None, failures=1, detail="Paddle says no."
    )
    return publication, verification


def test_what_was_refused_to_go_is_tried_again_as_that(accounts, manager):
    publication, _verification = refused_to_go(accounts, manager)

    assert retry(publication.pk, by=manager) == 1
    accounts.settle("paddle")

    assert accounts.there("paddle") == []
    assert numbers(publication) == (1, 0, 1, 0, 0)


def test_tried_again_it_stays_where_it_is_good_again(accounts, manager):
    publication, verification = refused_to_go(accounts, manager)
    undone(verification)

    retry(publication.pk, by=manager)

    row = row_of(publication, code_of(verification))
    assert (row.status, row.errand, row.failures, row.detail) == ("live", "", 0, "")
    assert accounts.there("paddle") == [code_of(verification)]


def test_tried_again_while_all_is_taken_back_it_goes(accounts, manager):
    """A second no to what was asked for once already counts as gone."""
    publication, verification = refused_to_go(accounts, manager)
    undone(verification)
    close(publication.pk, by=manager)
    prepare_all()

    retry(publication.pk, by=manager)

    row = row_of(publication, code_of(verification))
    assert row.errand == "delete"
    assert row.first_try_at is not None


def test_undone_before_its_turn_a_code_stays(accounts, manager):
    publication, looks = published(accounts)
    verification, other = (verified(publication.campaign) for _ in range(2))
    looks.look()
    take_back(manager)

    undone(verification)
    settle(accounts, looks)

    assert row_of(publication, code_of(verification)).status == "live"
    assert row_of(publication, code_of(other)).status == "gone"
    assert numbers(publication) == (4, 3, 1, 0, 0)


@CODES
def test_undone_while_it_waits_to_be_taken_back_a_code_stays(
    accounts, provider, manager
):
    """The account may be paused for days between the walk and the call."""
    publication, looks = published(accounts, provider)
    verification, other = (verified(publication.campaign) for _ in range(2))
    looks.look()
    take_back(manager)
    prepare_all()
    row = row_of(publication, code_of(verification))
    assert (row.errand, row.is_spent) == ("delete", True)

    undone(verification)
    settle(accounts, looks, provider)

    assert code_of(verification) in accounts.there(provider)
    assert code_of(other) not in accounts.there(provider)
    row.refresh_from_db()
    assert (row.status, row.errand, row.is_spent) == ("live", "", False)
    assert (row.failures, row.first_try_at) == (0, None)
    assert numbers(publication) == (4, 3, 1, 0, 0)


def test_undone_after_a_try_without_an_answer_it_goes_and_may_come_back(
    accounts, manager
):
    """Paddle may have let go of it already."""
    publication, looks = published(accounts)
    verification = verified(publication.campaign)
    looks.look()
    take_back(manager)
    prepare_all()
    accounts.sandbox.fault("paddle_delete", "accept_then_drop", times=1)
    accounts.turn("paddle", clock=later(hours=1))
    assert code_of(verification) not in accounts.there("paddle")

    undone(verification)
    settle(accounts, looks)

    assert row_of(publication, code_of(verification)).status == "gone"
    assert newcomers(fresh(publication)) == 1


def test_undone_while_all_is_taken_back_it_goes(accounts, manager):
    publication, looks = published(accounts)
    verification = verified(publication.campaign)
    looks.look()
    take_back(manager)
    prepare_all()

    undone(verification)
    close(publication.pk, by=manager)
    settle(accounts, looks)

    assert accounts.there("paddle") == []


def test_spent_while_the_walk_goes_on_it_goes_too(accounts, manager):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    take_back(manager)

    make_void(publication.campaign)
    settle(accounts, looks)

    assert accounts.there("paddle") == []


@CODES
def test_undone_afterwards_a_code_is_published_again(accounts, provider, manager):
    publication, looks = published(accounts, provider)
    verification, other = (verified(publication.campaign) for _ in range(2))
    looks.look()
    take_back(manager)
    settle(accounts, looks, provider)
    assert newcomers(fresh(publication)) == 0

    undone(verification)
    assert newcomers(fresh(publication)) == 1
    top_up(publication.pk, by=manager)
    settle(accounts, looks, provider)

    assert newcomers(fresh(publication)) == 0
    assert numbers(publication) == (4, 3, 1, 0, 0)
    row = row_of(publication, code_of(verification))
    assert (row.status, row.errand, row.is_spent) == ("live", "", False)
    assert row.gone_at is None
    assert code_of(verification) in accounts.there(provider)
    assert code_of(other) not in accounts.there(provider)
    looks.look(is_whole=True)
    assert not Difference.objects.filter(ended_at=None).exists()
    call_command("audit_ledger")


def test_its_name_may_belong_to_another_campaign_by_then(accounts, manager):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["SHARED0001"])
    publication, looks = accounts.done("paddle", campaign), watch(accounts)
    verification = verified(campaign)
    looks.look()
    take_back(manager)
    settle(accounts, looks)
    other = an_offer("paddle", 0, name="The other")
    make_serials(other, ["SHARED0001"])
    accounts.done("paddle", other)

    undone(verification)
    top_up(publication.pk, by=manager)
    settle(accounts, looks)

    row = row_of(publication, "SHARED0001")
    assert row.status == "refused"
    assert "The other" in row.detail
    assert numbers(publication) == (1, 0, 0, 1, 0)


def test_what_is_to_stay_away_does_not_come_back(accounts, manager):
    publication, looks = published(accounts)
    code = redeemed(publication.campaign).serial.code
    accounts.sandbox.delete_paddle_coupon(code)
    looks.look()
    mend(Difference.objects.get(field="missing").pk, "gone", by=manager)

    top_up(publication.pk, by=manager)
    settle(accounts, looks)

    assert row_of(publication, code).status == "gone"
    assert code not in accounts.there("paddle")


def test_what_was_spent_and_is_to_stay_away_does_not_come_back(accounts, manager):
    """It was refused to go, somebody deleted it there, and its verification is undone."""
    publication, verification = refused_to_go(accounts, manager)
    code, looks = code_of(verification), watch(accounts)
    accounts.sandbox.delete_paddle_coupon(code)
    looks.look()
    mend(Difference.objects.get(field="missing").pk, "gone", by=manager)

    undone(verification)

    assert newcomers(fresh(publication)) == 0
    top_up(publication.pk, by=manager)
    settle(accounts, looks)
    assert row_of(publication, code).status == "gone"
    assert accounts.there("paddle") == []


def test_closing_meanwhile_wins(accounts, manager):
    publication, looks = published(accounts)
    verified(publication.campaign)
    looks.look()
    take_back(manager)

    close(publication.pk, by=manager)
    settle(accounts, looks)

    found = fresh(publication)
    assert (found.state, found.is_clearing) == ("closed", False)
    assert numbers(publication) == (4, 0, 4, 0, 0)
    assert accounts.there("paddle") == []


def test_only_what_is_open_is_cleared(accounts, manager):
    publication, looks = published(accounts)
    make_void(publication.campaign)
    looks.look()
    found = the_difference()
    close(publication.pk, by=manager)

    with pytest.raises(SyncError) as refusal:
        mend(found.pk, "clear", by=manager)

    assert refusal.value.code == "wrong_state"
    with pytest.raises(IntegrityError), transaction.atomic():
        Publication.objects.filter(pk=publication.pk).update(is_clearing=True)


def test_a_pause_stops_it_and_resuming_goes_on(accounts, manager):
    publication, looks = published(accounts)
    make_void(publication.campaign)
    looks.look()
    take_back(manager)
    pause(publication.pk, by=manager)
    settle(accounts, looks)
    assert len(accounts.there("paddle")) == 4

    resume(publication.pk, by=manager)
    settle(accounts, looks)

    assert accounts.there("paddle") == []


# --- the walk -----------------------------------------------------------------------------


@pytest.fixture
def walked(paddle, monkeypatch):
    """Three void codes, to be taken back one by one."""
    monkeypatch.setattr(spending, "PIECE", 1)
    publication = paddle["AAAA1111"].publication
    make_void(publication.campaign)
    with transaction.atomic():
        ask_back(publication.pk)
    return publication


def going():
    rows = RemoteCoupon.objects.filter(errand="delete").order_by("pk")
    return list(rows.values_list("remote_id", flat=True))


def done():
    """As a worker leaves a code that it has taken back."""
    RemoteCoupon.objects.filter(errand="delete").update(
        status="gone", errand="", next_try_at=None
    )


def test_the_next_piece_is_given_once_the_last_is_done(walked):
    seen = []
    for _turn in range(4):
        assert to_walk(timezone.now()) == [walked.pk]
        assert walk(walked.pk) is False
        assert walk(walked.pk) is False
        seen.append(going())
        done()

    assert seen == [["AAAA1111"], ["BBBB2222"], ["CCCC3333"], []]
    assert to_walk(timezone.now()) == []
    assert (fresh(walked).is_clearing, fresh(walked).cleared_to) == (False, 0)


def test_a_walk_is_gone_on_with_where_it_stood(walked, paddle):
    walk(walked.pk)
    done()
    first = paddle["AAAA1111"].pk
    assert fresh(walked).cleared_to == first
    # Behind the mark nothing is looked at again.
    RemoteCoupon.objects.filter(pk=first).update(status="live")

    walk(walked.pk)

    assert going() == ["BBBB2222"]


@pytest.mark.parametrize(
    "busy",
    [
        {"errand": "update", "leased_until": timezone.now()},
        {"errand": "redeem"},
    ],
    ids="held told".split(),
)
def test_what_is_busy_is_waited_for(walked, paddle, busy):
    row = RemoteCoupon.objects.filter(pk=paddle["AAAA1111"].pk)
    row.update(**busy, next_try_at=timezone.now())

    assert walk(walked.pk) is False
    assert going() == []
    row.update(errand="", leased_until=None, next_try_at=None)
    walk(walked.pk)

    assert going() == ["AAAA1111"]


def test_a_change_that_waits_makes_way(walked, paddle):
    RemoteCoupon.objects.update(errand="update", next_try_at=timezone.now())

    walk(walked.pk)

    assert going() == ["AAAA1111"]


def test_another_walker_that_has_the_lease_is_left_alone(walked):
    Publication.objects.update(leased_until=timezone.now() + timedelta(1))

    assert walk(walked.pk) is False
    assert going() == []
    assert walk(walked.pk, clock=later(days=2)) is False
    assert going() == ["AAAA1111"]


# --- publishing ---------------------------------------------------------------------------


def test_what_is_spent_is_not_published_at_all(accounts, manager):
    campaign = an_offer("paddle", 4)
    used, lost = code_of(verified(campaign)), revoked(campaign).serial.code
    held = redeemed(campaign).serial.code

    publication = accounts.done("paddle", campaign)

    there = accounts.there("paddle")
    assert len(there) == 2
    assert held in there
    assert not {used, lost} & set(there)
    assert numbers(publication) == (2, 2, 0, 0, 0)
    assert newcomers(publication) == 0


@CODES
def test_publish_the_new_ones_leaves_out_what_is_spent(accounts, provider, manager):
    publication = accounts.done(provider)
    make_serials(publication.campaign, ["LATER00001", "LATER00002"])
    for _ in range(4):  # three that are there, then one that isn't
        last = verified(publication.campaign)

    top_up(publication.pk, by=manager)
    accounts.settle(provider)

    assert code_of(last) not in accounts.there(provider)
    assert numbers(publication) == (4, 4, 0, 0, 0)
    undone(last)
    assert newcomers(fresh(publication)) == 1
    top_up(publication.pk, by=manager)
    accounts.settle(provider)
    assert code_of(last) in accounts.there(provider)


def test_one_that_was_undone_and_is_new_is_counted_once(accounts):
    publication = accounts.done("paddle", an_offer("paddle", 1))
    redeemed(publication.campaign)  # has the one that is there
    make_serials(publication.campaign, 2)
    undone(verified(publication.campaign))

    assert newcomers(fresh(publication)) == 2
    top_up(publication.pk, by=None)
    accounts.settle("paddle")

    assert newcomers(fresh(publication)) == 0
    assert numbers(publication) == (3, 3, 0, 0, 0)


def test_void_serials_hide_no_new_ones(accounts):
    publication = accounts.done("paddle", an_offer("paddle", 4))
    make_void(publication.campaign)
    make_serials(publication.campaign, 2)

    assert newcomers(fresh(publication)) == 2


def test_what_came_while_serials_were_walked_is_counted_exactly(accounts):
    """The walk may have been past some of a batch when that became ready."""
    campaign = an_offer("paddle", 4)
    publication = accounts.done("paddle", campaign)
    batch = make_serials(campaign, ["AAA0000001", "AAA0000002"])
    between = (
        publication.created_at
        + (fresh(publication).prepared_at - publication.created_at) / 2
    )
    Batch.objects.filter(pk=batch.pk).update(ready_at=between)
    Step.objects.filter(publication=publication, kind="published").update(
        at=publication.created_at
    )

    assert newcomers(fresh(publication)) == 2
    top_up(publication.pk, by=None)
    accounts.settle("paddle")

    assert newcomers(fresh(publication)) == 0
    assert numbers(publication) == (6, 6, 0, 0, 0)


def test_what_is_spent_before_its_turn_is_not_made(accounts, manager):
    campaign = an_offer("paddle", 4)
    publication = accounts.publish("paddle", campaign)
    prepare_all()
    used, lost = code_of(verified(campaign)), revoked(campaign).serial.code

    accounts.settle("paddle")

    assert not {used, lost} & set(accounts.there("paddle"))
    assert numbers(publication) == (4, 2, 0, 2, 0)
    assert "used or revoked here" in row_of(publication, used).detail
