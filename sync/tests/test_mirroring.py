"""Verifications made here are told to Vivoldi once each, and what then is taken back."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from coupons.models import Verification
from coupons.services import undo, verify, verify_elsewhere
from sync.errors import SyncError
from sync.mirroring import YOUNG, mirror
from sync.models import Difference, Mirror, Publication, RemoteCoupon, Use
from sync.options import VivoldiOptions
from sync.processing import work_off
from sync.pulling.differences import Seen, note
from sync.pulling.wording import wording_of
from sync.services.publishing import retry
from sync.services.pulling import actions_for
from sync.tests.publishing import an_offer, running_accounts
from sync.tests.uses_helpers import make_vivoldi, publish
from sync.uses import Told, known_uses, note_count, note_use
from testing.factories import make_coupon, make_serials, make_store, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_vivoldi()


@pytest.fixture
def rows(account):
    return publish(account, ["AAAA1111", "BBBB2222"], is_mirrored=True)


def verified(row):
    """A verification by scan of the campaign's next serial."""
    coupon = make_coupon(row.campaign, status="redeemed")
    return verify(coupon.pk, store=make_store(), staff=make_user())


def take_back(verification):
    undo(verification.pk, by=make_user(), reason="wrong coupon", is_manager=True)


def told(row):
    """As a worker leaves it that has told the provider."""
    RemoteCoupon.objects.filter(pk=row.pk).update(errand="", next_try_at=None)


def errand(row):
    return RemoteCoupon.objects.get(pk=row.pk).errand


def open_differences():
    return Difference.objects.filter(field="mirrored", ended_at=None)


def test_a_verification_is_told_once(rows):
    verification = verified(rows["AAAA1111"])

    put = [mirror() for _ in range(3)]

    row = RemoteCoupon.objects.get(remote_id="AAAA1111")
    use = Use.objects.get()
    assert put == [1, 0, 0]
    assert (row.errand, row.status) == ("redeem", "live")
    assert row.next_try_at is not None
    assert (use.coupon, use.verification, use.source) == (row, verification, "mirror")
    assert errand(rows["BBBB2222"]) == ""


def test_once_told_it_is_not_told_again(rows):
    verified(rows["AAAA1111"])
    mirror()
    told(rows["AAAA1111"])

    assert mirror() == 0
    assert errand(rows["AAAA1111"]) == ""


def test_without_mirroring_nothing_is_told(account):
    rows = publish(account, ["AAAA1111"])
    verified(rows["AAAA1111"])

    assert mirror() == 0
    assert not Use.objects.exists()


@pytest.mark.parametrize(
    "change", [{"state": "closing"}, {"prepared_at": None}], ids=str
)
def test_a_publication_that_is_not_open_and_whole_tells_nothing(rows, change):
    Publication.objects.update(**change)
    verified(rows["AAAA1111"])

    assert mirror() == 0


@pytest.mark.parametrize(
    "before",
    [
        {"status": "waiting", "errand": "create", "next_try_at": timezone.now()},
        {"errand": "update", "next_try_at": timezone.now()},
        {"missing_since": timezone.now()},
    ],
    ids="waiting busy missing".split(),
)
def test_what_is_not_there_or_has_another_errand_is_told_later(rows, before):
    RemoteCoupon.objects.filter(remote_id="AAAA1111").update(**before)
    verified(rows["AAAA1111"])
    assert mirror() == 0

    RemoteCoupon.objects.filter(remote_id="AAAA1111").update(
        status="live", errand="", next_try_at=None, missing_since=None
    )

    assert mirror() == 1


def test_what_vivoldi_told_us_is_not_told_back(rows):
    coupon = make_coupon(rows["AAAA1111"].campaign, status="redeemed")
    verify_elsewhere(coupon.pk, way=Verification.Way.VIVOLDI)

    assert mirror() == 0


def test_what_paddle_told_us_is_told_to_vivoldi(rows):
    coupon = make_coupon(rows["AAAA1111"].campaign, status="redeemed")
    verify_elsewhere(coupon.pk, way=Verification.Way.PADDLE)

    assert mirror() == 1


def test_the_use_that_we_told_is_not_counted_as_another(account, rows):
    verified(rows["AAAA1111"])
    mirror()
    told(rows["AAAA1111"])

    note_use(Told(account.pk, "AAAA1111", "event:1"))
    new = note_count(rows["AAAA1111"].pk, 1)

    use = Use.objects.get()
    assert new == 0
    assert (use.source, use.key) == ("mirror", "event:1")
    assert known_uses(rows["AAAA1111"]) == 1


def test_a_verification_committed_late_under_a_lower_id_is_found(rows):
    """The mark stays behind whatever is younger than a transaction can live."""
    first, second = (verified(rows["AAAA1111"]) for _ in range(2))
    late = {field.name: getattr(first, field.name) for field in first._meta.fields}
    first.delete()
    mirror()
    assert Use.objects.get().verification == second

    type(first).objects.create(**late)

    assert mirror() == 1
    assert Mirror.objects.get().done_to < late["id"]


def test_old_verifications_are_left_behind_by_the_mark(rows):
    verification = verified(rows["AAAA1111"])

    mirror(clock=lambda: timezone.now() + YOUNG + timedelta(seconds=1))

    assert Mirror.objects.get().done_to == verification.pk


