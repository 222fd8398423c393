"""The Providers page of a campaign: what stands there of each account, and its buttons."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection as database
from django.utils import timezone

from reports.tests.provider_helpers import Shop, text_of, url_of
from sync.models import Publication, RemoteCoupon
from sync.options import options_from
from sync.publishing.terms import terms_of
from sync.services.publishing import send_terms
from testing.factories import (
    make_campaign,
    make_connection,
    make_difference,
    make_publication,
    make_remote_coupon,
    make_run,
    make_serials,
)

pytestmark = pytest.mark.django_db

State = Publication.State


@pytest.fixture
def shop():
    return Shop()


def page_of(shop, role="Manager", campaign=None):
    campaign = campaign or shop.campaign
    return shop.client(role).get(url_of("campaigns_campaign_providers", campaign.pk))


def card(response, connection):
    """The part of the page that is about this account, in words."""
    body = response.content.decode()
    start = body.index(f'id="account-{connection.pk}"')
    part = body[start : body.index("</section>", start)]
    return " ".join(re.sub(r"<[^>]+>", " ", part).split())


def labels(response):
    return {x["card"].connection: str(x["label"][1]) for x in response.context["cards"]}


def test_each_account_has_a_card_and_what_is_published_comes_first(shop):
    shop.at_paddle("live")

    response = page_of(shop)

    order = [x["card"].connection for x in response.context["cards"]]
    assert order == [shop.paddle, shop.line, shop.vivoldi]
    assert labels(response) == {
        shop.paddle: "published",
        shop.line: "not published",
        shop.vivoldi: "not published",
    }
    assert url_of("campaigns_campaign_publish", shop.campaign.pk, shop.line.pk) in (
        response.content.decode()
    )


def test_what_a_provider_can_t_tell_or_do_is_said_on_its_card(shop):
    response = page_of(shop)

    assert "doesn't tell who got this coupon" in card(response, shop.line).replace(
        "&#x27;", "'"
    )
    assert "taken back at Paddle" in card(response, shop.paddle)
    assert "no list of its coupons" in card(response, shop.vivoldi)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": State.PREPARING, "total": 3}, "being prepared"),
        ({"total": 3, "live": 1}, "being published"),
        ({"total": 3, "live": 1, "pause_reason": "Paused by mika."}, "paused"),
        ({"total": 3, "live": 2, "refused": 1}, "partly refused"),
        ({"total": 1, "refused": 1}, "refused"),
        ({"total": 3, "live": 2, "unknown": 1}, "unclear"),
        (
            {"state": State.CLOSING, "total": 3, "live": 2, "gone": 1},
            "being taken back",
        ),
        ({"state": State.CLOSED, "total": 3, "gone": 3}, "taken back"),
        ({"total": 3, "live": 3}, "published"),
    ],
)
def test_a_card_says_how_it_stands(shop, fields, words):
    make_publication(
        shop.campaign, shop.paddle, **{"prepared_at": timezone.now(), **fields}
    )

    assert labels(page_of(shop))[shop.paddle] == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"told": "RUNNING"}, "running"),
        ({"told": "RUNNING", "starts_at": timedelta(days=1)}, "upcoming"),
        ({"told": "CLOSED", "ends_at": timedelta(days=-1)}, "expired"),
        ({"told": "CLOSED", "ends_at": timedelta(days=1)}, "closed elsewhere"),
        ({"told": "RUNNING", "missing_since": timedelta(0)}, "missing there"),
    ],
)
def test_a_coupon_at_line_says_what_has_become_of_it(shop, fields, words):
    now = timezone.now()
    fields = {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in fields.items()
    }
    publication = make_publication(shop.campaign, shop.line, live=1, prepared_at=now)
    make_remote_coupon(publication, **fields)

    assert labels(page_of(shop))[shop.line] == words


def test_an_end_at_midnight_is_the_last_minute_of_the_day_before(shop):
    _publication, coupon = shop.at_line()
    RemoteCoupon.objects.filter(pk=coupon.pk).update(ends_at="2026-12-31T15:00:00Z")

    assert "2026-12-31 23:59 (Asia/Tokyo)" in card(page_of(shop), shop.line)


def test_why_it_waits_is_said_with_what_to_do(shop):
    make_publication(
        shop.campaign, shop.paddle, total=3, pause_reason="Paused by Mika."
    )
    shop.vivoldi.pause("Vivoldi refused the API key.")
    make_publication(shop.campaign, shop.vivoldi, total=3)

    response = page_of(shop)

    assert "Paused by Mika." in card(response, shop.paddle)
    assert "Resume" in card(response, shop.paddle)
    assert "Vivoldi refused the API key." in card(response, shop.vivoldi)
    assert "Open the connection" in card(response, shop.vivoldi)
    assert labels(response)[shop.vivoldi] == "account paused"


def test_an_editor_is_told_who_can_resume_an_account(shop):
    shop.vivoldi.pause("Vivoldi refused the API key.")

    told = card(page_of(shop, "Editor"), shop.vivoldi)

    assert "A Manager can resume it." in told
    assert "Open the connection" not in told


def test_what_was_refused_can_be_tried_again_and_new_serials_published(shop):
    shop.at_paddle("live", "refused", "unknown")
    make_serials(shop.campaign, 4)

    told = card(page_of(shop), shop.paddle)

    assert "Try the refused and unclear again" in told
    assert "Publish 4 new serials" in told


def test_a_card_counts_its_differences_and_leads_to_them(shop):
    _publication, coupon = shop.at_line()
    make_difference(coupon)
    make_difference(coupon, field="description")
    make_difference(coupon, field="usageCondition", ended_at=timezone.now())

    response = page_of(shop)

    assert "2 differences" in card(response, shop.line)
    link = url_of("sync_difference_changelist")
    query = f"?campaign={shop.campaign.pk}&amp;connection={shop.line.pk}"
    assert f'href="{link}{query}"' in response.content.decode()


def sent(shop, connection, **fields):
    """The campaign published with what it says now."""
    options = options_from(connection.provider, {})
    terms = terms_of(shop.campaign, connection, options, at=timezone.now())
    fields = {"total": 1, "live": 1, "prepared_at": timezone.now()} | fields
    return make_publication(
        shop.campaign, connection, terms=terms, options=options.to_json(), **fields
    )


@pytest.mark.parametrize("name", ["paddle", "vivoldi"])
def test_changed_terms_can_be_sent_once_there_are_some(shop, name):
    account = getattr(shop, name)
    publication = sent(shop, account)

    before = card(page_of(shop), account)
    shop.campaign.benefit_value = 30
    shop.campaign.save(update_fields=["benefit_value"])
    after = card(page_of(shop), account)
    send_terms(publication.pk, by=shop.people["Editor"])

    assert "Send the changed terms" not in before
    assert "Send the changed terms" in after
    assert "Send the changed terms" not in card(page_of(shop), account)


def test_changes_that_can_t_be_sent_are_told_with_what_to_do(shop):
    sent(shop, shop.vivoldi)
    shop.campaign.benefit = "amount"
    shop.campaign.currency = "XXX"
    shop.campaign.save(update_fields=["benefit", "currency"])

    response = page_of(shop)

    vivoldi = card(response, shop.vivoldi)
    assert "Vivoldi doesn't know XXX" in unescape(vivoldi)
    assert "Send the changed terms" not in vivoldi


def test_a_field_that_stays_as_it_was_made_is_named_in_words(shop):
    sent(shop, shop.paddle)
    shop.campaign.benefit = "amount"
    shop.campaign.currency = "USD"
    shop.campaign.save(update_fields=["benefit", "currency"])

    told = unescape(card(page_of(shop), shop.paddle))

    assert "The campaign has changed, and Kind of benefit can't be changed there." in (
        told
    )
    assert "discount_type" not in told


def test_nothing_is_left_to_send_once_the_campaign_is_over(shop):
    sent(shop, shop.paddle)
    shop.campaign.benefit_value = 30
    shop.campaign.use_ends_at = timezone.now() - timedelta(minutes=1)
    shop.campaign.save(update_fields=["benefit_value", "use_ends_at"])

    told = card(page_of(shop), shop.paddle)

    assert "Send the changed terms" not in told
    assert "can't be" not in unescape(told).partition("can't tell or do")[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("line", "The coupon is being made ready, and goes to LINE in a moment."),
        ("paddle", "The codes are being made ready."),
        ("vivoldi", "The codes are being made ready."),
    ],
)
def test_what_is_being_prepared_says_so_in_place_of_zeros(shop, name, words):
    account = getattr(shop, name)
    publication = make_publication(shop.campaign, account, state=State.PREPARING)

    told = card(page_of(shop), account)
    own = text_of(shop.client().get(url_of("sync_publication_change", publication.pk)))

    for text in (told, own):
        assert words in text
        assert "0 / 0" not in text
        assert "Unclear 0" not in text.partition("Each code")[0]


def test_a_coupon_at_line_that_was_never_sent_says_so(shop):
    make_publication(
        shop.campaign, shop.line, state=State.PREPARING, pause_reason="Paused by Mika."
    )

    told = card(page_of(shop), shop.line)

    assert "Nothing of it has been sent there." in told
    assert "0 / 0" not in told


def test_a_coupon_that_was_closed_at_line_is_ended_or_made_again(shop):
    publication, coupon = shop.at_line()
    RemoteCoupon.objects.filter(pk=coupon.pk).update(told="CLOSED")

    told = card(page_of(shop), shop.line)
    asked = text_of(shop.client().get(url_of("sync_publication_close", publication.pk)))

    assert "Make it again" in told
    assert "End it here too" in told
    assert "Discontinue" not in told
    assert "At LINE it is closed or gone already" in asked
    assert "Discontinue" not in asked


def test_a_viewer_sees_all_of_it_and_no_button(shop):
    shop.at_paddle("live", "refused", "waiting")

    body = page_of(shop, "Viewer").content.decode()

    assert "Clover Paddle" in body
    cards = body[body.index('id="account-') : body.rindex("</section>")]
    assert "<button" not in cards
    assert "/publish/" not in cards
    assert "/close/" not in cards


def test_an_editor_has_no_button_that_takes_anything_back(shop):
    shop.at_line()

    told = card(page_of(shop, "Editor"), shop.line)

    assert "Send as a LINE message" in told
    assert "Discontinue" not in told
    assert "Change: close and make again" not in told


def test_an_ended_coupon_is_not_offered_as_a_message(shop):
    _publication, coupon = shop.at_line()
    RemoteCoupon.objects.filter(pk=coupon.pk).update(
        ends_at=timezone.now() - timedelta(hours=1)
    )

    told = card(page_of(shop), shop.line)

    assert "Send as a LINE message" not in told
    assert "The coupon on LINE ended on" in told


def test_one_that_replaces_another_says_that_it_waits_for_it(shop):
    old = make_publication(
        shop.campaign,
        shop.line,
        state=State.CLOSING,
        live=1,
        prepared_at=timezone.now(),
    )
    make_publication(shop.campaign, shop.line, state=State.PREPARING, replaces=old)

    assert "waits until the coupon that it replaces" in card(page_of(shop), shop.line)


def test_what_could_not_be_taken_back_is_not_shown_as_under_way(shop):
    publication = shop.at_paddle("live", "gone", state=State.CLOSING)
    RemoteCoupon.objects.filter(status="live").update(failures=1, detail="No.")

    response = page_of(shop)

    assert labels(response)[shop.paddle] == "partly taken back"
    assert "Try the refused and unclear again" in card(response, shop.paddle)
    assert not response.context["is_working"]
    assert publication.state == State.CLOSING


def test_without_an_account_it_says_where_to_add_one(shop):
    for connection in (shop.line, shop.paddle, shop.vivoldi):
        connection.delete()

    managers = text_of(page_of(shop))
    editors = text_of(page_of(shop, "Editor"))

    assert "Add a connection" in managers
    assert "A Manager adds accounts" in editors
    assert "Add a connection" not in editors


def test_providers_without_an_account_are_named(shop):
    shop.vivoldi.delete()

    assert "No account yet: Vivoldi." in text_of(page_of(shop))


def test_the_numbers_come_for_the_script_and_another_state_has_another_version(shop):
    publication = shop.at_paddle("live", "waiting", "waiting")
    address = url_of("sync_publication_state", publication.pk)
    client = shop.client("Viewer")

    now = client.get(address).json()
    Publication.objects.filter(pk=publication.pk).update(pause_reason="Paused.")
    then = client.get(address).json()

    assert (now["done"], now["total"], now["is_working"]) == (1, 3, True)
    assert then["version"] != now["version"]
    assert not then["is_working"]


def test_the_campaign_s_page_leads_there_and_says_how_it_stands(shop):
    _publication, coupon = shop.at_line()
    make_difference(coupon)
    page = url_of("campaigns_campaign_change", shop.campaign.pk)

    body = shop.client("Viewer").get(page)

    assert url_of("campaigns_campaign_providers", shop.campaign.pk) in (
        body.content.decode()
    )
    assert "Clover LINE running 1 difference" in text_of(body)


def test_the_page_asks_no_more_of_the_database_for_more_rows(
    shop, django_assert_max_num_queries
):
    shop.at_paddle("live", "refused", "waiting")
    for _ in range(20):
        make_publication(
            shop.campaign, shop.line, state=State.CLOSED, gone=1, prepared_at=None
        )
    make_run(shop.paddle)
    client = shop.client()
    address = url_of("campaigns_campaign_providers", shop.campaign.pk)
    client.get(address)

    with django_assert_max_num_queries(45):
        client.get(address)


def test_an_account_s_secrets_are_not_read_for_the_page(shop):
    """A page without them works with a lost key."""
    other = make_connection(name="Lost key")
    with_wrong_key(other)

    assert page_of(shop).status_code == 200


def with_wrong_key(connection):
    """Its token as it lies in the table can't be read by any key of ours."""
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE connections_connection SET access_token = %s WHERE id = %s",
            ["gAAAAA-not-ours", connection.pk],
        )


def test_a_campaign_that_is_nowhere_says_so_on_its_page(shop):
    campaign = make_campaign(name="Alone")
    page = url_of("campaigns_campaign_change", campaign.pk)

    assert "Published nowhere" in text_of(shop.client().get(page))
