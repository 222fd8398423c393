"""What becomes of a campaign's serials at a provider: one line about all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sync.preflight.facts import Facts
from sync.preflight.lines import Line, changed, count_words, fine, impossible

# A code -> how the provider gets it, and why it can't: one of the two is empty.
Rule = Callable[[str], tuple[str, str]]


@dataclass
class Seen:
    """Codes that were looked at, and what the rule says of them."""

    looked_at: int = 0
    is_all: bool = True
    sent: str = ""  # the first one, as it would be sent
    changed: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)  # with the reason


def look_at(facts: Facts, rule: Rule) -> Seen:
    """Try the rule on every code that the facts hold."""
    seen = Seen(is_all=all(stock.is_all for stock in facts.stock))
    for stock in facts.stock:
        for code in stock.codes:
            seen.looked_at += 1
            sent, why = rule(code)
            if why:
                seen.refused.append((code, why))
                continue
            seen.sent = seen.sent or sent
            if sent != code:
                seen.changed.append((code, sent))
    return seen


def codes_line(facts: Facts, rule: Rule, *, key: str) -> Line:
    """The serials' line; its value is the first serial as it would be sent."""
    what = _("Serials")
    seen = look_at(facts, rule)
    if not seen.looked_at:
        if facts.free == 0 or not facts.stock:
            said = _("There is no serial to publish yet.")
        else:
            said = _("None was looked at: open the whole check.")
        return impossible(what, said, key=key, place="serials")
    value = seen.sent or None
    if seen.refused:
        code, why = seen.refused[0]
        said = ngettext(
            "%(n)s can't be published: “%(code)s” is %(why)s.",
            "%(n)s can't be published, such as “%(code)s”: %(why)s.",
            len(seen.refused),
        ) % {"n": count_words(len(seen.refused)), "code": code, "why": why}
        words = f"{said} {_looked_at(seen)}".strip()
        return impossible(what, words, key=key, place="serials")
    if seen.changed:
        code, sent = seen.changed[0]
        said = _("Such as “%(sent)s” in place of “%(code)s”.")
        words = f"{said % {'sent': sent, 'code': code}} {_looked_at(seen)}".strip()
        return changed(what, words, key=key, value=value, place="serials")
    words = _("As they are, such as “%(code)s”") % {"code": seen.sent}
    words = f"{words}. {_looked_at(seen)}".rstrip(" .")
    return fine(what, words, key=key, value=value, place="serials")


def _looked_at(seen: Seen) -> str:
    """Says so where not all were looked at."""
    if seen.is_all:
        return ""
    said = _("Looked at %(n)s of them; each is looked at again when it is published.")
    return said % {"n": count_words(seen.looked_at)}
