"""The campaign's own password on its form: written, kept, removed, never shown."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from campaigns.models import Campaign
from campaigns.services import stores_on_page
from campaigns.tests.test_campaign_form import ADD, errors_of
from testing.factories import make_campaign, make_store, make_user
from testing.saving import filled

pytestmark = pytest.mark.django_db

TYPED = "canary-own-7"


@pytest.fixture
def editor(client):
    client.force_login(make_user("Editor"))
    return client


def twice(first, second=None):
    again = first if second is None else second
    return {"new_password": first, "new_password_again": again}


def change_url(campaign):
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def own_password(campaign):
    campaign.refresh_from_db()
    return campaign.password


@pytest.fixture
def campaign(editor):
    """A campaign with a password of its own, set through its form."""
    editor.post(reverse(ADD), filled(verifying="password", **twice(TYPED)))
    return Campaign.objects.get()


def test_it_is_set_with_a_new_campaign_and_kept_as_an_argon2_hash(argon2, campaign):
    assert campaign.password.startswith("argon2$")
    assert campaign.has_password(TYPED)
    assert not campaign.has_password(TYPED + "x")
    assert campaign.password_changed_at is not None
    assert TYPED not in "".join(
        LogEntry.objects.values_list("change_message", flat=True)
    )


def test_the_form_tells_since_when_and_never_what(editor, campaign):
    page = editor.get(change_url(campaign)).content.decode()

    assert "Set, last changed on" in page
    assert "Leave it empty to keep it." in page
    assert campaign.password not in page
    assert TYPED not in page


def test_empty_keeps_it_another_replaces_it_and_the_tick_removes_it(editor, campaign):
    first = own_password(campaign)

    editor.post(change_url(campaign), filled(name="Renamed", verifying="password"))
    kept = own_password(campaign)
    editor.post(
        change_url(campaign), filled(verifying="password", **twice("another-1"))
    )
    replaced = own_password(campaign)
    editor.post(
        change_url(campaign), filled(verifying="password", forget_password="on")
    )

    assert kept == first != replaced
    assert own_password(campaign) == ""


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        (twice("short"), "new_password"),
        (twice("111111"), "new_password"),
        (twice("x1y" * 50), "new_password"),
        (twice("umbrella\u202e7"), "new_password"),
        (twice("umbrella-7", "umbrella-8"), "new_password_again"),
        (twice("umbrella-7", ""), "new_password_again"),
        (twice("", "umbrella-7"), "new_password_again"),
        (twice("umbrella-7") | {"forget_password": "on"}, "forget_password"),
    ],
    ids=range(8),
)
def test_what_will_not_do_is_told_at_its_field_and_the_old_one_stays(
    editor, campaign, typed, field
):
    before = own_password(campaign)

    page = editor.post(change_url(campaign), filled(verifying="password", **typed))

    assert list(errors_of(page)) == [field]
    assert 'value="umbrella' not in page.content.decode()
    assert own_password(campaign) == before


def test_a_viewer_sees_the_form_and_sets_nothing(client):
    campaign = make_campaign()
    client.force_login(make_user("Viewer"))

    assert client.get(change_url(campaign)).status_code == 200
    assert client.post(change_url(campaign), filled(**twice(TYPED))).status_code == 403
    assert own_password(campaign) == ""


@pytest.mark.parametrize("way", [value for value, _ in Campaign.Verifying.choices])
def test_every_way_of_verifying_is_offered_and_saved(editor, way):
    assert f'value="{way}"' in editor.get(reverse(ADD)).content.decode()

    editor.post(reverse(ADD), filled(verifying=way))

    assert Campaign.objects.get().verifying == way


# --- a campaign that nobody could verify yet -------------------------------------------


def warnings_of(response):
    told = response.context["messages"]
    return [str(message) for message in told if message.level_tag == "warning"]


def test_saving_warns_when_no_store_has_a_password_yet(editor):
    store = make_store()

    without = editor.post(reverse(ADD), filled(verifying="password"), follow=True)
    store.set_password("umbrella-7")
    campaign = Campaign.objects.get()
    saved = editor.post(change_url(campaign), filled(verifying="password"), follow=True)

    [words] = warnings_of(without)
    assert "No open store that takes this campaign has a password yet" in words
    assert warnings_of(saved) == []


def test_saving_warns_when_no_open_store_takes_a_campaign_with_the_button(editor):
    make_store(is_active=False)

    page = editor.post(reverse(ADD), filled(verifying="button"), follow=True)

    [words] = warnings_of(page)
    assert "No open store takes this campaign yet" in words


def test_the_stores_on_the_page_are_the_open_ones_that_can_verify():
    shibuya, ueno, closed = (make_store(), make_store(), make_store(is_active=False))
    for store in (shibuya, closed):
        store.set_password("umbrella-7")

    def found(*stores, **fields):
        return set(stores_on_page(make_campaign(*stores, **fields)))

    assert found(verifying="password") == {shibuya}
    assert found(verifying="password", password="x") == {shibuya, ueno}
    assert found(verifying="button") == {shibuya, ueno}
    assert found(ueno, closed, verifying="button") == {ueno}
    assert found(verifying="scan") == set()
