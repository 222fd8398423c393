"""What people do about differences, and coupons that they take over."""

import pytest

from campaigns.models import Campaign
from sandbox.testing import start_sandbox
from serials.models import Serial
from sync.errors import SyncError
from sync.models import Difference, Publication, RemoteCoupon, Run, Step, Use
from sync.options import PaddleOptions
from sync.publishing.terms import terms_of
from sync.publishing.walking import walk
from sync.publishing.working import work
from sync.services.pulling import (
    actions_for,
    adopt,
    let_go,
    mend,
    start_run,
    words_for,
)
from sync.tests.looks import (
    Clock,
    Watch,
    make_publication,
    make_remote,
    make_shown_campaign,
)
from testing.factories import make_campaign, make_connection, make_serials, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def sandbox(settings):
    settings.PADDLE_RATE = settings.VIVOLDI_RATE = 60_000  # a minute: tests don't wait
    with start_sandbox(token="token") as sandbox:
        sandbox.add_paddle(vendor_id=123, auth_code="abc")
        sandbox.add_vivoldi(api_key="key")
        settings.LINE_API_URL = sandbox.url
        settings.PADDLE_API_URL = sandbox.paddle_url
        settings.VIVOLDI_API_URL = sandbox.vivoldi_url
        yield sandbox


@pytest.fixture
def manager(db):
    return make_user("Manager")


@pytest.fixture
def line(sandbox):
    return Watch(make_connection(access_token="token"), Clock())


@pytest.fixture
def paddle(sandbox):
    connection = make_connection(
        provider="paddle", account_id="123", access_token="abc"
    )
    return Watch(connection, Clock())


@pytest.fixture
def vivoldi(sandbox):
    connection = make_connection(provider="vivoldi", account_id="", access_token="key")
    return Watch(connection, Clock())


def publish_codes(sandbox, watch, count):
    """Codes at Paddle with the terms that the campaign has."""
    campaign = make_shown_campaign(has_text=False)
    batch = make_serials(campaign, count)
    terms = terms_of(campaign, watch.connection, PaddleOptions(), at=watch.clock())
    publication = make_publication(watch.connection, campaign, terms=terms)
    codes = []
    for serial in Serial.objects.filter(batch=batch).order_by("pos"):
        sandbox.make_paddle_coupon(**terms, coupon_code=serial.code, allowed_uses=1)
        make_remote(publication, serial.code, serial=serial, own={"allowed_uses": 1})
        codes.append(serial.code)
    return publication, codes


def do_errands(watch):
    """What workers would do."""
    for publication in Publication.objects.all():
        walk(publication.pk, seconds=5, clock=watch.clock)
    work(watch.connection.pk, seconds=5, clock=watch.clock)


def keys(difference):
    return [action.key for action in actions_for(difference)]


def the_difference(**which):
    return Difference.objects.get(ended_at=None, **which)


# --- differences of one coupon -----------------------------------------------------------


def test_what_was_changed_at_paddle_is_overwritten_by_ours(sandbox, paddle, manager):
    _publication, codes = publish_codes(sandbox, paddle, 2)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=7)
    paddle.look()
    found = the_difference(field="allowed_uses")
    assert keys(found) == ["send", "edit", "accept"]

    mend(found.pk, "send", by=manager)
    do_errands(paddle)

    [there] = [c for c in sandbox.paddle_coupons() if c["code"] == codes[0]]
    assert there["allowed_uses"] == 1
    found.refresh_from_db()
    assert (found.ended_how, found.ended_by) == ("sent", manager)
    paddle.look()
    assert not Difference.objects.filter(ended_at=None).exists()
    step = Step.objects.get(kind="mended")
    assert (step.by, step.facts["field"], step.facts["how"]) == (
        manager,
        "allowed_uses",
        "sent",
    )


