"""LINE message objects as plain dicts, and the bytes of requests that carry them.

A delivery stores one template (`template_bytes`) and each recipient fills in two values
(`fill`): every try of a push is byte for byte the same, which its retry key demands.

Limits: Messaging API reference, "Message objects"; counting: "Character counting in a
text". Breaking one raises ValueError.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]

# Places to fill. Control characters never stand raw in JSON and `clean` takes them out
# of everybody's texts, so nothing a person writes can be taken for a place.
LINK = "\x02link\x03"
_TO = "\x02to\x03"

MAX_MESSAGES = 5
MAX_BODY = 2_000_000  # bytes; LINE says 2 MB
MAX_TEXT = 5_000  # UTF-16 units
MAX_URI = 1_000
MAX_IMAGE_URL = 2_000
MAX_ALT_TEXT = 400  # UTF-16 units; LINE allows 1,500, nobody reads more than this
MAX_LABEL = 40  # characters as people count them
MAX_BUBBLE = 30_000  # bytes; LINE says 30 KB
MAX_TAG = 30

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_COLOUR = re.compile("#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
_SHOWN_IMAGES = ("https://", "http://127.0.0.1:", "http://localhost:")
_IMAGE_RATIO = "20:13"
_JOINER = "\u200d"
_TAG = re.compile("[A-Za-z0-9_]*")


@dataclass(frozen=True)
class CardColours:
    """The campaign's colours, #RRGGBB or #RRGGBBAA."""

    background: str = "#FFFFFF"
    text: str = "#111111"
    button: str = "#06A94B"


def coupon_card(
    *,
    title: str,
    button: str,
    link: str = LINK,
    shop: str = "",
    benefit: str = "",
    period: str = "",
    condition: str = "",
    image_url: str = "",
    alt_text: str = "",
    colours: CardColours | None = None,
) -> Message:
    """A Flex card with one button; lines that are empty are left out.

    The image shows only with an https address, the one kind that LINE takes, or one of
    this machine, which the sandbox takes too. LINE draws a button's text white or
    black, whichever is easier to read on its colour.
    """
    colours = colours or CardColours()
    background = _over_white(colours.background)
    title, button = clean(title).strip(), _one_line(button)
    if not title:
        raise ValueError("A card needs a title.")
    if not 1 <= sum(1 for _ in clusters(button)) <= MAX_LABEL:
        raise ValueError(f"A button needs a text of 1 to {MAX_LABEL} characters.")
    action = {"type": "uri", "label": button, "uri": _uri(link)}
    lines: list[tuple[str, Message]] = [
        (_one_line(shop), {"size": "sm"}),
        (title, {"size": "lg", "weight": "bold", "margin": "sm"}),
        (clean(benefit).strip(), {"size": "xxl", "weight": "bold", "margin": "md"}),
        (clean(period).strip(), {"size": "sm", "margin": "lg"}),
        (clean(condition).strip(), {"size": "xs", "margin": "sm"}),
    ]
    bubble: Message = {
        "type": "bubble",
        "size": "mega",
        "body": _box(_lines(lines, _over_white(colours.text))),
        "footer": _box([_button(action, _over_white(colours.button))]),
        "styles": {
            "body": {"backgroundColor": background},
            "footer": {"backgroundColor": background},
        },
    }
    if image_url.startswith(_SHOWN_IMAGES):
        bubble["hero"] = _hero(image_url, action)
    slots = _dump(bubble).count(_slot(LINK))
    if len(_dump(bubble)) + slots * MAX_URI > MAX_BUBBLE:
        raise ValueError("This card is too long for LINE.")
    alt = _one_line(alt_text) or " – ".join(filter(None, [title, _one_line(benefit)]))
    return {
        "type": "flex",
        "altText": shorten(_one_line(alt), MAX_ALT_TEXT),
        "contents": bubble,
    }


def _box(contents: list[Message]) -> Message:
    return {"type": "box", "layout": "vertical", "contents": contents}


def _lines(lines: list[tuple[str, Message]], colour: str) -> list[Message]:
    """Text objects of those lines that say something."""
    return [
        {"type": "text", "text": text, "wrap": True, "color": colour} | style
        for text, style in lines
        if text
    ]


def _button(action: Message, colour: str) -> Message:
    style = "primary" if _is_dark(colour) else "secondary"
    return {
        "type": "button",
        "style": style,
        "color": colour,
        "height": "sm",
        "action": action,
    }


def _hero(image_url: str, action: Message) -> Message:
    if len(image_url) > MAX_IMAGE_URL:
        raise ValueError(f"An image address has at most {MAX_IMAGE_URL} letters.")
    return {
        "type": "image",
        "url": image_url,
        "size": "full",
        "aspectRatio": _IMAGE_RATIO,
        "aspectMode": "cover",
        "action": action,
    }


def text_message(text: str, link: str = "") -> Message:
    """A text, and on a line of its own a link (LINK: filled in for each recipient)."""
    text = clean(text).strip()
    if not text:
        raise ValueError("A text message needs a text.")
    if link:
        text = f"{text}\n{_uri(link)}"
    places = text.count(LINK)
    if utf16_len(text) + places * (MAX_URI - len(LINK)) > MAX_TEXT:
        raise ValueError(f"A text message has at most {MAX_TEXT} characters.")
    return {"type": "text", "text": text}


