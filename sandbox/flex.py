"""A Flex message as nodes that a template can draw.

Messages are untrusted: only known words, sizes in px or % and hexadecimal colours
reach a style; links and image addresses are checked again before they are drawn.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.line.messages import LINK, MAX_DEPTH, is_image_url

Json = dict[str, Any]

COLOUR = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
LENGTH = re.compile(r"-?\d{1,4}(?:\.\d{1,3})?(?:px|%)")
RATIO = re.compile(r"(\d{1,5}):(\d{1,5})")
ANGLE = re.compile(r"\d{1,3}(?:\.\d{1,3})?deg")
GAPS = {
    "none": "0",
    "xs": "2px",
    "sm": "4px",
    "md": "8px",
    "lg": "12px",
    "xl": "16px",
    "xxl": "20px",
}
TEXT_SIZES = {
    "xxs": "11px",
    "xs": "13px",
    "sm": "14px",
    "md": "16px",
    "lg": "19px",
    "xl": "22px",
    "xxl": "29px",
    "3xl": "35px",
    "4xl": "48px",
    "5xl": "74px",
}
IMAGE_SIZES = {
    "xxs": "40px",
    "xs": "60px",
    "sm": "80px",
    "md": "100px",
    "lg": "120px",
    "xl": "140px",
    "xxl": "160px",
    "3xl": "180px",
    "4xl": "200px",
    "5xl": "220px",
    "full": "100%",
}
BORDERS = {
    "none": "0",
    "light": "0.5px",
    "normal": "1px",
    "medium": "2px",
    "semi-bold": "3px",
    "bold": "4px",
}
ALIGN = {"start": "flex-start", "center": "center", "end": "flex-end"}
TEXT_ALIGN = {"start": "left", "center": "center", "end": "right"}
GRAVITY = {"top": "flex-start", "center": "center", "bottom": "flex-end"}
JUSTIFY = ALIGN | {
    "flex-start": "flex-start",
    "flex-end": "flex-end",
    "space-between": "space-between",
    "space-around": "space-around",
    "space-evenly": "space-evenly",
}
ALIGN_ITEMS = ALIGN | {"flex-start": "flex-start", "flex-end": "flex-end"}
SIDES = {
    "All": "",
    "Top": "-top",
    "Bottom": "-bottom",
    "Start": "-left",
    "End": "-right",
}
OFFSETS = {"Top": "top", "Bottom": "bottom", "Start": "left", "End": "right"}
BUBBLE_SIZES = {"nano", "micro", "deca", "hecto", "kilo", "mega", "giga"}


@dataclass(slots=True)
class Action:
    """What a tap does: open a link, post something back, write something, copy."""

    kind: str
    label: str = ""
    link: str = ""
    data: str = ""
    text: str = ""


@dataclass(slots=True)
class Node:
    """One thing to draw; `style` is safe to stand in a style attribute."""

    kind: str
    style: str = ""
    inner: str = ""
    look: str = ""
    text: str = ""
    url: str = ""
    action: Action | None = None
    children: list["Node"] = field(default_factory=list)


def bubbles_of(contents: object) -> list[Node]:
    """The bubbles of a Flex message, one for a bubble, several for a carousel."""
    contents = as_json(contents)
    if contents.get("type") == "carousel":
        return [
            _bubble(as_json(bubble)) for bubble in as_list(contents.get("contents"))
        ]
    return [_bubble(contents)]


def action_of(raw: object) -> Action | None:
    """A tap we can follow, or nothing."""
    raw = as_json(raw)
    kind, label = raw.get("type"), as_text(raw.get("label"))
    if kind == "uri":
        link = as_text(raw.get("uri"))
        return Action("uri", label, link=link) if LINK.fullmatch(link) else None
    if kind == "postback":
        shown = as_text(raw.get("displayText")) or as_text(raw.get("text"))
        return Action("postback", label, data=as_text(raw.get("data")), text=shown)
    if kind == "message":
        return Action("message", label, text=as_text(raw.get("text")))
    if kind == "clipboard":
        return Action("clipboard", label, text=as_text(raw.get("clipboardText")))
    return None


def as_json(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


# Bubble and its blocks


def _bubble(raw: Json) -> Node:
    size = raw.get("size")
    look = f"size-{size}" if size in BUBBLE_SIZES else "size-mega"
    bubble = Node("bubble", look=look, action=action_of(raw.get("action")))
    styles = as_json(raw.get("styles"))
    for name in ("header", "hero", "body", "footer"):
        block = as_json(raw.get(name))
        if block:
            bubble.children.append(_block(name, block, as_json(styles.get(name))))
    return bubble


def _block(name: str, raw: Json, style: Json) -> Node:
    css = _css({"background-color": _colour(style.get("backgroundColor"))})
    node = _component(raw, "vertical", 0)
    if name == "hero" and node.kind == "image":
        node.look = "hero"
    children = [node]
    if style.get("separator") is True:
        children.insert(0, Node("separator"))
    return Node("block", look=f"block-{name}", style=css, children=children)


# Components


def _component(raw: Json, parent: str, depth: int) -> Node:
    draw = DRAWERS.get(as_text(raw.get("type")))
    if draw is None or depth > MAX_DEPTH:
        return Node("filler")
    node = draw(raw, depth)
    node.style = _css(_in_parent(raw, parent)) + node.style
    node.action = action_of(raw.get("action"))
    return node


def _in_parent(raw: Json, parent: str) -> dict[str, str]:
    """How much room it takes beside its neighbours, and where it is moved to."""
    css = {"flex": _flex(raw, parent)}
    if raw.get("position") == "absolute":
        css["position"] = "absolute"
    for side, name in OFFSETS.items():
        css[name] = _gap(raw.get(f"offset{side}"))
    return css


def _flex(raw: Json, parent: str) -> str:
    share = raw.get("flex")
    if type(share) is int and 0 <= share <= 100:
        return f"{share} 0 0%" if share else "0 0 auto"
    if raw.get("type") in ("filler", "spacer"):
        return "1 0 0%"
    if parent == "vertical" or raw.get("type") in ("icon", "separator"):
        return "0 0 auto"
    return "0 1 auto" if raw.get("width") else "1 1 0%"


def _box(raw: Json, depth: int) -> Node:
    layout = raw.get("layout")
    layout = layout if layout in ("horizontal", "vertical", "baseline") else "vertical"
    css = {
        "background-color": _colour(raw.get("backgroundColor")),
        "background-image": _gradient(as_json(raw.get("background"))),
        "width": _length(raw.get("width")),
        "max-width": _length(raw.get("maxWidth")),
        "height": _length(raw.get("height")),
        "max-height": _length(raw.get("maxHeight")),
        "border-radius": _gap(raw.get("cornerRadius")),
        "justify-content": JUSTIFY.get(as_text(raw.get("justifyContent")), ""),
        "align-items": ALIGN_ITEMS.get(as_text(raw.get("alignItems")), ""),
    }
    width = as_text(raw.get("borderWidth"))
    if width:
        colour = _colour(raw.get("borderColor")) or "#d4d6da"
        thick = BORDERS.get(width) or _length(width) or "0"
        css["border"] = f"{thick} solid {colour}"
    for side, suffix in SIDES.items():
        css[f"padding{suffix}"] = _gap(raw.get(f"padding{side}"))
    children = _children(raw, layout, depth)
    return Node("box", look=f"box-{layout}", style=_css(css), children=children)


def _children(raw: Json, layout: str, depth: int) -> list[Node]:
    spacing = _gap(raw.get("spacing"))
    side = "margin-top" if layout == "vertical" else "margin-left"
    children: list[Node] = []
    for child in as_list(raw.get("contents")):
        child = as_json(child)
        node = _component(child, layout, depth + 1)
        margin = _gap(child.get("margin")) or spacing
        if children and margin and child.get("position") != "absolute":
            node.style += _css({side: margin})
        children.append(node)
    return children


def _text(raw: Json, depth: int) -> Node:
    lines = raw.get("maxLines")
    clamps = type(lines) is int and 0 < lines < 100
    wraps = raw.get("wrap") is True
    css = _type_css(raw) | {
        "text-align": TEXT_ALIGN.get(as_text(raw.get("align")), ""),
        "align-self": GRAVITY.get(as_text(raw.get("gravity")), ""),
        "-webkit-line-clamp": str(lines) if wraps and clamps else "",
        "row-gap": _length(raw.get("lineSpacing")),
    }
    look = ("wrap clamp" if clamps else "wrap") if wraps else "one-line"
    spans = [
        Node("span", _css(_type_css(as_json(s))), text=as_text(as_json(s).get("text")))
        for s in as_list(raw.get("contents"))
    ]
    text = as_text(raw.get("text"))
    return Node("text", _css(css), look=look, text=text, children=spans)


def _type_css(raw: Json) -> dict[str, str]:
    size = as_text(raw.get("size"))
    decoration = as_text(raw.get("decoration"))
    return {
        "font-size": TEXT_SIZES.get(size) or _length(size),
        "color": _colour(raw.get("color")),
        "font-weight": {"bold": "700", "regular": "400"}.get(
            as_text(raw.get("weight")), ""
        ),
        "font-style": "italic" if raw.get("style") == "italic" else "",
        "text-decoration": decoration
        if decoration in ("underline", "line-through")
        else "",
    }


def _image(raw: Json, depth: int) -> Node:
    size = as_text(raw.get("size")) or "md"
    width = IMAGE_SIZES.get(size) or _length(size) or "100px"
    frame = {
        "width": width,
        "aspect-ratio": _ratio(raw.get("aspectRatio")),
        "background-color": _colour(raw.get("backgroundColor")),
        "margin-inline": {"start": "0 auto", "end": "auto 0"}.get(
            as_text(raw.get("align")), "auto"
        ),
    }
    fit = "cover" if raw.get("aspectMode") == "cover" else "contain"
    url = as_text(raw.get("url"))
    url = url if is_image_url(url) else ""
    # The frame keeps its shape while the picture loads, or when it never does.
    align = GRAVITY.get(as_text(raw.get("gravity")), "")
    inner = _css(frame) + _css({"object-fit": fit})
    return Node("image", _css({"align-self": align}), inner=inner, url=url)


def _icon(raw: Json, depth: int) -> Node:
    size = as_text(raw.get("size")) or "md"
    url = as_text(raw.get("url"))
    css = {"height": TEXT_SIZES.get(size) or _length(size) or "16px"}
    return Node("icon", _css(css), url=url if is_image_url(url) else "")


def _button(raw: Json, depth: int) -> Node:
    style = raw.get("style")
    style = style if style in ("primary", "secondary", "link") else "link"
    colour = _colour(raw.get("color"))
    where = "color" if style == "link" else "background-color"
    short = " short" if raw.get("height") == "sm" else ""
    css = _css({where: colour})
    return Node("button", inner=css, look=f"button-{style}{short}")


def _separator(raw: Json, depth: int) -> Node:
    return Node("separator", _css({"background-color": _colour(raw.get("color"))}))


def _filler(raw: Json, depth: int) -> Node:
    return Node("filler")


DRAWERS = {
    "box": _box,
    "text": _text,
    "image": _image,
    "icon": _icon,
    "button": _button,
    "separator": _separator,
    "filler": _filler,
    "spacer": _filler,
}


# Values that may stand in a style


def _css(values: dict[str, str]) -> str:
    return "".join(f"{name}:{value};" for name, value in values.items() if value)


def _colour(value: object) -> str:
    text = as_text(value)
    return text if COLOUR.fullmatch(text) else ""


def _length(value: object) -> str:
    text = as_text(value)
    return text if LENGTH.fullmatch(text) else ""


def _gap(value: object) -> str:
    return GAPS.get(as_text(value)) or _length(value)


def _ratio(value: object) -> str:
    match = RATIO.fullmatch(as_text(value))
    if match is None or "0" in (
        match[1].lstrip("0") or "0",
        match[2].lstrip("0") or "0",
    ):
        return "1 / 1"
    return f"{int(match[1])} / {min(int(match[2]), 3 * int(match[1]))}"


def _gradient(raw: Json) -> str:
    start, end = _colour(raw.get("startColor")), _colour(raw.get("endColor"))
    angle = as_text(raw.get("angle"))
    if raw.get("type") != "linearGradient" or not (start and end):
        return ""
    if not ANGLE.fullmatch(angle):
        angle = "0deg"
    return f"linear-gradient({angle}, {start}, {end})"
