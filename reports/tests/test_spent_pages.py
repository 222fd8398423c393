"""Codes that are spent here, on the pages where people learn of them and mend it."""

import pytest

from reports.tests.provider_helpers import Shop, said, text_of, url_of
from sync.models import Difference, Publication, Step
from testing.factories import make_difference

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
def publication(shop):
    return shop.at_paddle("live", "live", "live")


@pytest.fixture
def difference(publication):
    return make_difference(
        publication=publication,
        field="spent",
        ours="void:120 used:1035 revoked:2",
        theirs="usable",
    )


def page_of(shop, difference, role="Manager"):
    return shop.client(role).get(url_of("sync_difference_change", difference.pk))


def test_its_row_says_how_many_in_words(shop, difference):
    listed = text_of(shop.client().get(url_of("sync_difference_changelist")))

    assert "Spent codes" in listed
    assert "all of its coupons" not in listed, "some of them are"
    assert "Here 120 void, 1,035 used, 2 revoked There still usable" in listed
    assert "Take those codes back there" in listed


def test_its_page_says_what_taking_them_back_costs(shop, difference):
    told = text_of(page_of(shop, difference))

    assert "can't use it there any more" in told
    assert "can be published again" in told


def test_the_campaigns_page_counts_it(shop, difference):
    page = shop.client().get(url_of("campaigns_campaign_providers", shop.campaign.pk))

    assert "1 difference" in text_of(page)


def test_only_a_manager_takes_them_back(shop, difference, publication):
    address = url_of("sync_difference_mend", difference.pk)
    assert "Take those codes back" not in text_of(page_of(shop, difference, "Editor"))

    assert shop.client("Editor").post(address, {"action": "clear"}).status_code == 403
    assert Difference.objects.get().ended_at is None
    response = shop.client().post(address, {"action": "clear"}, follow=True)

    assert said(response) == ["Done. The next look will tell."]
    assert Publication.objects.get(pk=publication.pk).is_clearing
    assert Difference.objects.get().ended_how == "taken_back"


def test_the_history_tells_of_it(shop, difference):
    address = url_of("sync_difference_mend", difference.pk)
    shop.client().post(address, {"action": "clear"})
    assert Step.objects.get().kind == "mended"

    told = text_of(shop.client().get(url_of("sync_step_changelist")))

    assert "Spent codes" in told
    assert "120 void, 1,035 used, 2 revoked" in told
    assert "Those codes are taken back there." in told
