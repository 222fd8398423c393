"""What LINE accepts as a message, as far as a coupon shop meets it.

Source of the limits: Messaging API reference, "Message objects", "Flex Message"
and "Action objects". Kinds that we do not send are let through unread.
"""

import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Detail = dict[str, str]
Node = dict[str, Any]

MAX_MESSAGES = 5
MAX_DEPTH = 40  # far more than any card; guards the walk against absurd nesting
BUBBLE_BYTES = 30 * 1024
CAROUSEL_BYTES = 50 * 1024
OTHER_KINDS = (
    "textV2",
    "sticker",
    "video",
    "audio",
    "location",
    "imagemap",
    "template",
)
BUBBLE_SIZES = ("nano", "micro", "deca", "hecto", "kilo", "mega", "giga")
BOX_PARTS = ("header", "body", "footer")
ACTIONS = (
    "uri",
    "postback",
    "message",
    "clipboard",
    "datetimepicker",
    "camera",
    "cameraRoll",
    "location",
    "richmenuswitch",
)
COMPONENTS = (
    "box",
    "button",
    "image",
    "text",
    "span",
    "icon",
    "separator",
    "spacer",
    "filler",
    "video",
)
LINK = re.compile(r"(https?|line|tel):\S+", re.IGNORECASE)
DELIVERY_TAG = re.compile(r"[A-Za-z0-9_]{1,30}")


class Problems:
    """What is wrong with a request, in LINE's form: where, and a short sentence."""

    def __init__(self) -> None:
        self.details: list[Detail] = []

    def add(self, where: str, what: str) -> None:
        self.details.append({"message": what, "property": where})

    def text(
        self, node: Node, name: str, where: str, limit: int, *, required: bool = True
    ) -> None:
        """`name` is a string of 1 to `limit` UTF-16 units."""
        value = node.get(name)
        if value is None or value == "":
            if required:
                self.add(f"{where}.{name}", "May not be empty")
        elif not isinstance(value, str):
            self.add(f"{where}.{name}", "Must be a string")
        elif utf16_length(value) > limit:
            self.add(f"{where}.{name}", f"Length must be between 0 and {limit}")

    def choice(self, value: object, where: str, known: tuple[str, ...]) -> bool:
        if isinstance(value, str) and value in known:
            return True
        names = ",".join(known)
        self.add(where, f"Must be one of the following values: [{names}]")
        return False


def utf16_length(text: str) -> int:
    """How LINE counts characters: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def graphemes(text: str) -> int:
    """About what a person calls characters; never more than LINE counts."""
    count, joined = 0, False
    for char in text:
        extends = unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf", "Sk")
        count += not extends and not joined
        joined = char == "\u200d"
    return count


def check_messages(messages: object) -> list[Detail]:
    """What LINE would refuse in a request's `messages`; empty when all is well."""
    problems = Problems()
    if not isinstance(messages, list) or not 1 <= len(messages) <= MAX_MESSAGES:
        problems.add("messages", f"Size must be between 1 and {MAX_MESSAGES}")
        return problems.details
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]", problems)
    return problems.details


def _check_message(message: object, where: str, problems: Problems) -> None:
    if not isinstance(message, dict):
        problems.add(where, "Must be an object")
        return
    known = (*CHECKS, *OTHER_KINDS)
    if not problems.choice(message.get("type"), f"{where}.type", known):
        return
    check = CHECKS.get(message["type"])
    if check is not None:
        check(message, where, problems)
    _check_quick_reply(message.get("quickReply"), f"{where}.quickReply", problems)


def _check_text(message: Node, where: str, problems: Problems) -> None:
    problems.text(message, "text", where, 5000)


def _check_image(message: Node, where: str, problems: Problems) -> None:
    for name in ("originalContentUrl", "previewImageUrl"):
        _check_image_url(message, name, where, problems)


def _check_coupon(message: Node, where: str, problems: Problems) -> None:
    problems.text(message, "couponId", where, 200)
    tag = message.get("deliveryTag")
    if tag is not None and not (isinstance(tag, str) and DELIVERY_TAG.fullmatch(tag)):
        problems.add(f"{where}.deliveryTag", "Must match [A-Za-z0-9_]{1,30}")


def _check_flex(message: Node, where: str, problems: Problems) -> None:
    problems.text(message, "altText", where, 1500)
    contents, inside = message.get("contents"), f"{where}.contents"
    if not isinstance(contents, dict):
        problems.add(inside, "May not be empty")
    elif problems.choice(contents.get("type"), f"{inside}.type", CONTAINERS):
        check = _check_bubble if contents["type"] == "bubble" else _check_carousel
        check(contents, inside, problems)


def _check_carousel(carousel: Node, where: str, problems: Problems) -> None:
    bubbles = carousel.get("contents")
    if not isinstance(bubbles, list) or not 1 <= len(bubbles) <= 12:
        problems.add(f"{where}.contents", "Size must be between 1 and 12")
        return
    if _size_of(carousel) > CAROUSEL_BYTES:
        problems.add(where, "A carousel may not be larger than 50 KB")
    for place, bubble in enumerate(bubbles):
        inside = f"{where}.contents[{place}]"
        if isinstance(bubble, dict) and bubble.get("type") == "bubble":
            _check_bubble(bubble, inside, problems)
        else:
            problems.add(inside, "Must be a bubble")
    sizes = {str(b.get("size", "mega")) for b in bubbles if isinstance(b, dict)}
    if len(sizes) > 1:
        problems.add(where, "All bubbles of a carousel must have the same size")


