"""The pre-flight's page and summary, and activating by way of it."""

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import CampaignText
from sync.preflight.checking import preflight
from sync.preflight.facts import LOOKED_AT, facts_of
from testing.factories import (
    make_campaign,
    make_connection,
    make_coupon,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor():
    client = Client()
    client.force_login(make_user("Editor"))
    return client


@pytest.fixture
def draft():
    campaign = make_campaign(make_store(), state="draft", name="Spring latte")
    make_serials(campaign, 3)
    return campaign


def check_of(campaign):
    return reverse("admin:campaigns_campaign_preflight", args=[campaign.pk])


def page_of(campaign):
    return reverse("admin:campaigns_campaign_change", args=[campaign.pk])


def activate(client, campaign):
    url = reverse("admin:campaigns_campaign_move", args=[campaign.pk, "activate"])
    answer = client.post(url)
    campaign.refresh_from_db()
    return answer


def text_of(response):
    plain = html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))
    return " ".join(plain.split())


def test_the_button_leads_to_the_table_and_the_table_activates(editor, draft):
    page = editor.get(page_of(draft)).content.decode()
    table = editor.get(check_of(draft))

    assert f'href="{check_of(draft)}"' in page
    assert "Activate now" in text_of(table)
    assert activate(editor, draft).headers["Location"] == page_of(draft)
    assert draft.state == "active"


def test_a_campaign_that_nobody_could_use_is_not_activated(editor):
    campaign = make_campaign(
        state="draft", use_ends_at=timezone.now() - timedelta(minutes=1)
    )

    table = editor.get(check_of(campaign))
    answer = activate(editor, campaign)
    told = editor.get(answer.headers["Location"])

    assert campaign.state == "draft"
    assert answer.headers["Location"] == check_of(campaign)
    assert "Activate now" not in text_of(table)
    assert "2 things have to be mended first" in text_of(table)
    assert "#id_use_ends_at_0" in table.content.decode()
    assert "#serials" in table.content.decode()
    said = [str(message) for message in told.context["messages"]]
    assert any(message.startswith("Use period: It was over on") for message in said)


def test_what_came_up_after_the_table_was_read_still_stops_it(editor, draft):
    editor.get(check_of(draft))
    type(draft).objects.filter(pk=draft.pk).update(use_ends_at=timezone.now())

    activate(editor, draft)

    assert draft.state == "draft"


def test_resuming_asks_nothing(editor):
    campaign = make_campaign(state="paused")

    editor.post(reverse("admin:campaigns_campaign_move", args=[campaign.pk, "resume"]))

    campaign.refresh_from_db()
    assert campaign.state == "active"


def test_a_viewer_reads_the_table_and_cannot_activate(draft):
    client = Client()
    client.force_login(make_user("Viewer"))

    assert "Activate now" not in text_of(client.get(check_of(draft)))
    assert activate(client, draft).status_code == 403
    assert draft.state == "draft"


def test_store_staff_and_strangers_see_nothing_of_it(draft):
    client = Client()
    for person in (None, make_user("Store staff")):
        if person:
            client.force_login(person)
        assert client.get(check_of(draft)).status_code == 302


def test_the_table_takes_no_post_and_no_unknown_campaign(editor, draft):
    assert editor.post(check_of(draft)).status_code == 405
    missing = reverse("admin:campaigns_campaign_preflight", args=[999_999])
    assert editor.get(missing).status_code == 404


def test_only_providers_with_an_account_stand_open(editor, draft):
    make_connection()

    found = preflight(draft, at=timezone.now())
    page = editor.get(check_of(draft)).content.decode()

    assert [section.key for section in found.connected] == ["line"]
    assert [section.key for section in found.others] == ["paddle", "vivoldi"]
    before, _, inside = page.partition("<details")
    assert 'id="preflight-line"' in before
    assert 'id="preflight-paddle"' in inside


def test_what_would_be_sent_stands_beside_each_line(editor, draft):
    page = text_of(editor.get(check_of(draft)))

    assert 'title: "Spring latte"' in page
    assert "discTypeIdx" not in page  # the benefit is “other”, which Vivoldi lacks
    assert "Vivoldi knows per cent and money off only" in page


def test_the_summary_counts_what_stops_and_what_is_to_read(editor, draft):
    ready = text_of(editor.get(page_of(draft)))
    empty = make_campaign(state="draft")

    assert re.search(r"Ready: \d+ remarks", ready)
    assert "Not ready: 1 thing to mend first" in text_of(editor.get(page_of(empty)))


def test_a_name_with_markup_is_shown_as_it_is(editor, draft):
    draft.name = "<script>alert(1)</script>"
    draft.save()

    page = editor.get(check_of(draft)).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_facts_come_from_the_rows(draft):
    make_fixed_batch(draft, code="FNA@5841", quantity=10)
    CampaignText.objects.create(campaign=draft, language="ja", name="春")
    draft.state = "active"
    draft.save()
    make_coupon(draft, status="redeemed")

    facts = facts_of(draft, at=timezone.now())

    assert [stock.free for stock in facts.stock] == [2, 10]
    assert len(facts.stock[0].codes) == 2
    assert facts.stock[1].codes == ("FNA@5841",)
    assert facts.free == 12
    assert facts.texts["ja"] == {"name"}
    assert facts.open_stores == 1


def test_of_a_large_batch_both_ends_are_looked_at_and_it_says_so():
    campaign = make_campaign()
    make_serials(campaign, LOOKED_AT + 10)

    [stock] = facts_of(campaign, at=timezone.now()).stock

    assert len(stock.codes) == LOOKED_AT
    assert stock.codes[0].endswith("000000")
    assert stock.codes[-1].endswith(f"{LOOKED_AT + 9:06d}")
    assert not stock.is_all


def test_a_lost_image_is_a_remark_and_no_error(editor, draft):
    draft.image = "campaigns/gone.png"
    draft.save()

    assert "Its file can't be read" in text_of(editor.get(check_of(draft)))


def test_queries_do_not_grow_with_serials_and_batches(
    editor, draft, django_assert_max_num_queries
):
    for _ in range(12):
        make_serials(draft, 5)

    with django_assert_max_num_queries(45):
        editor.get(check_of(draft))


def test_a_field_is_linked_where_it_is_changed(editor, draft):
    make_connection(provider="vivoldi")

    page = editor.get(check_of(draft)).content.decode()

    for anchor in ("#id_instructions", "#id_image", "#texts-group", "#id_benefit"):
        assert f'href="{page_of(draft)}{anchor}"' in page


def test_a_campaign_that_has_ended_has_no_summary(editor):
    ended = make_campaign(state="ended")

    assert "See the whole check" not in text_of(editor.get(page_of(ended)))


def test_an_archived_draft_is_not_activated(editor, draft):
    draft.archived_at = timezone.now()
    draft.save()

    assert "Activate now" not in text_of(editor.get(check_of(draft)))
    activate(editor, draft)
    assert draft.state == "draft"


@pytest.mark.parametrize(
    ("state", "words"),
    [("draft", "Check before activating"), ("active", "Check before publishing")],
)
def test_the_check_is_called_what_it_is_for(editor, state, words):
    campaign = make_campaign(state=state)

    assert words in text_of(editor.get(check_of(campaign)))
