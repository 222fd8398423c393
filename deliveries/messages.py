"""What a delivery says on LINE: built once, from the campaign as it is at that moment."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from django.conf import settings
from django.utils import translation
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext as _

from campaigns.benefit import benefit_words, condition_words
from campaigns.models import Campaign
from contacts.models import Contact
from coupons.moments import Moment
from deliveries.errors import DeliveryError
from deliveries.models import Delivery
from providers.line_messages import (
    LINK,
    CardColours,
    Message,
    coupon_card,
    coupon_message,
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
    title: str = ""  # of LINE's own coupon, and when it can be used
    period: str = ""
    image_url: str = ""
    background: str = ""
    button: str = ""
    button_colour: str = ""
    is_button_light: bool = False


def link_base() -> str:
    """What a coupon's link begins with; its token follows."""
    return f"{settings.SITE_URL}/c/"


def template_for(campaign: Campaign, kind: str, text: str = "") -> str:
    """The request body with places for the recipient and the link, one a line.

    A card in each language that contacts read, the campaign's own first, with that
    language before a tab; a text as it was written. Raises DeliveryError `bad_message`.
    """
    own = campaign.language
    others = [code for code, _name in settings.LANGUAGES if code != own]
    languages = [own] if kind == Delivery.Kind.TEXT else [own, *others]
    lines = []
    try:
        for language in languages:
            message = message_for(campaign, kind, text, language=language)
            lines.append(f"{language}\t{template_bytes([message]).decode()}")
    except ValueError as error:
        raise _bad_message(error) from None
    return "\n".join(lines)


def preview_for(campaign: Campaign, kind: str, text: str = "") -> Preview:
    """The same message with an example of a link. Raises DeliveryError `bad_message`."""
    try:
        message = message_for(campaign, kind, text, link=link_base() + EXAMPLE)
    except ValueError as error:
        raise _bad_message(error) from None
    return preview_of(message)


def native_template(coupon_id: str, *, tag: str = "") -> str:
    """The same of LINE's own coupon, which needs no language and has no link.

    Raises DeliveryError `bad_tag`.
    """
    try:
        body = template_bytes([coupon_message(coupon_id, tag=tag)])
    except ValueError as error:
        raise DeliveryError(
            "bad_tag",
            _("LINE would not take this message: %(why)s Correct the delivery tag.")
            % {"why": error},
        ) from None
    return f"\t{body.decode()}"


def native_preview(delivery: Delivery) -> Preview:
    """LINE's own coupon as the chat shows it, with the picture that LINE was given."""
    campaign = delivery.campaign
    return Preview(
        title=delivery.native_title,
        period=native_period(delivery),
        image_url=_image_url(campaign),
    )


def native_period(delivery: Delivery) -> str:
    """When LINE's own coupon can be used, in the campaign's zone; empty: not known."""
    zone = delivery.campaign.zone
    starts, ends = delivery.native_starts_at, delivery.native_ends_at
    if ends is None:
        return ""
    last = Moment(ends, zone, is_end=True)
    if starts is None:
        return _("Until %(when)s") % {"when": last.without_zone}
    first = Moment(starts, zone)
    return _("%(first)s to %(last)s") % {
        "first": first.without_zone,
        "last": last.words,
    }


def _bad_message(error: ValueError) -> DeliveryError:
    return DeliveryError(
        "bad_message",
        _("LINE would not take this message: %(why)s Shorten or correct it.")
        % {"why": error},
    )


def message_for(
    campaign: Campaign,
    kind: str,
    text: str = "",
    *,
    link: str = LINK,
    language: str = "",
) -> Message:
    """The LINE message object, in the campaign's own language if no other is named.

    Raises ValueError with the limit that it breaks.
    """
    if kind == Delivery.Kind.TEXT:
        return text_message(text, link)
    look = campaign.look()
    language = language or campaign.language
    told = texts_of(campaign, language)
    with translation.override(language):
        return coupon_card(
            title=told.get("name") or campaign.name,
            button=_("Open coupon"),
            link=link,
            shop=settings.SHOP_NAME,
            benefit=benefit_words(campaign),
            period=_("Until %(when)s") % {"when": _shown(campaign)},
            condition=told.get("usage_condition")
            or campaign.shown_condition
            or condition_words(campaign),
            image_url=_image_url(campaign),
            colours=CardColours(
                background=look["background_colour"],
                text=look["text_colour"],
                button=look["button_colour"],
            ),
        )


def texts_of(campaign: Campaign, language: str) -> dict[str, str]:
    """The campaign's texts in a language that is not its own."""
    if not campaign.pk or language == campaign.language:
        return {}
    text = campaign.texts.filter(language=language).first()
    if text is None:
        return {}
    return {"name": text.name, "usage_condition": text.usage_condition}


def _shown(campaign: Campaign) -> str:
    """The end of use as customers write it: midnight is the end of the day before."""
    end = Moment(campaign.use_ends_at, campaign.zone, is_end=True)
    return end.day if end.is_whole_day else end.without_zone


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


def body_for(delivery: Delivery, contact: Contact, *, token: str) -> bytes:
    """The bytes of one recipient's request, in the language that the contact has now."""
    return next(bodies_for(delivery, contact, token=token))


def body_again(
    delivery: Delivery, contact: Contact, *, token: str, body_hash: str
) -> bytes | None:
    """The same bytes on every try, though the contact's language may have changed."""
    for body in bodies_for(delivery, contact, token=token):
        if hash_of(body) == body_hash:
            return body
    return None


def bodies_for(delivery: Delivery, contact: Contact, *, token: str) -> Iterator[bytes]:
    """The request in each language, the contact's first. Raises ValueError."""
    templates = _templates_in(delivery.template)
    first = language_of(contact)
    others = [template for code, template in templates.items() if code != first]
    mine = [templates[first]] if first in templates else []
    for template in mine + others:
        link = delivery.link_base + token
        yield fill(template, to=contact.line_user_id or "", link=link)


def language_of(contact: Contact) -> str:
    """Ours that the contact's is a kind of; empty if there is none."""
    try:
        return get_supported_language_variant(contact.language.lower())
    except LookupError:
        return ""


@lru_cache(maxsize=8)
def _templates_in(template: str) -> dict[str, bytes]:
    """Each language's, in their order; what was made before there were any has one."""
    found = {}
    for line in template.split("\n"):
        language, _tab, body = line.rpartition("\t")
        found[language] = body.encode()
    return found


def hash_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