def _check_bubble(bubble: Node, where: str, problems: Problems) -> None:
    if _size_of(bubble) > BUBBLE_BYTES:
        problems.add(where, "A bubble may not be larger than 30 KB")
        return
    if "size" in bubble:
        problems.choice(bubble["size"], f"{where}.size", BUBBLE_SIZES)
    for part in BOX_PARTS:
        box = bubble.get(part)
        if box is not None and not _is_a(box, ("box",)):
            problems.add(f"{where}.{part}", "Must be a box")
        elif box is not None:
            _check_component(box, f"{where}.{part}", problems)
    hero = bubble.get("hero")
    if hero is not None and not _is_a(hero, ("box", "image", "video")):
        problems.add(f"{where}.hero", "Must be a box, an image or a video")
    elif hero is not None:
        _check_component(hero, f"{where}.hero", problems)
    _check_action(bubble.get("action"), f"{where}.action", problems)


def _check_component(
    node: object, where: str, problems: Problems, depth: int = 0
) -> None:
    if not isinstance(node, dict):
        problems.add(where, "Must be an object")
        return
    if depth > MAX_DEPTH:
        problems.add(where, "Nested too deeply")
        return
    if not problems.choice(node.get("type"), f"{where}.type", COMPONENTS):
        return
    if node["type"] == "box":
        _check_box(node, where, problems, depth)
    elif node["type"] == "text":
        _check_flex_text(node, where, problems, depth)
    elif node["type"] in ("image", "icon"):
        _check_image_url(node, "url", where, problems)
    required = node["type"] == "button"
    _check_action(node.get("action"), f"{where}.action", problems, required=required)


def _check_box(node: Node, where: str, problems: Problems, depth: int) -> None:
    layouts = ("horizontal", "vertical", "baseline")
    problems.choice(node.get("layout"), f"{where}.layout", layouts)
    contents = node.get("contents")
    if not isinstance(contents, list):
        problems.add(f"{where}.contents", "May not be null")
        return
    for place, child in enumerate(contents):
        _check_component(child, f"{where}.contents[{place}]", problems, depth + 1)


def _check_flex_text(node: Node, where: str, problems: Problems, depth: int) -> None:
    spans = node.get("contents")
    if spans is None:
        problems.text(node, "text", where, 2000)
    elif not isinstance(spans, list) or not all(_is_a(s, ("span",)) for s in spans):
        problems.add(f"{where}.contents", "Must be a list of spans")
    else:
        for place, span in enumerate(spans):
            problems.text(span, "text", f"{where}.contents[{place}]", 2000)


def _check_quick_reply(quick: object, where: str, problems: Problems) -> None:
    if quick is None:
        return
    items = quick.get("items") if isinstance(quick, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= 13:
        problems.add(f"{where}.items", "Size must be between 1 and 13")
        return
    for place, item in enumerate(items):
        action = item.get("action") if isinstance(item, dict) else None
        inside = f"{where}.items[{place}].action"
        _check_action(action, inside, problems, required=True, label=20)


def _check_action(
    action: object,
    where: str,
    problems: Problems,
    *,
    required: bool = False,
    label: int = 40,
) -> None:
    if action is None:
        if required:
            problems.add(where, "May not be null")
        return
    if not isinstance(action, dict):
        problems.add(where, "Must be an object")
        return
    if not problems.choice(action.get("type"), f"{where}.type", ACTIONS):
        return
    _check_label(action, where, problems, required=required, limit=label)
    if action["type"] == "uri":
        _check_link(action, where, problems)
    elif action["type"] == "postback":
        problems.text(action, "data", where, 300)
        problems.text(action, "displayText", where, 300, required=False)
    elif action["type"] == "message":
        problems.text(action, "text", where, 300)
    elif action["type"] == "clipboard":
        problems.text(action, "clipboardText", where, 1000)


def _check_label(
    action: Node, where: str, problems: Problems, *, required: bool, limit: int
) -> None:
    label = action.get("label")
    if label is None or label == "":
        if required:
            problems.add(f"{where}.label", "May not be empty")
    elif not isinstance(label, str) or graphemes(label) > limit:
        problems.add(f"{where}.label", f"Length must be between 0 and {limit}")


def _check_link(action: Node, where: str, problems: Problems) -> None:
    before = len(problems.details)
    problems.text(action, "uri", where, 1000)
    if len(problems.details) == before and not LINK.fullmatch(action["uri"]):
        problems.add(f"{where}.uri", "Invalid action URI scheme")


def _check_image_url(node: Node, name: str, where: str, problems: Problems) -> None:
    before = len(problems.details)
    problems.text(node, name, where, 2000)
    if len(problems.details) == before and not is_image_url(node[name]):
        problems.add(f"{where}.{name}", "Must be a valid HTTPS URL")


def is_image_url(url: str) -> bool:
    """LINE fetches images by https only; a shop on this machine may use http."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or re.search(r"\s", url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_near(host))


def is_near(host: str) -> bool:
    """A host of this machine or its own network."""
    if "." not in host.strip("[]") and ":" not in host:
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host.endswith((".localhost", ".test", ".internal"))


def _is_a(node: object, kinds: tuple[str, ...]) -> bool:
    return isinstance(node, dict) and node.get("type") in kinds


def _size_of(node: Node) -> int:
    text = json.dumps(node, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode(errors="surrogatepass"))


CONTAINERS = ("bubble", "carousel")
CHECKS: dict[str, Callable[[Node, str, Problems], None]] = {
    "text": _check_text,
    "image": _check_image,
    "flex": _check_flex,
    "coupon": _check_coupon,
}
