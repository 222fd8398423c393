"""Every answer that a provider can give, to every errand: nothing twice, nothing lost."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from connections.models import Bucket, Connection
from sync.models import Publication, RemoteCoupon
from sync.ports.port import Kind, Order, Outcome
from sync.ports.vivoldi import VivoldiPort
from sync.publishing.judging import judge
from sync.services.publishing import close, decide, retry, send_terms
from sync.tests.publishing import (
    an_offer,
    later,
    numbers,
    only,
    prepare_all,
    running_accounts,
    statuses,
)
from testing.factories import make_fixed_batch, make_serials

EACH = pytest.mark.parametrize("provider", ["line", "paddle", "vivoldi"])
CREATE = {
    "line": "coupon_create",
    "paddle": "paddle_create",
    "vivoldi": "vivoldi_create",
}
TAKE_BACK = {
    "line": "coupon_close",
    "paddle": "paddle_delete",
    "vivoldi": "vivoldi_delete",
}
LOOKS = {
    "line": ("coupon_list", "coupon_detail"),
    "paddle": ("paddle_list",),
    "vivoldi": ("vivoldi_validate",),
}
# What gets no clear answer, whether it was done or not.
TROUBLES = [
    "500",
    "inner",
    "drop",
    "accept_then_drop",
    "accept_then_500",
    "accept_then_inner",
    "html",
    "half_json",
]


@pytest.fixture
def accounts(db, settings):
    with running_accounts(settings) as found:
        yield found


@EACH
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_creation_without_a_clear_answer_ends_as_one_coupon(
    accounts, provider, trouble
):
    publication = accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], trouble, times=2)

    accounts.settle(provider)
    if (provider, trouble) == ("vivoldi", "inner"):  # there, a no like any other
        assert retry(publication.pk, by=accounts.editor) == 2
        accounts.settle(provider)

    total = publication.total
    assert numbers(publication) == (total, total, 0, 0, 0)
    assert len(accounts.there(provider)) == total
    assert len(coupons_made(accounts, provider)) == total


@EACH
@pytest.mark.parametrize("trouble", ["500", "accept_then_drop", "html"])
def test_taking_back_without_a_clear_answer_ends_with_nothing_there(
    accounts, provider, trouble
):
    publication = accounts.done(provider)
    close(publication.pk, by=accounts.editor)
    accounts.sandbox.fault(TAKE_BACK[provider], trouble, times=2)

    accounts.settle(provider)

    publication.refresh_from_db()
    assert publication.state == "closed"
    assert accounts.there(provider) == []


@EACH
@pytest.mark.parametrize("trouble", ["500", "html", "drop", "429_rate"])
def test_a_look_that_fails_decides_nothing(accounts, provider, trouble):
    publication = accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], "accept_then_drop", times=1)
    for call in LOOKS[provider]:
        accounts.sandbox.fault(call, trouble, times=2)

    accounts.settle(provider, turns=8)

    total = publication.total
    assert numbers(publication) == (total, total, 0, 0, 0)
    assert len(coupons_made(accounts, provider)) == total


@EACH
def test_nothing_is_created_again_before_the_provider_has_had_its_time(
    accounts, provider
):
    accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], "accept_then_drop", times=1)
    accounts.turn(provider)
    before = len(accounts.sandbox.requests())

    accounts.turn(provider, clock=later(seconds=15))

    assert len(accounts.sandbox.requests()) == before


@EACH
def test_a_worker_that_died_leaves_what_it_held_to_a_look(accounts, provider):
    publication = accounts.published(provider)
    held = claim(accounts, provider)
    accounts.turn(provider)
    assert numbers(publication)[1] == 0

    accounts.settle(provider)

    assert len(held) == publication.total
    assert len(coupons_made(accounts, provider)) == publication.total
    assert statuses(publication) == {"live": publication.total}


@EACH
def test_slow_down_is_heeded_and_no_failure(accounts, provider):
    publication = accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], "429_rate", times=1)

    accounts.turn(provider)

    connection = Connection.objects.get(pk=accounts.connection(provider).pk)
    assert (connection.failures, connection.state) == (0, "active")
    assert Bucket.objects.filter(free_at__gt=timezone.now()).exists()
    accounts.settle(provider)
    assert numbers(publication)[1] == publication.total


@EACH
def test_a_no_to_our_credentials_pauses_the_account(accounts, provider):
    publication = accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], "401")

    accounts.turn(provider)

    connection = Connection.objects.get(pk=accounts.connection(provider).pk)
    assert connection.state == "paused"
    assert numbers(publication) == (publication.total, 0, 0, 0, 0)
    accounts.sandbox.clear_faults()
    connection.resume()
    accounts.settle(provider)
    assert len(coupons_made(accounts, provider)) == publication.total


@EACH
def test_ten_failures_in_a_row_give_the_account_a_rest(accounts, provider):
    if provider == "line":
        for _offer in range(12):
            accounts.publish("line", an_offer())
        prepare_all()
    else:
        accounts.published(provider, an_offer(provider, 12))
    accounts.sandbox.fault(CREATE[provider], "500")

    accounts.turn(provider)

    connection = Connection.objects.get(pk=accounts.connection(provider).pk)
    assert connection.resting_until is not None
    assert len(accounts.sandbox.requests(CREATE[provider])) >= 10


def test_a_refusal_is_one_coupons_own_and_the_others_go_on(accounts):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["MINE-00001", "MINE-00002"])
    accounts.sandbox.make_paddle_coupon(
        coupon_code="MINE-00001", discount_amount=50, currency="JPY", allowed_uses=1
    )

    publication = accounts.done("paddle", campaign)

    assert statuses(publication) == {"live": 1, "refused": 1}
    [refused] = RemoteCoupon.objects.filter(publication=publication, status="refused")
    assert "discount_amount is 50 there and 10 here" in refused.detail


def test_a_code_that_is_there_just_so_is_taken_over(accounts):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["MINE-00001"])
    publication = accounts.published("paddle", campaign)
    accounts.sandbox.make_paddle_coupon(
        coupon_code="MINE-00001",
        discount_amount=10,
        currency="JPY",
        allowed_uses=1,
        expires=publication.terms["expires"],
    )

    accounts.turn("paddle")

    assert statuses(publication) == {"live": 1}


def test_a_number_keeps_its_name_however_vivoldi_writes_it():
    class WithDashes:
        def create(self, fields):
            return "SPRI-NG01"

    client: Any = WithDashes()

    made = VivoldiPort(client, rate=1.0).create(Order("SPRING01", {}))

    assert (made.kind, made.remote_id) == (Kind.DONE, "SPRING01")


@pytest.mark.parametrize("look", ["500", "drop", "html", "429_rate"])
def test_a_no_of_vivoldi_is_not_believed_before_a_look_has_come_through(accounts, look):
    publication = accounts.published("vivoldi", an_offer("vivoldi", 1))
    accounts.sandbox.fault("vivoldi_create", "accept_then_inner", times=1)
    accounts.sandbox.fault("vivoldi_validate", look, times=1)

    accounts.turn("vivoldi")
    assert numbers(publication) == (1, 0, 0, 0, 0)
    accounts.settle("vivoldi")

    assert numbers(publication) == (1, 1, 0, 0, 0)


@pytest.mark.parametrize("look", ["500", "drop", "html", "429_rate"])
def test_nor_is_one_that_answers_a_second_try_to_take_back(accounts, look):
    publication = accounts.done("vivoldi", an_offer("vivoldi", 1))
    accounts.sandbox.fault("vivoldi_delete", "accept_then_drop", times=1)
    accounts.sandbox.fault("vivoldi_validate", look, times=1)

    close(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    assert numbers(publication) == (1, 0, 1, 0, 0)


def test_a_number_that_vivoldi_does_not_have_can_be_closed_by_asking_again(accounts):
    publication = accounts.done("vivoldi")
    gone = RemoteCoupon.objects.order_by("pk").first()
    accounts.sandbox.delete_vivoldi_coupon(gone.remote_id)
    close(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")
    assert numbers(publication) == (3, 1, 2, 0, 0)

    retry(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    publication.refresh_from_db()
    assert (publication.state, publication.gone) == ("closed", 3)


def test_thousands_are_tried_again_in_few_statements(
    accounts, django_assert_max_num_queries
):
    """A row at a time, a press would hold the publication for a minute."""
    publication = accounts.published("paddle", an_offer("paddle", 60))
    rows = RemoteCoupon.objects.filter(publication=publication)
    rows.update(status="refused", errand="", next_try_at=None, detail="no")
    Publication.objects.filter(pk=publication.pk).update(refused=60)

    with django_assert_max_num_queries(30):
        assert retry(publication.pk, by=accounts.editor) == 60

    assert set(rows.values_list("status", "errand")) == {("waiting", "create")}
    assert numbers(publication) == (60, 0, 0, 0, 0)


def test_somebody_elses_code_is_never_deleted(accounts):
    """Refused at first sight, so closing leaves it alone."""
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["MINE-00001"])
    accounts.sandbox.make_paddle_coupon(
        coupon_code="MINE-00001", discount_amount=50, currency="JPY"
    )
    publication = accounts.published("paddle", campaign)
    accounts.sandbox.fault("paddle_create", "drop", times=1)
    accounts.turn("paddle")

    close(publication.pk, by=accounts.editor)
    accounts.settle("paddle")

    assert accounts.there("paddle") == ["MINE-00001"]
    publication.refresh_from_db()
    assert (publication.state, publication.refused) == ("closed", 1)


@EACH
@pytest.mark.parametrize("trouble", ["accept_then_drop", "drop"])
def test_what_was_made_in_doubt_is_found_and_taken_back(accounts, provider, trouble):
    publication = accounts.published(provider)
    accounts.sandbox.fault(CREATE[provider], trouble)
    accounts.turn(provider)
    accounts.sandbox.clear_faults()

    close(publication.pk, by=accounts.editor)
    accounts.settle(provider)

    publication.refresh_from_db()
    assert (publication.state, accounts.there(provider)) == ("closed", [])


def test_vivoldi_says_no_to_a_look_before_the_campaign_begins(accounts):
    """What was made cannot be looked at, and is found by the no to its second try."""
    now = timezone.now()
    campaign = an_offer(
        "vivoldi",
        4,
        use_starts_at=now + timedelta(days=5),
        use_ends_at=now + timedelta(days=30),
    )
    publication = accounts.published("vivoldi", campaign)
    accounts.sandbox.fault("vivoldi_create", "accept_then_drop", times=2)

    accounts.settle("vivoldi")

    assert numbers(publication) == (4, 4, 0, 0, 0)
    assert len(accounts.there("vivoldi")) == 4


def test_a_person_decides_what_vivoldi_cannot_tell(accounts):
    now = timezone.now()
    campaign = an_offer(
        "vivoldi",
        1,
        use_starts_at=now + timedelta(days=5),
        use_ends_at=now + timedelta(days=30),
    )
    publication = accounts.published("vivoldi", campaign)
    accounts.sandbox.fault("vivoldi_create", "accept_then_drop", times=1)
    accounts.settle("vivoldi")
    unclear = only(publication)
    assert unclear.status == "unknown"

    decide(unclear.pk, is_there=True, by=accounts.editor)

    assert numbers(publication) == (1, 1, 0, 0, 0)


def test_a_refused_coupon_can_be_tried_again(accounts):
    campaign = an_offer("paddle", 0)
    make_serials(campaign, ["MINE-00001"])
    accounts.sandbox.make_paddle_coupon(coupon_code="MINE-00001", currency="JPY")
    publication = accounts.done("paddle", campaign)
    assert statuses(publication) == {"refused": 1}
    accounts.sandbox.delete_paddle_coupon("MINE-00001")

    count = retry(publication.pk, by=accounts.editor)
    accounts.settle("paddle")

    assert count == 1
    assert numbers(publication) == (1, 1, 0, 0, 0)


def test_a_code_that_another_campaign_let_go_of_can_be_tried_again(accounts):
    first, second = an_offer("paddle", 0), an_offer("paddle", 0)
    make_serials(first, ["SHARED-CODE"])
    make_serials(second, ["SHARED-CODE"])
    before = accounts.done("paddle", first)
    publication = accounts.done("paddle", second)
    assert statuses(publication) == {"refused": 1}
    close(before.pk, by=accounts.editor)
    accounts.settle("paddle")

    retry(publication.pk, by=accounts.editor)
    accounts.settle("paddle")

    assert statuses(publication) == {"live": 1}
    assert accounts.there("paddle") == ["SHARED-CODE"]


def test_a_change_that_one_coupon_refuses_is_said_there(accounts):
    publication = accounts.done("vivoldi")
    used = RemoteCoupon.objects.filter(publication=publication).first()
    accounts.sandbox.vivoldi_use(used.remote_id)
    publication.campaign.name = "Summer"
    publication.campaign.save()

    send_terms(publication.pk, by=accounts.editor)
    accounts.settle("vivoldi")

    used.refresh_from_db()
    assert (used.status, used.errand, used.terms_no) == ("live", "", 2)
    assert used.detail
    names = {c["cpnNo"]: c["nm"] for c in accounts.sandbox.vivoldi_coupons()}
    assert names.pop(used.remote_id) != "Summer"
    assert set(names.values()) == {"Summer"}


@pytest.mark.parametrize("trouble", ["500", "accept_then_drop", "html"])
def test_a_change_without_a_clear_answer_is_made_again(accounts, trouble):
    publication = accounts.done("paddle", an_offer("paddle", 4))
    make_fixed_batch(publication.campaign, code="FIXED-CODE", quantity=None)
    publication.campaign.benefit_value = 30
    publication.campaign.save()
    accounts.sandbox.fault("paddle_update", trouble, times=2)

    send_terms(publication.pk, by=accounts.editor)
    accounts.settle("paddle", turns=8)

    amounts = {
        c["code"]: c["discount_amount"] for c in accounts.sandbox.paddle_coupons()
    }
    assert {str(amount) for amount in amounts.values()} == {"30"}


def test_an_account_that_vanished_does_not_stop_a_worker(accounts):
    publication = accounts.published("line")
    RemoteCoupon.objects.all().delete()
    publication.steps.all().delete()
    Publication.objects.all().delete()
    accounts.line.delete()

    assert accounts.turn("line") is False


def test_a_lost_key_pauses_the_account_and_stops_no_worker(accounts, settings):
    accounts.published("paddle")
    Connection.objects.filter(pk=accounts.paddle.pk).update(access_token="")
    raw_token(accounts.paddle, "gAAAAAB-no-key-fits")

    assert accounts.turn("paddle") is False

    assert (
        Connection.objects.defer("access_token").get(pk=accounts.paddle.pk).state
        == "paused"
    )


# --- LINE's own ------------------------------------------------------------------------


def test_one_look_finds_many_at_once(accounts):
    publications = [accounts.publish("line", an_offer()) for _offer in range(20)]
    prepare_all()
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=9)
    accounts.turn("line")

    accounts.turn("line", clock=later(minutes=5))

    assert len(accounts.there("line")) == 20
    assert {numbers(found) for found in publications} == {(1, 1, 0, 0, 0)}
    assert len(accounts.sandbox.requests("coupon_list")) == 1
    assert len(accounts.sandbox.requests("coupon_detail")) == 9


def test_identical_coupons_are_made_one_after_the_other_and_each_once(accounts):
    fields = {"name": "The same"}
    now = timezone.now()
    period = {"use_starts_at": now, "use_ends_at": now + timedelta(days=9)}
    publications = [
        accounts.publish("line", an_offer(**fields, **period)) for _offer in range(4)
    ]
    prepare_all()
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=2)

    accounts.settle("line", turns=12)

    assert len(accounts.there("line")) == 4
    ids = {only(found).remote_id for found in publications}
    assert ids == set(accounts.there("line"))


def test_one_of_the_same_content_that_is_older_is_not_ours(accounts):
    """Made by hand long before the first try, by LINE's own clock."""
    publication = accounts.published("line")
    accounts.sandbox.make_coupon(**publication.terms)
    accounts.sandbox.fault("coupon_create", "drop", times=1)

    accounts.turn("line", clock=later(hours=2))
    accounts.turn("line", clock=later(hours=3))
    accounts.turn("line", clock=later(hours=4))

    assert len(accounts.there("line")) == 2
    assert only(publication).status == "live"


