"""What a delivery says on LINE: built once, from the campaign as it is at that moment."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from django.conf import settings
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from campaigns.benefit import benefit_words, condition_words
from campaigns.models import Campaign
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from providers.line_messages import (
    LINK,
    CardColours,
    Message,
    coupon_card,
    fill,
    template_bytes,
    text_message,
)

EXAMPLE = "a-link-of-its-own"


@dataclass(frozen=True)
class Preview:
    """A message as LINE will show it; colours are #RRGGBB."""

    lines: list[dict[str, str]] = field(default_factory=list)
    text: str = ""
    image_url: str = ""
    background: str = ""
    button: str = ""
    button_colour: str = ""
    is_button_light: bool = False


def link_base() -> str:
    """What a coupon's link begins with; its token follows."""
    return f"{settings.SITE_URL}/c/"


def template_for(campaign: Campaign, kind: str, text: str = "") -> str:
    """The request body with places for the recipient and the link.

    In the campaign's own language. Raises DeliveryError `bad_message`.
    """
    try:
        return template_bytes([message_for(campaign, kind, text)]).decode()
    except ValueError as error:
        raise _bad_message(error) from None


def preview_for(campaign: Campaign, kind: str, text: str = "") -> Preview:
    """The same message with an example of a link. Raises DeliveryError `bad_message`."""
    try:
        message = message_for(campaign, kind, text, link=link_base() + EXAMPLE)
    except ValueError as error:
        raise _bad_message(error) from None
    return preview_of(message)


def _bad_message(error: ValueError) -> DeliveryError:
    return DeliveryError(
        "bad_message",
        _("LINE would not take this message: %(why)s Shorten or correct it.")
        % {"why": error},
    )


def message_for(
    campaign: Campaign, kind: str, text: str = "", *, link: str = LINK
) -> Message:
    """The LINE message object. Raises ValueError with the limit that it breaks."""
    if kind == Delivery.Kind.TEXT:
        return text_message(text, link)
    look = campaign.look()
    with translation.override(campaign.language):
        return coupon_card(
            title=campaign.name,
            button=_("Open coupon"),
            link=link,
            shop=settings.SHOP_NAME,
            benefit=benefit_words(campaign),
            period=_("Until %(when)s") % {"when": _shown(campaign)},
            condition=campaign.shown_condition or condition_words(campaign),
            image_url=_image_url(campaign),
            colours=CardColours(
                background=look["background_colour"],
                text=look["text_colour"],
                button=look["button_colour"],
            ),
        )


def _shown(campaign: Campaign) -> str:
    """The end of use as customers write it: midnight is the end of the day before."""
    local: datetime = campaign.use_ends_at.astimezone(campaign.zone)
    if local.time() == time():
        return date_format(local - timedelta(days=1), "DATE_FORMAT")
    return f"{date_format(local, 'DATE_FORMAT')}, {date_format(local, 'TIME_FORMAT')}"


def _image_url(campaign: Campaign) -> str:
    return f"{settings.SITE_URL}{campaign.image.url}" if campaign.image else ""


def preview_of(message: Message) -> Preview:
    """What to draw for a message that `message_for` made."""
    if message["type"] == "text":
        return Preview(text=message["text"])
    bubble = message["contents"]
    button = bubble["footer"]["contents"][0]
    return Preview(
        lines=[
            {"text": line["text"], "size": line["size"], "colour": line["color"]}
            for line in bubble["body"]["contents"]
        ],
        image_url=bubble.get("hero", {}).get("url", ""),
        background=bubble["styles"]["body"]["backgroundColor"],
        button=button["action"]["label"],
        button_colour=button["color"],
        is_button_light=button["style"] == "secondary",
    )


def body_for(delivery: Delivery, *, to: str, token: str) -> bytes:
    """The bytes of one recipient's request, the same on every try."""
    link = delivery.link_base + token
    return fill(delivery.template.encode(), to=to, link=link)


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