def coupon_message(coupon_id: str, *, tag: str = "") -> Message:
    """One of LINE's own coupons, drawn by LINE.

    `tag` names this way to the coupon in the statistics of LINE's manager, which says
    "Unknown" without one. Source: Messaging API reference, "Coupon message".
    """
    if not coupon_id or clean(coupon_id) != coupon_id:
        raise ValueError("A coupon message needs the coupon's id.")
    if not is_tag(tag):
        raise ValueError(
            f"A delivery tag has at most {MAX_TAG} letters A to Z, digits and _."
        )
    message = {"type": "coupon", "couponId": coupon_id}
    return message | ({"deliveryTag": tag} if tag else {})


def is_tag(tag: str) -> bool:
    """Whether LINE takes it as a delivery tag; an empty one is not sent."""
    return len(tag) <= MAX_TAG and _TAG.fullmatch(tag) is not None


def push_body(to: str, messages: Sequence[Message]) -> bytes:
    """The request body of a push whose messages have no place to fill."""
    return fill(template_bytes(messages), to=to)


def template_bytes(messages: Sequence[Message]) -> bytes:
    """The body of a push with places for the recipient and, where LINK is, the link.

    Equal messages give equal bytes. It is UTF-8 without NUL, so a text column holds it.
    """
    if not 1 <= len(messages) <= MAX_MESSAGES:
        raise ValueError(f"A push carries 1 to {MAX_MESSAGES} messages.")
    _check_texts(list(messages))
    template = _dump({"messages": list(messages), "to": _TO})
    links = template.count(_slot(LINK))
    if len(template) + links * MAX_URI > MAX_BODY - 100:
        raise ValueError("These messages are too long for LINE.")
    for place in (LINK, _TO):
        template = template.replace(_slot(place), place.encode())
    return template


def fill(template: bytes, *, to: str, link: str = "") -> bytes:
    """The request body for one recipient; `link` is required where the template has it."""
    if not to or clean(to) != to:
        raise ValueError("A push needs a recipient.")
    if LINK.encode() in template:
        if not link or link == LINK:
            raise ValueError("This template needs a link.")
        template = template.replace(LINK.encode(), _escaped(_uri(link)))
    return template.replace(_TO.encode(), _escaped(to))


def utf16_len(text: str) -> int:
    """Length as LINE counts it nearly everywhere: an emoji is two or more."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def clean(text: str) -> str:
    """Without what cannot be shown or sent: control characters, half surrogates."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def shorten(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, cut between words or at least between characters."""
    if utf16_len(text) <= limit:
        return text
    kept: list[str] = []
    used = 1  # for the ellipsis
    for cluster in clusters(text):
        used += utf16_len(cluster)
        if used > limit:
            break
        kept.append(cluster)
    cut = "".join(kept)
    # A space near the end is a better place; Japanese and Thai have none.
    space = cut.rfind(" ")
    if space > len(cut) * 3 // 4 and not text[len(cut)].isspace():
        cut = cut[:space]
    return cut.rstrip() + "…"


def clusters(text: str) -> Iterator[str]:
    """Characters as people see them: with their accents, emoji with all their parts.

    A short form of Unicode's rules: marks, joiners, skin tones and flags, which is all
    that our limits on labels need; where it errs, it counts too many.
    """
    cluster = ""
    for char in text:
        if cluster and not _continues(cluster, char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _continues(cluster: str, char: str) -> bool:
    if unicodedata.category(char) in ("Mn", "Mc", "Me"):
        return True
    if char == _JOINER or cluster.endswith(_JOINER) or char in "\u0e33\u0eb3":
        return True
    if "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f":
        return True
    is_flag = "\U0001f1e6" <= char <= "\U0001f1ff"
    return is_flag and len(cluster) == 1 and "\U0001f1e6" <= cluster <= "\U0001f1ff"


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _uri(link: str) -> str:
    if link == LINK:
        return link
    is_web = link.startswith(("https://", "http://"))
    is_plain = link.isascii() and link.isprintable() and " " not in link
    if not is_web or not is_plain or len(link) > MAX_URI:
        raise ValueError(
            f"A link is a percent-encoded http or https address up to {MAX_URI} letters."
        )
    return link


def _check_texts(value: object) -> None:
    """Refuse control characters that are no place to fill, in any dict given to us."""
    if isinstance(value, str):
        if clean(value.replace(LINK, "")) != value.replace(LINK, ""):
            raise ValueError("A message holds control characters.")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str) or clean(name) != name:
                raise ValueError("A message holds a bad property name.")
            _check_texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_texts(inner)


def _dump(value: object) -> bytes:
    text = json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return text.encode()


def _escaped(value: str) -> bytes:
    return _dump(value)[1:-1]


def _slot(place: str) -> bytes:
    return _escaped(place)


def _rgb(colour: str) -> tuple[float, float, float]:
    """The three shares of a colour as it looks on white, 0 to 1."""
    if not _COLOUR.fullmatch(colour):
        raise ValueError("A colour is #RRGGBB or #RRGGBBAA.")
    red, green, blue, alpha = bytes.fromhex(colour[1:].ljust(8, "F"))
    shares = [1 - (1 - part / 255) * alpha / 255 for part in (red, green, blue)]
    return shares[0], shares[1], shares[2]


def _over_white(colour: str) -> str:
    """#RRGGBB: not every place in a Flex message is documented to take an alpha."""
    return "#" + "".join(f"{round(part * 255):02X}" for part in _rgb(colour))


def _is_dark(colour: str) -> bool:
    """Whether white reads better on it than black (WCAG relative luminance)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in _rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179