def test_a_row_that_a_look_at_the_account_made_first_becomes_ours(accounts):
    publication = accounts.published("line")
    accounts.sandbox.fault("coupon_create", "accept_then_drop", times=1)
    accounts.turn("line")
    [coupon_id] = accounts.there("line")
    RemoteCoupon.objects.create(
        connection=accounts.line,
        remote_id=coupon_id,
        title="Seen",
        told="RUNNING",
        status="live",
    )

    accounts.settle("line")

    row = RemoteCoupon.objects.get(remote_id=coupon_id)
    assert row.publication == publication
    assert (row.title, row.told, row.status) == ("Seen", "RUNNING", "live")


def test_a_coupon_that_was_closed_in_the_manager_is_closed_for_us_too(accounts):
    publication = accounts.done("line")
    accounts.sandbox.stop_coupon(only(publication).remote_id)

    close(publication.pk, by=accounts.editor)
    accounts.settle("line")

    publication.refresh_from_db()
    assert publication.state == "closed"


def coupons_made(accounts, provider):
    """All that was ever made there, closed ones included."""
    return (
        accounts.sandbox.coupons() if provider == "line" else accounts.there(provider)
    )


def claim(accounts, provider, clock=timezone.now):
    """What a worker holds that dies at this moment."""
    rows = RemoteCoupon.objects.all()
    take = rows.claim_apart if provider == "line" else rows.claim
    return take(
        100,
        connection_id=accounts.connection(provider).pk,
        of=list(Publication.objects.values_list("pk", flat=True)),
        now=clock(),
        lease=timedelta(seconds=45),
        settle=timedelta(seconds=20),
    )


