"""What was done and seen at providers, as sentences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from connections.models import SECRETS
from reports.difference_words import label_of, readable
from stores.naming import name_of
from sync.models import Difference, Publication, Step, Use
from sync.pulling.wording import FIELDS, wording_of

Kind = Step.Kind


@dataclass(frozen=True)
class Told:
    """A step as the history shows it."""

    step: Step
    what: str | Promise
    details: str
    who: str

    @property
    def at(self) -> datetime:
        return self.step.at


def steps_of(publication: Publication, most: int) -> list[Told]:
    """Of one publication, the newest first."""
    rows = all_steps().filter(publication=publication)
    return [told(step) for step in rows[:most]]


def all_steps() -> QuerySet[Step]:
    rows = Step.objects.select_related(
        "by", "publication__campaign", "connection", "coupon"
    )
    return rows.defer(*DEFERRED).order_by("-pk")


DEFERRED = (
    *(f"connection__{name}" for name in SECRETS),
    *("publication__onsite_password", "coupon__raw"),
)


def told(step: Step) -> Told:
    return Told(
        step,
        what=KINDS.get(step.kind) or Kind(step.kind).label,
        details=details_of(step),
        who=name_of(step.by),
    )


# Where the row's own word is too short for a reader who has not seen it happen.
KINDS: dict[str, str | Promise] = {
    Kind.PREPARED: gettext_lazy("made ready"),
    Kind.CHANGED: gettext_lazy("changes sent"),
    Kind.LET_GO: gettext_lazy("let go"),
    Kind.VANISHED: gettext_lazy("no longer there"),
    Kind.TOLD: gettext_lazy("its state there has changed"),
    Kind.DIFFERS: gettext_lazy("a difference was seen"),
    Kind.MENDED: gettext_lazy("a difference was settled"),
    Kind.REFUNDED: gettext_lazy("refunded there"),
}


def details_of(step: Step) -> str:
    """What its facts add, in the order in which a person reads them."""
    facts: dict[str, Any] = step.facts
    parts = [
        _how_many(facts),
        _which(step, facts),
        _change(step, facts),
        _told(step, facts),
        _use(facts),
        str(facts.get("campaign") or ""),
        str(facts.get("reason") or facts.get("detail") or ""),
    ]
    return " · ".join(part for part in parts if part)


def _how_many(facts: dict[str, Any]) -> str:
    parts = []
    if count := _number(facts, "count") or _number(facts, "total"):
        words = ngettext("%(count)s coupon", "%(count)s coupons", count)
        parts.append(words % {"count": _digits(count)})
    if refused := _number(facts, "refused"):
        parts.append(_("%(count)s refused") % {"count": _digits(refused)})
    if facts.get("more"):
        parts.append(_("the new serials"))
    return ", ".join(parts)


def _number(facts: dict[str, Any], name: str) -> int:
    found = facts.get(name)
    # Of a step of uses it is how many of those: see `_use`.
    is_told = isinstance(found, int) and not (name == "count" and "source" in facts)
    return int(found) if is_told and found else 0


def _digits(number: int) -> str:
    return str(number_format(number, force_grouping=True))


def _which(step: Step, facts: dict[str, Any]) -> str:
    title, name = facts.get("title", ""), facts.get("id") or facts.get("code", "")
    if not name and step.coupon is not None:
        name = step.coupon.remote_id
    if title and name:
        return _("“%(title)s” (%(id)s)") % {"title": title, "id": name}
    return str(title or name)


def _change(step: Step, facts: dict[str, Any]) -> str:
    if "field" in facts:
        return _difference(step, facts)
    if isinstance(facts.get("fields"), list):
        provider = step.connection.provider
        return ", ".join(field_name(str(one), provider) for one in facts["fields"])
    if "is_there" in facts:
        return _("it is there") if facts["is_there"] else _("it is not there")
    return ""


def _difference(step: Step, facts: dict[str, Any]) -> str:
    known = {name: str(facts.get(name) or "") for name in ("field", "ours", "theirs")}
    words = readable(
        wording_of(Difference(**known)),
        known["field"],
        step.connection.provider,
        step.publication,
    )
    said = _("%(field)s: here “%(ours)s”, there “%(theirs)s”.") % {
        "field": words.field,
        "ours": words.ours,
        "theirs": words.theirs,
    }
    how = HOW_WORDS.get(str(facts.get("how") or ""), "")
    return f"{said} {how}" if how else said


def _told(step: Step, facts: dict[str, Any]) -> str:
    if step.kind == Kind.VANISHED:  # how it was before says nothing any more
        return ""
    told = str(facts.get("told") or "")
    if facts.get("was"):
        was = str(facts["was"])
        return _("from %(was)s to %(told)s") % {
            "was": STATES_THERE.get(was, was),
            "told": STATES_THERE.get(told, told) or "–",
        }
    return str(STATES_THERE.get(told, told))


# LINE's words, and ours for what Vivoldi's noes mean.
STATES_THERE: dict[str, str | Promise] = {
    "DRAFT": gettext_lazy("draft"),
    "RUNNING": gettext_lazy("running"),
    "CLOSED": gettext_lazy("closed"),
    "USED": gettext_lazy("used up"),
    "REFUSED": gettext_lazy("used or deleted there"),
}


def _use(facts: dict[str, Any]) -> str:
    """How a use became known, and what came of it here."""
    parts = [
        str(words.get(found) or kind(found).label)
        for name, kind, words in (
            ("source", Use.Source, SOURCES),
            ("outcome", Use.Outcome, OUTCOMES),
        )
        if (found := facts.get(name)) in kind.values
    ]
    count = facts.get("count")
    if parts and isinstance(count, int) and count > 1:
        words = ngettext("%(count)s use", "%(count)s uses", count)
        parts.insert(0, words % {"count": _digits(count)})
    if order := facts.get("order"):
        parts.append(_("order %(order)s") % {"order": order})
    if facts.get("is_whole") is False:
        parts.append(_("a part of its price"))
    return ", ".join(parts)


SOURCES: dict[str, str | Promise] = {
    Use.Source.WEBHOOK: gettext_lazy("told by the provider at once"),
    Use.Source.COUNT: gettext_lazy("found in the provider's number of uses"),
    Use.Source.MIRROR: gettext_lazy("told to the provider by us"),
}
OUTCOMES: dict[str, str | Promise] = {
    Use.Outcome.VERIFIED: gettext_lazy("its coupon is verified by that"),
    Use.Outcome.VOID: gettext_lazy("nobody had got its serial, which is void now"),
}


# How a difference was settled, besides by itself.
HOW_WORDS: dict[str, str | Promise] = {
    "sent": gettext_lazy("What the campaign says was sent there."),
    "accepted": gettext_lazy("It was left as it is."),
    "closed": gettext_lazy("It was taken back."),
    "replaced": gettext_lazy("It was closed there and made again."),
    "again": gettext_lazy("It was published again."),
    "taken_back": gettext_lazy("Those codes are taken back there."),
    "used": gettext_lazy("Somebody found that it was used there."),
    "gone": gettext_lazy("It was left out: it is not there."),
}


def field_name(field: str, provider: str = "") -> str:
    """A field in words, or the provider's own name of it."""
    words = label_of(field, provider) or FIELDS.get(field) or NAMES_OF_PARTS.get(field)
    return str(words) if words else field


# Fields of LINE's answer that have parts; differences name the parts.
NAMES_OF_PARTS: dict[str, str | Promise] = {
    "reward": gettext_lazy("Benefit"),
    "acquisitionCondition": gettext_lazy("Who gets it"),
    "maxTicketPerUser": gettext_lazy("Coupons per person"),
}
