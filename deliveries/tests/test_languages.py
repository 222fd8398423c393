"""A card is in the language of whoever gets it, and stays so from try to try."""

import pytest

from campaigns.models import CampaignText
from deliveries.messages import preview_for
from deliveries.models import Delivery
from deliveries.preparing import prepare
from deliveries.tests.helpers import later, numbers, send, statuses
from testing.factories import make_contact, make_list

pytestmark = pytest.mark.django_db


def make_friend(shop, language):
    contact = make_contact(shop.connection, language=language)
    shop.line.add_friend(contact.line_user_id, contact.name)
    return contact


def said_to(shop, contact):
    [message] = shop.line.messages(contact.line_user_id)
    return str(message)


@pytest.mark.parametrize(
    ("language", "button"),
    [
        ("ja", "クーポンを開く"),
        ("zh-TW", "打開優惠券"),
        ("zh-Hant", "打開優惠券"),
        ("th", "เปิดคูปอง"),
        ("ko", "쿠폰 열기"),
        ("fr", "Open coupon"),
        ("", "Open coupon"),
    ],
)
def test_the_card_is_in_the_contacts_language_else_the_campaigns(
    shop, language, button
):
    contact = make_friend(shop, language)
    shop.ready(contact_list=make_list(contact))

    send()

    assert button in said_to(shop, contact)


def test_the_campaigns_own_texts_in_that_language_are_on_it(shop):
    CampaignText.objects.create(
        campaign=shop.campaign,
        language="ja",
        name="夏のラテ",
        usage_condition="店内のみ",
    )
    japanese, thai = make_friend(shop, "ja"), make_friend(shop, "th")
    shop.ready(contact_list=make_list(japanese, thai))

    send()

    assert "夏のラテ" in said_to(shop, japanese)
    assert "店内のみ" in said_to(shop, japanese)
    assert shop.campaign.name in said_to(shop, thai)
    assert "夏のラテ" not in said_to(shop, thai)


def test_a_language_that_changes_between_two_tries_changes_no_byte(shop):
    contact = make_friend(shop, "ja")
    delivery = shop.ready(contact_list=make_list(contact))
    shop.line.fault("push", "accept_then_drop", times=1)
    send()
    contact.language = "ko"
    contact.save()

    send(clock=later(seconds=5))

    first, second = shop.line.requests("push")
    assert first.body_hash == second.body_hash
    assert numbers(delivery) == (1, 0, 0, 0)
    assert "クーポンを開く" in said_to(shop, contact)


def test_a_delivery_made_before_there_were_languages_is_sent_as_it_is(shop):
    contact = make_friend(shop, "ja")
    delivery = shop.start(contact_list=make_list(contact))
    first, *_others = delivery.template.split("\n")
    Delivery.objects.update(template=first.partition("\t")[2])

    prepare(delivery.pk)
    send()

    assert statuses(delivery) == {"accepted": 1}
    assert "Open coupon" in said_to(shop, contact)


def test_a_text_goes_out_as_it_was_written(shop):
    contact = make_friend(shop, "ja")
    delivery = shop.ready(
        contact_list=make_list(contact), kind=Delivery.Kind.TEXT, text="Hello"
    )

    send()

    assert "Hello" in said_to(shop, contact)
    assert delivery.template.count("\n") == 0


def test_the_preview_is_the_campaigns_own(shop):
    shop.campaign.language = "ko"

    assert preview_for(shop.campaign, Delivery.Kind.CARD).button == "쿠폰 열기"