def test_difference_that_somebody_let_be_comes_back_only_with_another_value(
    sandbox, paddle, manager
):
    _publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=7)
    paddle.look()

    mend(the_difference().pk, "accept", by=manager)
    paddle.look()
    assert not Difference.objects.filter(ended_at=None).exists()

    sandbox.change_paddle_coupon(codes[0], allowed_uses=8)
    paddle.look()
    assert the_difference().theirs == "8"


def test_missing_code_is_published_again(sandbox, paddle, manager):
    publication, codes = publish_codes(sandbox, paddle, 2)
    sandbox.delete_paddle_coupon(codes[0])
    paddle.look()
    found = the_difference(field="missing")
    assert keys(found) == ["again", "gone", "accept"]

    mend(found.pk, "again", by=manager)
    publication.refresh_from_db()
    assert (publication.live, publication.waiting) == (1, 1)
    do_errands(paddle)

    assert {c["code"] for c in sandbox.paddle_coupons()} == set(codes)
    publication.refresh_from_db()
    assert (publication.live, publication.waiting) == (2, 0)
    paddle.look()
    assert not Difference.objects.filter(ended_at=None).exists()


def test_missing_code_that_is_to_stay_away_counts_as_taken_back(
    sandbox, paddle, manager
):
    publication, codes = publish_codes(sandbox, paddle, 2)
    sandbox.delete_paddle_coupon(codes[0])
    paddle.look()

    mend(the_difference(field="missing").pk, "gone", by=manager)

    publication.refresh_from_db()
    assert (publication.live, publication.gone) == (1, 1)
    assert RemoteCoupon.objects.get(remote_id=codes[0]).status == "gone"
    paddle.look()
    assert not Difference.objects.filter(ended_at=None).exists()


def test_second_press_finds_the_difference_settled(sandbox, paddle, manager):
    _publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=7)
    paddle.look()
    found = the_difference()
    mend(found.pk, "send", by=manager)

    with pytest.raises(SyncError) as refusal:
        mend(found.pk, "send", by=manager)

    assert refusal.value.code == "ended"
    assert actions_for(Difference.objects.get(pk=found.pk)) == []
    assert Step.objects.filter(kind="mended").count() == 1


@pytest.mark.parametrize("action", ["replace", "used", "edit", "", "nonsense"])
def test_what_is_not_among_the_actions_is_refused(sandbox, paddle, manager, action):
    _publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=7)
    paddle.look()

    with pytest.raises(SyncError) as refusal:
        mend(the_difference().pk, action, by=manager)

    assert refusal.value.code == "not_possible"
    assert the_difference().ended_how == ""


def test_coupon_that_is_busy_is_not_mended_meanwhile(sandbox, paddle, manager):
    _publication, codes = publish_codes(sandbox, paddle, 1)
    sandbox.change_paddle_coupon(codes[0], allowed_uses=7)
    paddle.look()
    RemoteCoupon.objects.update(errand="update", next_try_at=paddle.clock())

    with pytest.raises(SyncError) as refusal:
        mend(the_difference().pk, "send", by=manager)

    assert refusal.value.code == "not_possible"
    assert not Step.objects.filter(kind="mended").exists()


# --- Vivoldi's noes ------------------------------------------------------------------------


@pytest.fixture
def doubtful(sandbox, vivoldi):
    """A number that Vivoldi says no to, and doesn't say why."""
    campaign = make_shown_campaign(has_text=False)
    [serial] = Serial.objects.filter(batch=make_serials(campaign, ["VV001122"]))
    terms = {"nm": campaign.name, "discTypeIdx": 457, "disc": 20, "useLimit": 1}
    publication = make_publication(vivoldi.connection, campaign, terms=terms)
    make_remote(publication, serial.code, serial=serial)
    vivoldi.look()
    return the_difference(field="doubtful")


