"""What was done and seen at providers, as sentences."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from connections.models import SECRETS
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
        what=Kind(step.kind).label,
        details=details_of(step),
        who=name_of(step.by),
    )


def details_of(step: Step) -> str:
    """What its facts add, in the order in which a person reads them."""
    facts: dict[str, Any] = step.facts
    parts = [
        _how_many(facts),
        _which(step, facts),
        _change(facts),
        _told(facts),
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
        parts.append(_("serials that have come since"))
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


def _change(facts: dict[str, Any]) -> str:
    if "field" in facts:
        return _difference(facts)
    if isinstance(facts.get("fields"), list):
        return ", ".join(field_name(str(field)) for field in facts["fields"])
    if "is_there" in facts:
        return _("it is there") if facts["is_there"] else _("it is not there")
    return ""


def _difference(facts: dict[str, Any]) -> str:
    known = {name: str(facts.get(name) or "") for name in ("field", "ours", "theirs")}
    words = wording_of(Difference(**known))
    said = _("%(field)s: %(ours)s here, %(theirs)s there") % {
        "field": words.field,
        "ours": words.ours,
        "theirs": words.theirs,
    }
    how = HOW_WORDS.get(str(facts.get("how") or ""), "")
    return f"{said} · {how}" if how else said


def _told(facts: dict[str, Any]) -> str:
    if facts.get("was"):
        return _("from %(was)s to %(told)s") % {
            "was": facts["was"],
            "told": facts.get("told") or "–",
        }
    return str(facts.get("told") or "")


def _use(facts: dict[str, Any]) -> str:
    """How a use became known, and what came of it here."""
    parts = [
        str(kind(found).label)
        for name, kind in (("source", Use.Source), ("outcome", Use.Outcome))
        if (found := facts.get(name)) in kind.values
    ]
    count = facts.get("count")
    if parts and isinstance(count, int) and count > 1:
        words = ngettext("%(count)s use", "%(count)s uses", count)
        parts.insert(0, words % {"count": _digits(count)})
    if order := facts.get("order"):
        parts.append(_("order %(order)s") % {"order": order})
    return ", ".join(parts)


# How a difference was settled, besides by itself.
HOW_WORDS: dict[str, str | Promise] = {
    "sent": gettext_lazy("ours was sent"),
    "taken": gettext_lazy("theirs was taken"),
    "accepted": gettext_lazy("it may be so"),
    "closed": pgettext_lazy("publication", "taken back"),
    "replaced": gettext_lazy("closed and made again"),
    "again": gettext_lazy("published again"),
}


def field_name(field: str) -> str:
    """A field in words, or the provider's own name of it."""
    words = FIELDS.get(field) or NAMES_OF_PARTS.get(field)
    return str(words) if words else field


# Fields of LINE's answer that have parts; differences name the parts.
NAMES_OF_PARTS: dict[str, str | Promise] = {
    "reward": gettext_lazy("Benefit"),
    "acquisitionCondition": gettext_lazy("Who gets it"),
    "maxTicketPerUser": gettext_lazy("Coupons per person"),
}
