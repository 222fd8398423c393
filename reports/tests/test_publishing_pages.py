"""Publishing from the Providers page: the table, what is chosen, and one press is one."""

from uuid import uuid4

import pytest

from campaigns.models import Campaign
from reports.tests.provider_helpers import Shop, said, text_of, url_of
from sync.models import Publication
from testing.factories import make_campaign, make_serials

pytestmark = pytest.mark.django_db

LINE = {"visibility": "UNLISTED", "way": "normal"}


@pytest.fixture
def shop():
    return Shop()


def page_for(shop, connection, campaign=None):
    campaign = campaign or shop.campaign
    return url_of("campaigns_campaign_publish", campaign.pk, connection.pk)


def press(shop, connection, role="Editor", nonce=None, **fields):
    fields = {"nonce": str(nonce or uuid4()), **fields}
    return shop.client(role).post(page_for(shop, connection), fields)


@pytest.mark.parametrize("name", ["line", "paddle", "vivoldi"])
def test_the_provider_s_own_table_stands_before_the_button(shop, name):
    response = shop.client("Editor").get(page_for(shop, getattr(shop, name)))

    assert response.context["table"].section.key == name
    assert response.context["is_possible"]
    assert "Publish now" in text_of(response)
    assert "disabled" not in response.content.decode().split("Publish now")[0][-80:]


@pytest.mark.parametrize(
    ("name", "fields"), [("line", LINE), ("paddle", {}), ("vivoldi", {})]
)
def test_a_press_publishes_what_was_chosen(shop, name, fields):
    connection = getattr(shop, name)

    response = press(shop, connection, **fields)

    made = Publication.objects.get()
    assert (made.campaign, made.connection) == (shop.campaign, connection)
    assert made.created_by == shop.people["Editor"]
    assert response.url.endswith(f"/providers/#account-{connection.pk}")


def test_a_draw_is_sent_as_it_was_chosen(shop):
    press(
        shop,
        shop.line,
        visibility="PUBLIC",
        way="lottery",
        probability="30",
        most_winners="500",
    )

    assert Publication.objects.get().terms["acquisitionCondition"] == {
        "type": "lottery",
        "lotteryProbability": 30,
        "maxAcquireCount": 500,
    }
    assert Publication.objects.get().terms["visibility"] == "PUBLIC"


@pytest.mark.parametrize(
    "fields",
    [
        {"way": "lottery"},
        {"way": "lottery", "probability": "0"},
        {"way": "lottery", "probability": "100"},
        {"way": "lottery", "probability": "x"},
        {"way": "lottery", "probability": "1", "most_winners": "1000000"},
        {"way": "normal", "probability": "30"},
        {"way": "normal", "most_winners": "3"},
        {"way": "else"},
        {"visibility": "SECRET"},
    ],
)
def test_a_choice_that_line_does_not_take_is_said_at_its_field(shop, fields):
    response = press(shop, shop.line, **(LINE | fields))

    assert response.status_code == 400
    assert response.context["form"].errors
    assert not Publication.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"group": "-1"},
        {"group": "99999999999"},
        {"template": "a"},
        {"domain": "not an address"},
        {"domain": "http://vvd.bz"},
        {"webhook": "perhaps"},
        {"memo": "x" * 201},
        {"memo": "nul \x00"},
    ],
)
def test_a_choice_that_vivoldi_does_not_take_is_said_at_its_field(shop, fields):
    response = press(shop, shop.vivoldi, **fields)

    assert response.status_code == 400
    assert response.context["form"].errors
    assert not Publication.objects.exists()


def test_what_is_chosen_for_vivoldi_is_kept_and_its_password_is_never_shown(shop):
    Campaign.objects.filter(pk=shop.campaign.pk).update(verifying="password")
    password = "847362"

    press(
        shop,
        shop.vivoldi,
        group="12",
        template="7",
        webhook="yes",
        memo="Spring",
        is_mirrored="on",
        onsite_password=password,
    )

    made = Publication.objects.get()
    assert made.onsite_password == password
    assert made.is_mirrored
    assert made.terms["grpIdx"] == 12
    assert made.terms["webhookEnableYn"] == "Y"
    assert password not in str(made.options) + str(made.terms)
    for page in (
        url_of("campaigns_campaign_providers", shop.campaign.pk),
        url_of("sync_publication_change", made.pk),
    ):
        assert password not in shop.client().get(page).content.decode()