def test_no_that_was_a_use_takes_the_serial_out(vivoldi, doubtful, manager):
    assert keys(doubtful) == ["used", "gone", "accept"]
    assert "dashboard" in words_for(doubtful).note

    mend(doubtful.pk, "used", by=manager)

    assert Use.objects.get().outcome == "void"
    assert Serial.objects.get().state == Serial.State.VOID
    run = vivoldi.look()
    assert run.asked == 0
    assert not Difference.objects.filter(ended_at=None, coupon__isnull=False).exists()


def test_no_that_was_a_deletion_is_a_missing_coupon(
    sandbox, vivoldi, doubtful, manager
):
    mend(doubtful.pk, "gone", by=manager)

    found = the_difference(field="missing")
    assert keys(found) == ["again", "gone", "accept"]
    vivoldi.look()
    assert the_difference(coupon__isnull=False).pk == found.pk
    mend(found.pk, "gone", by=manager)
    assert RemoteCoupon.objects.get().status == "gone"
    assert Use.objects.count() == 0


# --- a campaign that changed here ------------------------------------------------------------


def of_publication(publication):
    rows = Difference.objects.filter(
        publication=publication, coupon=None, ended_at=None
    )
    return sorted(rows.values_list("field", "ours", "theirs"))


def save(campaign, watch, **fields):
    """As its form does, at the time of the test's clock."""
    fields["updated_at"] = watch.clock()
    Campaign.objects.filter(pk=campaign.pk).update(**fields)


def test_campaign_that_changed_here_is_one_difference_and_not_one_a_code(
    sandbox, paddle, manager
):
    publication, codes = publish_codes(sandbox, paddle, 3)
    paddle.look()
    assert of_publication(publication) == []
    campaign = publication.campaign
    save(campaign, paddle, benefit_value=30)

    paddle.look()

    assert of_publication(publication) == [("discount_amount", "30", "20")]
    assert Difference.objects.filter(ended_at=None).count() == 1
    found = the_difference()
    assert keys(found) == ["send", "edit", "accept"]
    edit = actions_for(found)[1]
    assert edit.campaign_id == campaign.pk

    mend(found.pk, "send", by=manager)
    assert of_publication(publication) == []
    do_errands(paddle)
    amounts = {str(c["discount_amount"]) for c in sandbox.paddle_coupons()}
    assert len(amounts) == 1
    assert float(amounts.pop()) == 30
    paddle.look()
    assert not Difference.objects.filter(ended_at=None).exists()


def test_campaign_that_can_no_longer_be_published_says_why(sandbox, paddle, manager):
    publication, _codes = publish_codes(sandbox, paddle, 1)
    campaign = publication.campaign
    save(campaign, paddle, benefit="gift", benefit_value=None)

    paddle.look()

    found = the_difference()
    assert found.field == "impossible"
    assert "gift" in words_for(found).ours
    assert keys(found) == ["edit", "accept"]


def test_campaign_that_is_over_has_nothing_to_bring_in_line(sandbox, paddle, manager):
    publication, _codes = publish_codes(sandbox, paddle, 1)
    campaign = publication.campaign
    save(campaign, paddle, benefit_value=30)
    paddle.look()
    assert of_publication(publication)
    paddle.clock.pass_(days=40)

    paddle.look()

    assert of_publication(publication) == []


# --- LINE --------------------------------------------------------------------------------


def test_coupon_made_in_lines_manager_becomes_a_campaigns(sandbox, line, manager):
    coupon_id = sandbox.make_coupon(title="From the manager")
    line.look()
    campaign = make_shown_campaign()
    row = line.coupons()[coupon_id]

    publication = adopt(row.pk, campaign.pk, by=manager)

    row.refresh_from_db()
    assert (row.publication, row.campaign) == (publication, campaign)
    assert publication.is_adopted
    assert (publication.state, publication.total, publication.live) == ("open", 1, 1)
    assert ("title", "Spring latte", "From the manager") in of_publication(publication)
    step = Step.objects.get(kind="adopted")
    assert (step.by, step.coupon, step.publication) == (manager, row, publication)
    line.look()
    assert not Difference.objects.filter(coupon__isnull=False).exists()
    assert keys(the_difference(field="title")) == ["replace", "edit", "accept"]