def raw_token(connection, text):
    """A stored token that no key of ours can read."""
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET access_token = %s WHERE id = %s",
            [text, connection.pk],
        )


def test_vivoldis_403_pauses_the_account_and_refuses_no_number(accounts):
    publication = accounts.published("vivoldi")
    accounts.sandbox.add_vivoldi(blocked_agents=["coupon-back-office"])

    accounts.turn("vivoldi")

    connection = Connection.objects.get(pk=accounts.vivoldi.pk)
    assert connection.state == "paused"
    assert numbers(publication) == (3, 0, 0, 0, 0)


# --- what an answer makes of a coupon -----------------------------------------------------


@pytest.mark.parametrize(
    ("errand", "kind", "expected"),
    [
        ("create", "done", ("live", "", False)),
        ("create", "refused", ("refused", "", False)),
        ("create", "absent", ("waiting", "create", False)),
        ("create", "unclear", ("waiting", "create", True)),
        ("create", "unreachable", ("waiting", "create", False)),
        ("create", "slow", ("waiting", "create", False)),
        ("create", "unauthorised", ("waiting", "create", False)),
        ("create", "forbidden", ("waiting", "create", False)),
        ("create", "undecidable", ("unknown", "", False)),
        ("update", "done", ("live", "", False)),
        ("update", "refused", ("live", "", False)),
        ("update", "unclear", ("live", "update", True)),
        ("delete", "done", ("gone", "", False)),
        ("delete", "refused", ("live", "", False)),
        ("delete", "unclear", ("live", "delete", True)),
        ("redeem", "done", ("live", "", False)),
        ("redeem", "noted", ("live", "redeem", False)),
        ("redeem", "absent", ("live", "redeem", False)),
        ("redeem", "refused", ("live", "", False)),
        ("redeem", "undecidable", ("unknown", "", False)),
        ("redeem", "unclear", ("live", "redeem", True)),
    ],
)
def test_each_answer_leads_somewhere(errand, kind, expected):
    status = "waiting" if errand == "create" else "live"
    row = RemoteCoupon(pk=1, status=status, errand=errand, tries=1)

    result = judge(row, 1, False, Outcome(Kind(kind)), timezone.now())

    assert (result.status, result.errand, result.is_doubtful) == expected