def test_a_password_is_asked_for_where_vivoldi_s_page_asks_for_one_alone(shop):
    asked = shop.client().get(page_for(shop, shop.vivoldi)).context["form"].fields
    Campaign.objects.filter(pk=shop.campaign.pk).update(verifying="password")

    response = press(shop, shop.vivoldi)

    assert "onsite_password" not in asked
    assert "onsite_password" in response.context["form"].errors
    assert not Publication.objects.exists()


def test_a_password_typed_wrongly_is_not_written_into_the_page(shop):
    Campaign.objects.filter(pk=shop.campaign.pk).update(verifying="password")

    response = press(shop, shop.vivoldi, onsite_password="se cret!")

    assert response.status_code == 400
    assert "se cret!" not in response.content.decode()


def test_pressed_twice_it_is_published_once(shop):
    nonce = uuid4()

    first = press(shop, shop.line, nonce=nonce, **LINE)
    second = press(shop, shop.line, nonce=nonce, **LINE)

    assert first.url == second.url
    assert Publication.objects.count() == 1


def test_the_page_s_form_carries_the_name_of_its_press(shop):
    page = shop.client().get(page_for(shop, shop.line))

    again = press(shop, shop.line, nonce=page.context["nonce"], way="lottery")

    assert str(page.context["nonce"]) in page.content.decode()
    assert again.context["nonce"] == page.context["nonce"]


def test_a_colleague_was_quicker(shop):
    press(shop, shop.line, role="Manager", **LINE)

    response = press(shop, shop.line, **LINE)

    assert response.status_code == 409
    assert "published at this account already" in text_of(response)
    assert Publication.objects.count() == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [("draft", "Activate it first"), ("paused", "Resume it"), ("ended", "has ended")],
)
def test_why_a_campaign_can_t_be_published_is_said_and_the_button_is_off(
    shop, state, words
):
    Campaign.objects.filter(pk=shop.campaign.pk).update(state=state)

    response = shop.client().get(page_for(shop, shop.line))

    assert words in text_of(response)
    assert not response.context["is_possible"]
    assert "disabled" in response.content.decode()
    assert press(shop, shop.line, **LINE).status_code == 409
    assert not Publication.objects.exists()


def test_what_the_provider_can_t_express_is_listed_with_the_place_to_mend_it(shop):
    campaign = make_campaign(benefit="free", name="Free coffee")
    make_serials(campaign, 2)

    response = shop.client().get(page_for(shop, shop.paddle, campaign))

    stops = response.context["stops"]
    assert any(row.line.field == "benefit" and row.url for row in stops)
    assert "can't be published there as it is" in text_of(response)


def test_a_paused_account_is_a_reason(shop):
    shop.line.pause("LINE refused the token.")

    response = shop.client().get(page_for(shop, shop.line))

    assert "LINE refused the token." in text_of(response)
    assert not response.context["is_possible"]


def test_what_came_of_it_is_said_on_the_page_after(shop):
    answer = press(shop, shop.line, **LINE)

    page = shop.client("Editor").get(answer.url)

    assert page.status_code == 200
    follow = shop.client("Editor")
    done = follow.post(
        page_for(shop, shop.paddle), {"nonce": str(uuid4())}, follow=True
    )
    assert said(done) == ["“Spring latte” is on its way to Clover Paddle."]


@pytest.mark.parametrize("number", [0, 999_999])
def test_an_account_that_is_not_there_is_not_found(shop, number):
    address = url_of("campaigns_campaign_publish", shop.campaign.pk, number)

    assert shop.client().get(address).status_code == 404
    assert shop.client().post(address).status_code == 404
