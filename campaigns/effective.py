"""What holds of a campaign: its own values, its group's or its template's; whether its
colours can be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from campaigns.look import contrast, is_colour
from campaigns.models import Campaign

LEAST = 4.5  # WCAG 2.2 AA, for text
STEPS = 40
COLOURS = ("background_colour", "text_colour", "button_colour", "button_text_colour")
LOOK = (*COLOURS, "button_label", "button_url")
TEXTS = ("instructions", "usage_condition")
# Each text with what lies behind it.
PAIRS = (
    ("text_colour", "background_colour"),
    ("button_text_colour", "button_colour"),
)


@dataclass(frozen=True)
class Effective:
    """A value that does not come from the campaign's own field."""

    field: str
    value: str
    source: str  # group or template
    name: str

    @property
    def colour(self) -> str:
        """The value if it is a colour, to be shown as one."""
        return self.value if is_colour(self.value) else ""


@dataclass(frozen=True)
class Faint:
    """Two colours that are too much alike, and what would be enough."""

    field: str  # the text's
    behind: str
    ratio: float
    enough: str  # the nearest colour of the text that can be read there


def effective_values(campaign: Campaign) -> Iterator[Effective]:
    """What the group fills in, and what the template supplies where nothing is."""
    if campaign.group:
        for field in LOOK:
            value = getattr(campaign.group, field)
            if value:
                yield Effective(field, value, "group", campaign.group.name)
    if campaign.template:
        for field in TEXTS:
            value = getattr(campaign.template, field)
            if value and not getattr(campaign, field):
                yield Effective(field, value, "template", campaign.template.name)


def faint_pairs(look: Mapping[str, str]) -> Iterator[Faint]:
    """The pairs under 4.5:1 as they show, opacity counted; none for what is no colour."""
    for field, behind in PAIRS:
        text, ground = look.get(field, ""), look.get(behind, "")
        if not (is_colour(text) and is_colour(ground)):
            continue
        ratio = contrast(text, ground)
        if ratio < LEAST:
            yield Faint(field, behind, ratio, enough(text, ground))


def enough(text: str, ground: str) -> str:
    """The nearest opaque colour that can be read on this ground: darker or lighter."""
    red, green, blue = bytes.fromhex(text[1:7])
    for step in range(STEPS + 1):
        share = step / STEPS
        for goal in (0, 255):
            parts = (round(part + (goal - part) * share) for part in (red, green, blue))
            colour = "#" + "".join(f"{part:02X}" for part in parts)
            if contrast(colour, ground) >= LEAST:
                return colour
    return "#000000"  # never reached: black or white can be read on anything


def shown_ratio(ratio: float) -> str:
    """Rounded down: 4.49 must not read as 4.5."""
    return f"{int(ratio * 10) / 10:.1f}"