@pytest.mark.parametrize("kind", ["unreachable", "slow", "unauthorised", "forbidden"])
def test_a_doubt_stays_until_it_is_looked_into(kind):
    row = RemoteCoupon(pk=1, status="waiting", errand="create", tries=2)
    row.is_doubtful = True

    result = judge(row, 1, False, Outcome(Kind(kind)), timezone.now())

    assert result.is_doubtful


def test_a_long_look_holds_its_rows_for_another_lease(accounts):
    accounts.published("paddle")
    rows = claim(accounts, "paddle")
    much, little = timedelta(minutes=9), timedelta(seconds=1)

    held = RemoteCoupon.objects.renew(
        rows, now=timezone.now(), lease=much, settle=little
    )

    assert held
    assert claim(accounts, "paddle", clock=later(minutes=5)) == []


def test_what_another_worker_took_up_is_held_no_longer(accounts):
    accounts.published("paddle")
    rows = claim(accounts, "paddle")
    others = claim(accounts, "paddle", clock=later(minutes=5))

    held = RemoteCoupon.objects.renew(
        rows, now=timezone.now(), lease=timedelta(1), settle=timedelta(1)
    )

    assert not held
    leases = RemoteCoupon.objects.values_list("leased_until", flat=True)
    assert set(leases) == {row.leased_until for row in others}
