"""What a saved form changes of a campaign: each field with its words before and after."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Field, FileField, ForeignKey
from django.utils.formats import localize
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _

from campaigns.models import Campaign, Group, Template
from coupons.moments import Moment

# What coupons that are out go by at once, whoever holds them.
LIVE = (
    "use_starts_at",
    "barcode",
    "verifying",
    "stores",
    "limit_per_contact",
    "limit_in_total",
    "benefit",
    "benefit_value",
    "price_before",
    "price_after",
    "currency",
    "minimum_spend",
    "name",
    "language",
    "instructions",
    "usage_condition",
    "template",
    "texts",
    "password",
)
ENDS = ("use_ends_at", "expiry", "expiry_amount", "expiry_unit")
SHOWN = 200  # characters of a text
# What the form knows and the campaign's own row does not.
BESIDE = ("limit_in_total", "stock_warning")


@dataclass(frozen=True)
class Difference:
    """One field; `was` and `now` as they are kept in the campaign's history."""

    name: str
    was: Any
    now: Any


Terms = tuple[datetime, str, timedelta]


def terms_of(campaign: Campaign) -> Terms:
    """What ends its coupons; two campaigns with equal terms end theirs alike."""
    has_clock = campaign.expiry != Campaign.Expiry.USE_END
    interval = campaign.interval if has_clock else timedelta(0)
    return campaign.use_ends_at, str(campaign.expiry), interval


def differences(
    before: Campaign, form: Any, formsets: Iterable[Any]
) -> list[Difference]:
    """What a valid form changes of the campaign `before`, in the fields' order."""
    return [
        found
        for found in (
            *_of_row(before, form),
            *_of_stores(before, form),
            *_beside(form),
            *_of_password(form),
            *_of_texts(formsets),
        )
        if found.was != found.now
    ]


def _of_row(before: Campaign, form: Any) -> Iterable[Difference]:
    for field in Campaign._meta.concrete_fields:
        if field.name in form.cleaned_data:
            was, now = (raw_of(row, field) for row in (before, form.instance))
            if isinstance(was, str) and in_lines(was) == in_lines(str(now)):
                continue  # a browser ends lines in its own way
            yield Difference(field.name, was, now)


def in_lines(text: str) -> list[str]:
    return text.splitlines()


def _of_stores(before: Campaign, form: Any) -> Iterable[Difference]:
    if "stores" in form.cleaned_data:
        was = sorted(store.name for store in before.stores.all())
        now = sorted(store.name for store in form.cleaned_data["stores"])
        yield Difference("stores", was, now)


def _beside(form: Any) -> Iterable[Difference]:
    for name in BESIDE:
        if name in form.changed_data:
            was = form.get_initial_for_field(form.fields[name], name)
            yield Difference(name, was, form.cleaned_data.get(name))


def _of_password(form: Any) -> Iterable[Difference]:
    """That there is another one, never what it is."""
    if form.cleaned_data.get("new_password"):
        yield Difference("password", "", "set")
    elif form.cleaned_data.get("forget_password"):
        yield Difference("password", "", "removed")


def _of_texts(formsets: Iterable[Any]) -> Iterable[Difference]:
    languages = {
        str(part.cleaned_data.get("language", ""))
        for formset in formsets
        for part in formset.forms
        if part.has_changed()
    }
    if languages:
        yield Difference("texts", [], sorted(languages))


def raw_of(campaign: Campaign, field: "Field[Any, Any]") -> Any:
    """A field's value as JSON can keep it; instants in UTC."""
    value = getattr(campaign, field.attname)
    if isinstance(field, FileField):
        return value.name if value else ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value if value is None or isinstance(value, bool | int) else str(value)


# --- in words -------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A difference as people read it."""

    label: str
    was: str
    now: str


def lines_of(
    found: Iterable[Difference], *, was_zone: ZoneInfo, now_zone: ZoneInfo
) -> list[Line]:
    return [
        Line(label_of(d.name), words(d.name, d.was, was_zone), _now(d, now_zone))
        for d in found
    ]


def _now(found: Difference, zone: ZoneInfo) -> str:
    if found.name == "password":
        return _("set") if found.now == "set" else _("removed")
    if found.name == "image" and found.was and found.now:
        return _("another picture")
    return words(found.name, found.now, zone)


def kept(found: Iterable[Difference]) -> dict[str, list[Any]]:
    """For the history: name -> what it was and what it is."""
    return {d.name: [d.was, d.now] for d in found}


def from_kept(fields: Mapping[str, list[Any]]) -> list[Difference]:
    return [Difference(name, *pair) for name, pair in fields.items()]


def label_of(name: str) -> str:
    others = {
        "limit_in_total": _("Redemptions in total"),
        "stock_warning": _("Warning of a low stock"),
        "password": _("The campaign's own password"),
        "texts": _("Texts in other languages"),
    }
    if name in others:
        return others[name]
    try:
        field = Campaign._meta.get_field(name)
    except LookupError:  # of an older version
        return name
    return str(capfirst(str(getattr(field, "verbose_name", name))))


def words(name: str, raw: Any, zone: ZoneInfo) -> str:
    """A kept value in words; an instant in `zone`, which is named."""
    if name == "stores":
        return ", ".join(raw) if raw else _("every store")
    if name == "texts":
        return ", ".join(raw) if raw else _("as before")
    if raw is None or raw == "":
        return _("none")
    if name.endswith("_at") and isinstance(raw, str):
        at = datetime.fromisoformat(raw)
        return Moment(at, zone, is_end=name.endswith("ends_at")).words
    return _plain(name, raw)


def _plain(name: str, raw: Any) -> str:
    field = next((f for f in Campaign._meta.concrete_fields if f.name == name), None)
    if isinstance(raw, bool):
        return _("yes") if raw else _("no")
    if field is not None and field.choices:
        return str(dict(field.flatchoices).get(raw, raw))
    if isinstance(field, ForeignKey):
        other = Group if name == "group" else Template
        found = other._base_manager.filter(pk=raw).first()
        return str(found or _("deleted since"))
    if isinstance(field, FileField):
        return _("a picture")
    if name == "limit_per_contact" and raw == 0:
        return _("no limit")
    return Truncator(str(localize(raw, use_l10n=True))).chars(SHOWN)