def test_adopting_twice_is_the_same_publication(sandbox, line, manager):
    coupon_id = sandbox.make_coupon()
    line.look()
    row, campaign = line.coupons()[coupon_id], make_shown_campaign()

    first = adopt(row.pk, campaign.pk, by=manager)
    second = adopt(row.pk, campaign.pk, by=manager)

    assert first == second
    assert Publication.objects.count() == 1
    assert Step.objects.filter(kind="adopted").count() == 1


def test_adopted_draft_follows_what_is_edited_in_lines_manager(sandbox, line, manager):
    draft = sandbox.make_coupon(title="Draft", is_draft=True)
    line.look()
    publication = adopt(line.coupons()[draft].pk, make_shown_campaign().pk, by=manager)
    sandbox.publish_draft(draft)

    line.look()

    publication.refresh_from_db()
    assert publication.terms["title"] == "Draft"
    assert line.coupons()[draft].told == "RUNNING"


def refused(*arguments, **rest):
    with pytest.raises(SyncError) as refusal:
        adopt(*arguments, **rest)
    assert refusal.value.message
    return refusal.value.code


def test_what_can_not_be_adopted_is_refused_with_a_reason(sandbox, line, manager):
    ids = {
        name: sandbox.make_coupon(title=name) for name in ("open", "closed", "other")
    }
    draft = sandbox.make_coupon(title="draft", is_draft=True)
    sandbox.stop_coupon(ids["closed"])
    line.look()
    rows = line.coupons()
    campaign, other = make_shown_campaign(), make_shown_campaign()
    taken = rows[ids["open"]].pk
    adopt(taken, campaign.pk, by=manager)
    sandbox.delete_draft(draft)
    line.look()

    assert refused(taken, other.pk, by=manager) == "taken"
    assert refused(rows[ids["closed"]].pk, other.pk, by=manager) == "closed"
    assert refused(rows[ids["other"]].pk, campaign.pk, by=manager) == "published"
    assert refused(rows[draft].pk, other.pk, by=manager) == "missing"
    assert refused(0, other.pk, by=manager) == "coupon_gone"
    assert refused(rows[ids["other"]].pk, 0, by=manager) == "campaign_gone"
    unread = RemoteCoupon.objects.create(
        connection=line.connection, remote_id="NEW", status="live"
    )
    assert refused(unread.pk, other.pk, by=manager) == "unread"
    assert Publication.objects.count() == 1


def test_coupon_that_may_be_our_own_lost_one_is_left_to_the_look_that_decides(
    sandbox, line, manager
):
    coupon_id = sandbox.make_coupon(title="Ours?")
    line.look()
    row, campaign = line.coupons()[coupon_id], make_shown_campaign()
    at = line.clock()
    lost = make_remote(
        make_publication(line.connection, make_campaign(), terms={"title": "Ours?"}),
        "",
        status="waiting",
        errand="create",
        next_try_at=at,
        first_try_at=at,
    )

    assert refused(row.pk, campaign.pk, by=manager) == "in_doubt"
    RemoteCoupon.objects.filter(pk=lost.pk).update(first_try_at=None)
    assert adopt(row.pk, campaign.pk, by=manager).is_adopted


def test_adopted_coupon_of_a_campaign_that_line_can_not_express_is_still_compared(
    sandbox, line, manager
):
    coupon_id = sandbox.make_coupon(title="From the manager")
    line.look()
    campaign = make_shown_campaign(benefit="percentage", benefit_value="33.5")

    publication = adopt(line.coupons()[coupon_id].pk, campaign.pk, by=manager)

    fields = {field for field, _ours, _theirs in of_publication(publication)}
    assert "title" in fields
    assert not {field for field in fields if field.startswith("reward")}
    assert "impossible" not in fields


