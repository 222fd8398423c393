"""Another campaign like this one, and campaigns that are put out of sight."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.errors import CampaignError
from campaigns.models import (
    Campaign,
    CampaignEvent,
    CampaignText,
    Group,
    Template,
    TotalLimit,
)
from campaigns.services import (
    OWN,
    archive,
    duplicate,
    move,
    name_of_copy,
    set_own_password,
    unarchive,
)
from deliveries.forms import campaigns_to_send
from reports.tests.record_helpers import signed_in, words_of
from serials.models import Batch, StockWatch
from serials.services import set_stock_warning
from testing.factories import (
    make_campaign,
    make_coupon,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:campaigns_campaign_changelist")


@pytest.fixture
def editor():
    return signed_in(make_user("Editor", first_name="Ken"))


def url(name, campaign):
    return reverse(f"admin:campaigns_campaign_{name}", args=[campaign.pk])


def nonce_on(client, campaign):
    page = client.get(url("change", campaign)).content.decode()
    return re.search(r'name="nonce" value="([^"]+)"', page)[1]


def press_duplicate(client, campaign, nonce=None, **rest):
    nonce = nonce or nonce_on(client, campaign)
    return client.post(url("duplicate", campaign), {"nonce": nonce}, **rest)


def make_full():
    campaign = make_campaign(
        make_store(),
        make_store(),
        name="Spring",
        instructions="Show this",
        memo="Ours",
        benefit="percentage",
        benefit_value=20,
        expiry="from_redemption",
        expiry_amount=3,
        barcode="code128",
        verifying="password",
        limit_per_contact=2,
        image="campaigns/spring.png",
        group=Group.objects.create(name="Fairs"),
        template=Template.objects.create(name="Usual"),
        is_case_sensitive=True,
    )
    CampaignText.objects.create(campaign=campaign, language="ja", name="春")
    CampaignText.objects.create(campaign=campaign, language="th", name="ใบไม้ผลิ")
    TotalLimit.objects.create(campaign=campaign, quota=50, used=3)
    set_stock_warning(campaign, 5)
    return campaign


# --- duplicate --------------------------------------------------------------------------


def test_a_copy_is_a_draft_with_every_setting_and_none_of_the_past(editor):
    source = make_full()
    make_serials(source, 9)
    make_coupon(source, status="redeemed")
    set_own_password(source, "umbrella-7")
    archived = Campaign.objects.filter(pk=source.pk)
    archived.update(state="ended", archived_at=timezone.now())

    page = press_duplicate(editor, source, follow=True)

    copy = Campaign.objects.exclude(pk=source.pk).get()
    for field in Campaign._meta.concrete_fields:
        if field.name not in OWN:
            assert getattr(copy, field.attname) == getattr(source, field.attname), field
    assert (copy.name, copy.state, copy.archived_at) == ("Spring (copy)", "draft", None)
    assert (copy.password, copy.password_changed_at) == ("", None)
    assert set(copy.stores.all()) == set(source.stores.all())
    assert set(copy.texts.values_list("language", "name")) == {
        ("ja", "春"),
        ("th", "ใบไม้ผลิ"),
    }
    assert (copy.total_limit.quota, copy.total_limit.used) == (50, 0)
    assert StockWatch.objects.get(campaign=copy).warn_below == 5
    assert not Batch.objects.filter(campaign=copy).exists()
    assert not copy.coupons.exists()
    assert "own password was not copied" in words_of(page)
    assert f"/{copy.pk}/" in page.redirect_chain[-1][0]


def test_what_is_copied_stays_as_it_was():
    source = make_full()
    before = Campaign.objects.filter(pk=source.pk).values().get()

    duplicate(source.pk, nonce=uuid4())

    assert Campaign.objects.filter(pk=source.pk).values().get() == before
    assert source.texts.count() == source.stores.count() == 2
    assert TotalLimit.objects.get(campaign=source).used == 3


def test_no_field_of_a_campaign_is_forgotten():
    """A new field is copied; what must not be is named here and in OWN."""
    names = {field.name for field in Campaign._meta.concrete_fields}

    assert names >= OWN
    assert {field.name for field in Campaign._meta.many_to_many} == {"stores"}


@pytest.mark.parametrize(
    ("name", "copied"),
    [
        ("Spring", "Spring (copy)"),
        ("x" * 60, "x" * 53 + " (copy)"),
        ("x" * 52 + " yyyyyyy", "x" * 52 + " (copy)"),
        ("春" * 60, "春" * 53 + " (copy)"),
    ],
    ids=range(4),
)
def test_the_name_stays_within_what_a_name_may_have(name, copied):
    assert name_of_copy(name) == copied
    assert len(copied) <= 60


def test_a_double_press_makes_one_copy_and_shows_it_twice(editor):
    source = make_campaign()
    nonce = nonce_on(editor, source)

    first = press_duplicate(editor, source, nonce)
    second = press_duplicate(editor, source, nonce)

    assert first.url == second.url
    assert Campaign.objects.count() == 2
    assert CampaignEvent.objects.filter(kind="copied").count() == 1


def test_pressed_on_another_page_it_makes_another(editor):
    source = make_campaign()

    press_duplicate(editor, source)
    press_duplicate(editor, source)

    assert Campaign.objects.count() == 3


@pytest.mark.parametrize("nonce", ["x", "1", "zz" * 16])
def test_without_its_nonce_nothing_is_copied(editor, nonce):
    source = make_campaign()

    page = press_duplicate(editor, source, nonce, follow=True)

    assert "too old" in words_of(page)
    assert Campaign.objects.count() == 1


@pytest.mark.parametrize(
    ("starts", "ends", "said"),
    [
        (-20, -10, "the use period is over"),
        (-20, 10, "some lie in the past"),
        (1, 10, ""),
    ],
)
def test_dates_are_kept_and_told_of_when_they_lie_in_the_past(
    editor, starts, ends, said
):
    now = timezone.now()
    source = make_campaign(
        use_starts_at=now + timedelta(days=starts),
        use_ends_at=now + timedelta(days=ends),
    )

    page = words_of(press_duplicate(editor, source, follow=True))

    copy = Campaign.objects.latest("pk")
    assert copy.use_ends_at == source.use_ends_at
    assert ("Its dates were kept" in page) == bool(said)
    assert said in page


def test_both_histories_name_the_other(editor):
    source = make_campaign(name="Spring")

    page = words_of(press_duplicate(editor, source, follow=True))

    assert "Made as a copy · Ken" in page
    assert "Spring (copy)" in words_of(editor.get(url("change", source)))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_twenty_presses_of_one_page_make_one_copy(racers):
    source = make_campaign()
    nonce = uuid4()

    results = racers.race(lambda n: duplicate(source.pk, nonce=nonce))

    assert len({copy.pk for copy, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1
    assert Campaign.objects.count() == 2


# --- archive ----------------------------------------------------------------------------


def names_in(page):
    return [campaign.name for campaign in page.context["cl"].result_list]


def test_what_is_archived_is_out_of_the_list_until_it_is_asked_for(editor):
    make_campaign(name="Running")
    old = make_campaign(name="Old", state="ended")

    editor.post(url("archive", old))

    assert names_in(editor.get(LIST)) == ["Running"]
    assert names_in(editor.get(LIST, {"archived": "yes"})) == ["Old"]
    assert names_in(editor.get(LIST, {"archived": "all"})) == ["Old", "Running"]
    assert names_in(editor.get(LIST, {"archived": "nonsense"})) == ["Running"]


def test_taken_back_it_is_in_the_list_again(editor):
    old = make_campaign(name="Old", state="ended")
    editor.post(url("archive", old))

    page = editor.get(url("change", old))
    assert "Take back from the archive" in words_of(page)
    editor.post(url("unarchive", old))

    assert names_in(editor.get(LIST)) == ["Old"]
    kinds = list(CampaignEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["archived", "unarchived"]


@pytest.mark.parametrize("state", ["active", "paused"])
def test_what_runs_is_not_archived(editor, state):
    campaign = make_campaign(state=state)

    page = editor.post(url("archive", campaign), follow=True)

    assert "End this one first" in words_of(page)
    assert not CampaignEvent.objects.exists()
    assert '/archive/"' not in editor.get(url("change", campaign)).content.decode()


def test_pressed_twice_it_is_archived_once():
    old = make_campaign(state="ended")

    assert archive(old.pk) is True
    at = Campaign.objects.get().archived_at
    assert archive(old.pk) is False
    assert Campaign.objects.get().archived_at == at
    assert unarchive(old.pk) is True
    assert unarchive(old.pk) is False
    assert CampaignEvent.objects.count() == 2


def test_an_archived_draft_starts_only_once_it_was_taken_back(editor):
    draft = make_campaign(state="draft")
    archive(draft.pk)

    with pytest.raises(CampaignError):
        move(draft.pk, "activate")
    assert '/move/activate/"' not in editor.get(url("change", draft)).content.decode()

    unarchive(draft.pk)
    move(draft.pk, "activate")
    assert Campaign.objects.get().state == "active"


def test_it_is_no_choice_for_sending_or_uploading(editor):
    archived = make_campaign(name="Put away", state="draft")
    archive(archived.pk)
    for state in ("active", "paused"):
        Campaign.objects.filter(pk=archived.pk).update(state=state)
        assert not campaigns_to_send().exists()
        for form in ("upload", "generate", "fixed"):
            page = editor.get(reverse(f"admin:serials_batch_{form}"))
            assert "Put away" not in page.content.decode()


def test_nothing_of_it_is_deleted(editor):
    campaign = make_campaign()
    make_serials(campaign, 3)
    coupon = make_coupon(campaign, status="redeemed")
    move(campaign.pk, "end")

    editor.post(url("archive", campaign))

    assert campaign.coupons.get() == coupon
    assert Batch.objects.filter(campaign=campaign).exists()


# --- who may ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["duplicate", "archive", "unarchive"])
@pytest.mark.parametrize("role", ["Viewer", "Store staff"])
def test_who_may_not_change_campaigns_may_do_neither(step, role):
    campaign = make_campaign(state="ended")
    client = signed_in(make_user(role))

    answer = client.post(url(step, campaign), {"nonce": str(uuid4())})

    assert answer.status_code in (302, 403)
    assert not CampaignEvent.objects.exists()
    assert Campaign.objects.count() == 1
    if role == "Viewer":
        page = client.get(url("change", campaign)).content.decode()
        assert f"/{step}/" not in page


@pytest.mark.parametrize("step", ["duplicate", "archive", "unarchive"])
def test_only_a_post_does_anything(editor, step):
    campaign = make_campaign(state="ended")

    assert editor.get(url(step, campaign)).status_code == 405
    assert editor.post(f"/admin/campaigns/campaign/999999/{step}/").status_code == 404
    assert not CampaignEvent.objects.exists()


def test_a_form_from_elsewhere_is_refused():
    campaign = make_campaign(state="ended")
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("Editor"))

    assert client.post(url("archive", campaign)).status_code == 403
    assert not CampaignEvent.objects.exists()