def test_codes_published_later_are_told_of_verifications_made_before(rows):
    later = timezone.now() + YOUNG + timedelta(minutes=1)
    campaign = rows["AAAA1111"].campaign
    publication = Publication.objects.get()
    for _ in rows:
        verified(rows["AAAA1111"])
    serial = make_serials(campaign, ["CCCC3333"]).serials.get()
    verified(rows["AAAA1111"])
    assert mirror(clock=lambda: later) == 2

    row = RemoteCoupon.objects.create(
        connection=publication.connection,
        publication=publication,
        campaign=campaign,
        serial=serial,
        remote_id="CCCC3333",
        status="live",
    )
    Publication.objects.update(prepared_at=timezone.now())

    assert mirror(clock=lambda: later) == 1
    assert errand(row) == "redeem"


def test_taken_back_before_it_was_told_there_is_nothing_to_tell(rows):
    RemoteCoupon.objects.update(errand="update", next_try_at=timezone.now())
    verification = verified(rows["AAAA1111"])
    mirror()
    take_back(verification)
    RemoteCoupon.objects.update(errand="", next_try_at=None)

    assert mirror() == 0
    assert not Use.objects.exists()
    assert not open_differences().exists()

    verify(verification.coupon_id, store=make_store(), staff=make_user())

    assert mirror() == 1


def test_taken_back_after_it_was_told_is_a_difference(rows):
    verification = verified(rows["AAAA1111"])
    mirror()
    told(rows["AAAA1111"])

    take_back(verification)
    for _ in range(2):
        mirror()

    difference = open_differences().get()
    assert difference.coupon == rows["AAAA1111"]
    assert (difference.ours, difference.theirs) == ("undone", "used")
    wording = wording_of(difference)
    assert (wording.field, wording.ours, wording.theirs) == (
        "Use",
        "taken back",
        "used",
    )
    assert "no way to take a use back" in wording.note
    assert [action.key for action in actions_for(difference)] == ["accept"]
    assert errand(rows["AAAA1111"]) == ""


def test_taken_again_they_agree_and_it_is_not_told_twice(rows):
    verification = verified(rows["AAAA1111"])
    mirror()
    told(rows["AAAA1111"])
    take_back(verification)
    mirror()

    verify(verification.coupon_id, store=make_store(), staff=make_user())

    assert mirror() == 0
    assert not open_differences().exists()
    assert Difference.objects.get().ended_how == "agreed"
    assert Use.objects.count() == 1


def test_a_look_at_the_provider_does_not_end_it(rows):
    verification = verified(rows["AAAA1111"])
    mirror()
    take_back(verification)
    mirror()

    note([Seen(rows["AAAA1111"], [])], at=timezone.now())

    assert open_differences().exists()


def test_a_scan_at_a_till_is_a_use_at_vivoldi_once(settings, live_server):
    """From our till over Vivoldi and back: its webhook and its count add nothing."""
    with running_accounts(settings) as accounts:
        account, box = accounts.vivoldi, accounts.sandbox
        hook = reverse("hooks:vivoldi", args=[account.hook_key])
        box.add_vivoldi(
            api_key="vivoldi-key",
            secret=account.secret,
            webhook_url=f"{live_server.url}{hook}",
            tells_api_uses=True,
        )
        publication = accounts.done(
            "vivoldi",
            an_offer("vivoldi", 2),
            options=VivoldiOptions(is_mirrored=True),
        )
        row = publication.coupons.order_by("serial__pos").first()
        verified(row)

        assert mirror() == 1
        for _ in range(4):  # the count before it, the use, and nothing more
            accounts.turn("vivoldi")
        box.wait_for_webhooks()
        [used, other] = sorted(box.vivoldi_coupons(), key=lambda c: -c["useCnt"])

    work_off()
    assert (used["cpnNo"], used["useCnt"], other["useCnt"]) == (row.remote_id, 1, 0)
    assert note_count(row.pk, 1) == 0
    use = Use.objects.get()
    assert (use.source, use.key[:6]) == ("mirror", "event:")
    assert Verification.objects.count() == 1


def test_what_vivoldi_refused_to_be_told_of_is_no_difference(rows):
    """Nothing was counted there, so nothing differs when it is taken back here."""
    verification = verified(rows["AAAA1111"])
    mirror()
    RemoteCoupon.objects.filter(remote_id="AAAA1111").update(
        errand="",
        next_try_at=None,
        own={"untold": True},
        detail="The password is wrong.",
    )

    take_back(verification)
    mirror()

    assert not open_differences().exists()


def test_a_difference_of_what_was_never_told_ends(rows):
    """As an earlier release left them."""
    verification = verified(rows["AAAA1111"])
    mirror()
    told(rows["AAAA1111"])
    take_back(verification)
    mirror()
    assert open_differences().exists()

    RemoteCoupon.objects.filter(remote_id="AAAA1111").update(own={"untold": True})
    mirror()

    assert not open_differences().exists()


def test_a_refused_use_that_was_undone_is_not_told_again(rows):
    verification = verified(rows["AAAA1111"])
    mirror()
    row = RemoteCoupon.objects.filter(remote_id="AAAA1111")
    row.update(
        errand="",
        next_try_at=None,
        own={"untold": True},
        detail="The password is wrong.",
    )
    take_back(verification)

    with pytest.raises(SyncError, match="nothing"):
        retry(row.get().publication_id, by=make_user())

    assert row.get().errand == ""
