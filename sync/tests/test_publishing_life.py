"""A campaign published, changed and taken back at each provider, all going well."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from serials.models import Serial
from serials.services import void_one
from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon, Step
from sync.options import LineOptions, PaddleOptions, VivoldiOptions
from sync.publishing.amending import take_back_again
from sync.publishing.preparing import prepare
from sync.publishing.walking import walk
from sync.services.publishing import (
    close,
    newcomers,
    pause,
    publish,
    replace,
    resume,
    send_terms,
    top_up,
    what_is_lost,
)
from sync.tests.publishing import (
    an_offer,
    later,
    numbers,
    only,
    prepare_all,
    running_accounts,
    statuses,
)
from testing.factories import (
    make_contact,
    make_coupon,
    make_fixed_batch,
    make_serials,
)

EACH = pytest.mark.parametrize("provider", ["line", "paddle", "vivoldi"])
CODES = pytest.mark.parametrize("provider", ["paddle", "vivoldi"])


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


@EACH
def test_a_published_campaign_is_there(accounts, provider):
    publication = accounts.done(provider)

    expected = 1 if provider == "line" else 3
    assert numbers(publication) == (expected, expected, 0, 0, 0)
    assert len(accounts.there(provider)) == expected
    rows = RemoteCoupon.objects.filter(publication=publication)
    assert sorted(row.remote_id for row in rows) == sorted(accounts.there(provider))
    assert set(rows.values_list("errand", "first_try_at", "leased_until")) == {
        ("", None, None)
    }


@EACH
def test_what_was_published_can_be_taken_back(accounts, provider):
    publication = accounts.done(provider)

    close(publication.pk, by=accounts.editor)
    accounts.settle(provider)

    publication.refresh_from_db()
    assert publication.state == "closed"
    assert publication.closed_at is not None
    assert publication.gone == publication.total
    assert accounts.there(provider) == []


def test_what_runs_on_although_it_was_taken_back_can_be_taken_back_again(accounts):
    publication = accounts.done("line")
    row = only(publication)
    RemoteCoupon.objects.filter(pk=row.pk).update(status="gone")
    Publication.objects.filter(pk=publication.pk).update(
        state="closed", closed_at=timezone.now(), live=0, gone=1
    )
    row.refresh_from_db()

    take_back_again(row, timezone.now())
    accounts.settle("line")

    row.refresh_from_db()
    assert (row.status, row.errand) == ("gone", "")
    assert accounts.there("line") == []
    assert numbers(publication) == (1, 0, 1, 0, 0)


@CODES
def test_a_campaign_that_was_taken_back_can_be_published_again(accounts, provider):
    first = accounts.done(provider)
    close(first.pk, by=accounts.editor)
    accounts.settle(provider)

    again = accounts.done(provider, first.campaign)

    assert numbers(again) == (3, 3, 0, 0, 0)
    assert len(accounts.there(provider)) == 3


@EACH
def test_taking_back_what_was_never_asked_for_asks_nobody(accounts, provider):
    publication = accounts.published(provider)

    close(publication.pk, by=accounts.editor)
    prepare_all()

    publication.refresh_from_db()
    assert publication.state == "closed"
    assert accounts.sandbox.requests() == []


@pytest.mark.parametrize("by_group", [True, False])
def test_new_terms_reach_every_code_at_paddle(accounts, by_group):
    publication = accounts.done("paddle", an_offer("paddle", 5))
    campaign = publication.campaign
    if not by_group:
        make_fixed_batch(campaign, code="FOR-EVERYBODY", quantity=7)
        top_up(publication.pk, by=accounts.editor)
        accounts.settle("paddle")
    campaign.benefit_value = 25
    campaign.save()

    send_terms(publication.pk, by=accounts.editor)
    accounts.settle("paddle")

    found = accounts.sandbox.paddle_coupons()
    assert {str(coupon["discount_amount"]) for coupon in found} == {"25"}
    uses = {coupon["code"]: coupon["allowed_uses"] for coupon in found}
    assert uses.pop("FOR-EVERYBODY", 7) == 7
    assert set(uses.values()) == {1}
    calls = len(accounts.sandbox.requests("paddle_update"))
    assert calls == (1 if by_group else 6)
    publication.refresh_from_db()
    assert (publication.terms_no, publication.is_changing) == (2, False)


def test_new_terms_reach_every_number_at_vivoldi(accounts):
    publication = accounts.done("vivoldi")
    publication.campaign.name = "Summer"
    publication.campaign.save()

    send_terms(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    found = accounts.sandbox.vivoldi_coupons()
    assert {coupon["nm"] for coupon in found} == {"Summer"}
    rows = RemoteCoupon.objects.filter(publication=publication)
    assert set(rows.values_list("terms_no", "errand")) == {(2, "")}


def test_a_serials_number_stays_good_for_one_use_when_a_text_for_all_joins(accounts):
    campaign = an_offer("vivoldi", 3, limit_per_contact=0)
    publication = accounts.done("vivoldi", campaign)
    make_fixed_batch(campaign, code="EVERYBODY1", quantity=None)

    send_terms(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")
    top_up(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    found = accounts.sandbox.vivoldi_coupons()
    limits = {coupon["cpnNo"]: coupon["useLimit"] for coupon in found}
    assert limits.pop("EVERYBODY1") == 0
    assert list(limits.values()) == [1, 1, 1]


def change(publication, value):
    publication.campaign.benefit_value = value
    publication.campaign.save()


@pytest.mark.parametrize("is_resting", [True, False])
def test_a_group_is_not_changed_while_the_account_may_not_be_asked(
    accounts, is_resting
):
    publication = accounts.done("paddle")
    change(publication, 25)
    if is_resting:
        accounts.paddle.note_failures(10, "no answer", at=timezone.now())
    else:
        accounts.paddle.pause("Paused by hand", by_hand=True)

    send_terms(publication.pk, by=accounts.editor)
    prepare_all()

    assert accounts.sandbox.requests("paddle_update") == []
    accounts.paddle.resume()
    prepare_all()
    assert len(accounts.sandbox.requests("paddle_update")) == 1


def test_terms_sent_while_a_group_is_being_changed_wait_until_that_is_over(accounts):
    publication = accounts.done("paddle")
    change(publication, 25)
    send_terms(publication.pk, by=accounts.editor)
    busy = timezone.now() + timedelta(seconds=30)  # a worker is asking Paddle
    Publication.objects.filter(pk=publication.pk).update(leased_until=busy)
    change(publication, 35)

    send_terms(publication.pk, by=accounts.editor)
    prepare_all()

    assert accounts.sandbox.requests("paddle_update") == []
    assert not walk(publication.pk, clock=later(minutes=1))
    found = accounts.sandbox.paddle_coupons()
    assert {str(coupon["discount_amount"]) for coupon in found} == {"35"}


def test_terms_that_did_not_change_are_not_sent(accounts):
    publication = accounts.done("vivoldi")

    with pytest.raises(SyncError) as refusal:
        send_terms(publication.pk, by=accounts.editor)

    assert refusal.value.code == "unchanged"


def test_what_paddle_cannot_change_is_refused_with_its_name(accounts):
    publication = accounts.done("paddle")
    campaign = publication.campaign
    campaign.benefit, campaign.benefit_value = "amount", 500
    campaign.save()

    with pytest.raises(SyncError) as refusal:
        send_terms(publication.pk, by=accounts.editor)

    assert refusal.value.code == "cannot_change"
    assert "discount_type" in refusal.value.message


def test_a_changed_coupon_on_line_is_closed_and_made_again(accounts):
    old = accounts.done("line")
    old.campaign.name = "Another name"
    old.campaign.save()

    new = replace(
        old.pk, options=LineOptions("PUBLIC"), by=accounts.editor, nonce=uuid4()
    )
    prepare_all()
    assert not RemoteCoupon.objects.filter(publication=new).exists()
    accounts.settle("line")

    old.refresh_from_db()
    assert old.state == "closed"
    assert only(new).status == "live"
    shown = {c["title"]: (c["status"], c["visibility"]) for c in coupons(accounts)}
    assert shown["Another name"] == ("RUNNING", "PUBLIC")
    assert shown[old.terms["title"]] == ("CLOSED", "UNLISTED")


def test_a_replacement_waits_for_the_old_one_and_is_one_however_often_pressed(accounts):
    old = accounts.done("line")
    nonce = uuid4()

    presses = [
        replace(old.pk, options=LineOptions(), by=accounts.editor, nonce=nonce)
        for _press in range(3)
    ]

    assert len({press.pk for press in presses}) == 1
    assert presses[0].replaces == old
    accounts.settle("line")
    assert len(accounts.there("line")) == 1


def test_a_lottery_is_sent_with_its_odds(accounts):
    options = LineOptions(probability=7, most_winners=50)

    accounts.done("line", options=options)

    [coupon] = coupons(accounts)
    assert coupon["acquisitionCondition"] == {
        "type": "lottery",
        "lotteryProbability": 7,
        "maxAcquireCount": 50,
    }


@pytest.mark.parametrize(
    ("offer", "reward"),
    [
        (
            {"benefit": "amount", "benefit_value": 300},
            {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 300}},
        ),
        (
            {"benefit": "price", "price_before": 900, "price_after": 600},
            {
                "type": "discount",
                "priceInfo": {
                    "type": "explicit",
                    "originalPrice": 900,
                    "priceAfterDiscount": 600,
                },
            },
        ),
        (
            {"benefit": "percentage", "benefit_value": 15},
            {"type": "discount", "priceInfo": {"type": "percentage", "percentage": 15}},
        ),
        (
            {"benefit": "cash_back", "benefit_value": 50},
            {"type": "cashBack", "priceInfo": {"type": "fixed", "fixedAmount": 50}},
        ),
        ({"benefit": "free", "benefit_value": None}, {"type": "free"}),
        ({"benefit": "gift", "benefit_value": None}, {"type": "gift"}),
        ({"benefit": "other", "benefit_value": None}, {"type": "others"}),
    ],
)
def test_every_reward_of_line_arrives(accounts, offer, reward):
    accounts.done("line", an_offer(**offer))

    [coupon] = coupons(accounts)
    found = coupon["reward"]
    found.get("priceInfo", {}).pop("currency", None)
    assert found == reward


# --- codes -----------------------------------------------------------------------------


def test_a_fixed_code_may_be_used_as_often_as_its_batch_says(accounts):
    campaign = an_offer("paddle", 2)
    make_fixed_batch(campaign, code="FOR-EVERYBODY", quantity=7)

    accounts.done("paddle", campaign)

    uses = {c["code"]: c["allowed_uses"] for c in accounts.sandbox.paddle_coupons()}
    assert uses.pop("FOR-EVERYBODY") == 7
    assert list(uses.values()) == [1, 1]


def test_two_serials_that_are_one_number_there_are_not_both_sent(accounts):
    campaign = an_offer("vivoldi", 0)
    make_serials(campaign, ["SAMECODE-1", "SAME-CODE-1", "OTHERCODE1"])

    publication = accounts.done("vivoldi", campaign)

    assert statuses(publication) == {"live": 2, "refused": 1}
    assert sorted(accounts.there("vivoldi")) == ["OTHERCODE1", "SAMECODE1"]
    [refused] = RemoteCoupon.objects.filter(publication=publication, status="refused")
    assert "the same there as" in refused.detail


def test_two_that_are_one_number_are_found_across_pieces(accounts):
    campaign = an_offer("vivoldi", 0)
    make_serials(campaign, ["AAAA-BBBB", "AAAABBBB", "CCCCDDDD"])

    publication = accounts.publish("vivoldi", campaign)
    while prepare(publication.pk, piece=1, seconds=0.001):
        pass

    assert statuses(publication) == {"waiting": 2, "refused": 1}
    assert numbers(publication) == (3, 0, 0, 1, 0)


def test_a_code_of_another_campaign_is_refused_with_its_name(accounts):
    first = an_offer("paddle", 0, name="The first")
    make_serials(first, ["SHARED-CODE"])
    accounts.done("paddle", first)
    second = an_offer("paddle", 0)
    make_serials(second, ["SHARED-CODE", "OWN-CODE"])

    publication = accounts.done("paddle", second)

    [refused] = RemoteCoupon.objects.filter(publication=publication, status="refused")
    assert "The first" in refused.detail
    assert sorted(accounts.there("paddle")) == ["OWN-CODE", "SHARED-CODE"]


@CODES
def test_serials_that_come_later_are_published_when_somebody_asks(accounts, provider):
    publication = accounts.done(provider)
    make_serials(publication.campaign, ["LATER00001", "AEARLIER01"])
    publication.refresh_from_db()
    assert newcomers(publication) == 2

    accounts.settle(provider)
    assert len(accounts.there(provider)) == 3
    top_up(publication.pk, by=accounts.editor)
    accounts.settle(provider)

    assert numbers(publication) == (5, 5, 0, 0, 0)
    assert len(accounts.there(provider)) == 5


# --- refusals ----------------------------------------------------------------------------


def test_what_the_preflight_calls_impossible_is_refused_with_its_words(accounts):
    campaign = an_offer("paddle", 0)

    with pytest.raises(SyncError) as refusal:
        accounts.publish("paddle", campaign)

    assert refusal.value.code == "impossible"
    assert "There is no serial to publish yet." in refusal.value.message


@pytest.mark.parametrize("state", ["draft", "paused", "ended"])
def test_only_a_running_campaign_is_published(accounts, state):
    campaign = an_offer("line", state=state)

    with pytest.raises(SyncError) as refusal:
        accounts.publish("line", campaign)

    assert refusal.value.code == f"campaign_{state}"


def test_a_paused_account_publishes_nothing(accounts):
    accounts.line.pause("A new token is needed.", by_hand=True)

    with pytest.raises(SyncError) as refusal:
        accounts.publish("line", an_offer())

    assert refusal.value.code == "connection_paused"
    assert "A new token is needed." in refusal.value.message


def test_options_of_another_provider_are_refused(accounts):
    with pytest.raises(SyncError) as refusal:
        accounts.publish("line", an_offer(), options=PaddleOptions())

    assert refusal.value.code == "wrong_options"


def test_vivoldi_needs_the_password_that_staff_will_type(accounts):
    campaign = an_offer("vivoldi", verifying="password")

    with pytest.raises(SyncError) as refusal:
        accounts.publish("vivoldi", campaign)
    publication = accounts.done(
        "vivoldi", campaign, options=VivoldiOptions(onsite_password="55512")
    )

    assert refusal.value.code == "password_missing"
    assert {c["onsitePwd"] for c in accounts.sandbox.vivoldi_coupons()} == {"55512"}
    assert "55512" not in str(publication.options) + str(publication.terms)


@EACH
def test_the_same_press_is_the_same_publication(accounts, provider):
    campaign, nonce = an_offer(provider), uuid4()

    first, second = [
        accounts.publish(provider, campaign, nonce=nonce) for _press in range(2)
    ]

    assert first == second
    assert Step.objects.filter(publication=first, kind="published").count() == 1


@EACH
def test_another_press_finds_it_published_already(accounts, provider):
    campaign = an_offer(provider)
    accounts.publish(provider, campaign)

    with pytest.raises(SyncError) as refusal:
        accounts.publish(provider, campaign)

    assert refusal.value.code == "already"
    assert Publication.objects.count() == 1


@CODES
def test_codes_that_are_still_being_taken_back_are_not_published_anew(
    accounts, provider
):
    publication = accounts.done(provider)
    close(publication.pk, by=accounts.editor)

    with pytest.raises(SyncError) as refusal:
        accounts.publish(provider, publication.campaign)

    assert refusal.value.code == "already"
    assert "Wait until that is done" in refusal.value.message


def test_a_campaign_that_is_gone_is_refused(accounts):
    with pytest.raises(SyncError) as refusal:
        publish(999, accounts.line.pk, options=LineOptions(), by=None, nonce=uuid4())

    assert refusal.value.code == "gone"


# --- pausing ------------------------------------------------------------------------------


def test_a_paused_publication_asks_for_nothing_until_it_is_resumed(accounts):
    publication = accounts.published("paddle")
    pause(publication.pk, by=accounts.editor)

    accounts.settle("paddle")
    before = accounts.there("paddle")
    resume(publication.pk, by=accounts.editor)
    accounts.settle("paddle")

    assert before == []
    assert len(accounts.there("paddle")) == 3
    kinds = Step.objects.filter(publication=publication).values_list("kind", flat=True)
    assert sorted(kinds) == ["paused", "prepared", "published", "resumed"]


def test_a_paused_publication_does_not_hold_up_others(accounts):
    first = accounts.published("paddle")
    pause(first.pk, by=accounts.editor)

    second = accounts.done("paddle")

    assert numbers(second) == (3, 3, 0, 0, 0)


def test_a_serial_that_became_void_before_its_turn_is_not_published(accounts):
    publication = accounts.published("paddle")
    first = Serial.objects.order_by("code_key").first()
    void_one(first.pk)

    accounts.turn("paddle")

    assert first.code not in accounts.there("paddle")
    assert numbers(publication) == (3, 2, 0, 1, 0)
    row = RemoteCoupon.objects.get(serial=first)
    assert (row.status, row.detail) == ("refused", "Its serial is void.")


def test_a_paused_connection_stops_at_the_next_claim(accounts):
    publication = accounts.published("vivoldi")
    accounts.vivoldi.pause("Paused by hand", by_hand=True)

    accounts.turn("vivoldi", clock=later(hours=1))

    assert numbers(publication) == (3, 0, 0, 0, 0)
    assert accounts.sandbox.requests() == []


def test_a_page_can_say_what_is_lost(accounts):
    publication = accounts.done("line")

    lost = what_is_lost(publication)

    assert (lost.live, lost.used, lost.holders_lose) == (1, None, True)


def coupons(accounts):
    return accounts.sandbox.coupons()


# --- people ------------------------------------------------------------------------------


PERSON = ("userId", "userNm", "userPhnno", "userEml", "userEtc1", "userEtc2")


@pytest.mark.parametrize("names_people", [True, False])
def test_vivoldi_learns_who_has_a_number_only_where_somebody_said_so(
    accounts, names_people
):
    campaign = an_offer("vivoldi", 2)
    contact = make_contact(
        name="Hana",
        external_id="member-7",
        phone="+81 3 0000 0000",
        email="hana@example.com",
        note_1="Gold",
        note_2="Tea",
    )
    held = make_coupon(campaign, contact, status="redeemed")

    publication = accounts.done(
        "vivoldi", campaign, options=VivoldiOptions(names_people=names_people)
    )

    row = RemoteCoupon.objects.get(publication=publication, serial=held.serial)
    told = {
        coupon["cpnNo"]: " ".join(filter(None, (coupon[name] for name in PERSON)))
        for coupon in accounts.sandbox.vivoldi_coupons()
    }
    whole = "member-7 Hana +81 3 0000 0000 hana@example.com Gold Tea"
    assert told.pop(row.remote_id) == (whole if names_people else "")
    assert set(told.values()) == {""}
    assert "Hana" not in str(row.own)