def test_coupon_that_was_let_go_can_be_adopted_again(sandbox, line, manager):
    coupon_id = sandbox.make_coupon()
    line.look()
    row, campaign = line.coupons()[coupon_id], make_shown_campaign()
    first = adopt(row.pk, campaign.pk, by=manager)

    freed = let_go(row.pk, by=manager)

    first.refresh_from_db()
    assert (freed.publication, freed.campaign) == (None, None)
    assert (first.state, first.total, first.live) == ("closed", 0, 0)
    assert not Difference.objects.filter(ended_at=None).exists()
    again = adopt(row.pk, campaign.pk, by=manager)
    assert again != first
    with pytest.raises(SyncError) as refusal:
        let_go(RemoteCoupon.objects.create(connection=line.connection).pk, by=manager)
    assert refusal.value.code == "not_adopted"


def test_adopted_coupon_that_was_closed_at_line_is_ended_here_too(
    sandbox, line, manager
):
    coupon_id = sandbox.make_coupon()
    line.look()
    publication = adopt(
        line.coupons()[coupon_id].pk, make_shown_campaign().pk, by=manager
    )
    sandbox.stop_coupon(coupon_id)
    line.look()
    found = the_difference(field="closed")
    assert keys(found) == ["replace", "close", "accept"]

    mend(found.pk, "close", by=manager)
    do_errands(line)

    publication.refresh_from_db()
    assert (publication.state, publication.gone) == ("closed", 1)
    line.look()
    assert not Difference.objects.filter(ended_at=None).exists()


def test_coupon_that_differs_is_closed_and_made_again(sandbox, line, manager):
    coupon_id = sandbox.make_coupon(title="From the manager")
    line.look()
    campaign = make_shown_campaign(barcode="none")
    adopt(line.coupons()[coupon_id].pk, campaign.pk, by=manager)
    found = the_difference(field="title")

    mend(found.pk, "replace", by=manager)
    for _ in range(4):
        do_errands(line)

    there = {c["title"]: c["status"] for c in sandbox.coupons()}
    assert there == {"From the manager": "CLOSED", "Spring latte": "RUNNING"}


# --- looking now -----------------------------------------------------------------------


def test_look_now_is_one_run_however_often_it_is_pressed(line, manager):
    first = start_run(line.connection.pk, by=manager)
    second = start_run(line.connection.pk, by=manager, is_whole=True)

    assert first == second
    assert Run.objects.get().asked_by == manager


def test_account_that_is_paused_or_gone_is_refused(line, manager):
    line.connection.pause("Its token is wrong.")

    with pytest.raises(SyncError) as paused:
        start_run(line.connection.pk, by=manager)
    with pytest.raises(SyncError) as gone:
        start_run(0, by=manager)

    assert (paused.value.code, gone.value.code) == (
        "connection_paused",
        "connection_gone",
    )
    assert "Its token is wrong." in paused.value.message
    assert not Run.objects.exists()


def test_difference_of_a_campaign_without_publication_can_only_be_let_be(line):
    row = RemoteCoupon.objects.create(connection=line.connection, remote_id="X")
    found = Difference.objects.create(
        coupon=row, field="title", seen_at=line.clock(), last_seen_at=line.clock()
    )

    assert keys(found) == ["accept"]


def test_words_name_the_field_and_what_each_side_says(line):
    publication = make_publication(line.connection, make_campaign())
    at = line.clock()
    for field, words in {
        "missing": ("Coupon", "published", "missing"),
        "endTimestamp": ("Ends", "1", "–"),
        "somethingNew": ("somethingNew", "1", "–"),
    }.items():
        found = Difference(
            publication=publication, field=field, ours="1", seen_at=at, last_seen_at=at
        )

        wording = words_for(found)

        assert (wording.field, wording.ours, wording.theirs) == words
