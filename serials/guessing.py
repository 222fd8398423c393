"""How hard generated serials are to guess, in words. Pure functions, no database."""

from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from serials.patterns import FEWEST_TRIES, Pattern

TRIES_A_MINUTE = 20  # what a person at a till is let try
VERY_GOOD = 1_000_000_000  # tries: 95 years of them
MOST_SHOWN = 10**15


@dataclass(frozen=True)
class Verdict:
    """What to say of a pattern; `variant` is the colour of unfold's label."""

    rating: str
    variant: str
    words: str


def judge(pattern: Pattern, quantity: int) -> Verdict:
    """How hard it is to guess one of `quantity` serials of the pattern."""
    tries = pattern.tries(quantity)
    if pattern.size < quantity:
        words = _("There are fewer serials of this pattern than you want.")
        return Verdict(_("Too few: refused"), "danger", words)
    words = told(tries)
    if tries < FEWEST_TRIES:
        return Verdict(_("Too easy: refused"), "danger", words)
    if tries < VERY_GOOD:
        return Verdict(_("Good"), "info", words)
    return Verdict(_("Very good"), "success", words)


def told(tries: int) -> str:
    """How many tries, and how long somebody at a till would take for them."""
    values = {"tries": shown(tries), "speed": TRIES_A_MINUTE, "time": how_long(tries)}
    if tries > MOST_SHOWN:
        words = _(
            "It takes %(tries)s tries to hit one of them; at %(speed)s tries a minute "
            "that is %(time)s."
        )
    else:
        words = ngettext(
            "It takes about %(tries)s try to hit one of them; at %(speed)s tries a "
            "minute that is %(time)s.",
            "It takes about %(tries)s tries to hit one of them; at %(speed)s tries a "
            "minute that is %(time)s.",
            tries,
        )
    return words % values


def shown(number: int) -> str:
    """A number for people; of one that nobody can read, only that it is large."""
    digits = number_format(min(number, MOST_SHOWN), 0, force_grouping=True)
    if number <= MOST_SHOWN:
        return digits
    return _("more than %(number)s") % {"number": digits}


def how_long(tries: int) -> str:
    """How long so many tries take, in the largest unit of which there are two."""
    minutes = tries // TRIES_A_MINUTE
    if minutes < 2:
        return _("less than 2 minutes")
    if minutes < 2 * 60:
        return _("about %(count)s minutes") % {"count": minutes}
    if minutes < 2 * 24 * 60:
        return _("about %(count)s hours") % {"count": minutes // 60}
    days = minutes // (24 * 60)
    if days < 2 * 365:
        return _("about %(count)s days") % {"count": days}
    if days < 1_000 * 365:
        return _("about %(count)s years") % {"count": days // 365}
    return _("more than 1,000 years")
