"""A campaign as its form stands, saved or not, and what the form tells of it.

Nothing here writes: what is built is shown and thrown away.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from campaigns.clocks import ClockChange
from campaigns.effective import effective_values, faint_pairs, shown_ratio
from campaigns.forms import CampaignForm, CampaignTextFormSet, first_values
from campaigns.models import Campaign
from campaigns.timeline import Clock, Example, Period, Timeline, Warn, timeline
from coupons.moments import Moment, interval_words, zone_words
from coupons.showing import MOST_STORES, TEXTS, Place
from coupons.views.specimen import CODE, Specimen, specimen
from serials.models import Batch
from stores.models import Store

# What the script puts in the page in place of a picture that it has already.
UNSAVED_IMAGE = "data:,unsaved-image"


@dataclass(frozen=True)
class Wrong:
    """A field that the preview leaves as it was, and why."""

    id: str
    label: str
    message: str
    code: str = ""


@dataclass
class UnsavedImage:
    """Stands for a picture that has no address yet."""

    url: str


@dataclass
class Draft:
    """The campaign as the form stands: valid fields over what is saved."""

    campaign: Campaign
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stores: Sequence[Store] | None = None  # None: as they are saved
    wrong: Sequence[Wrong] = ()
    image: str = ""  # a data: URI of the picture just chosen

    def page(self, state: str, language: str, now: datetime) -> Specimen:
        """The specimen of its page; the language has to be the active one."""
        code, is_fixed = self.code
        return specimen(
            self.campaign,
            state,
            now=now,
            language=language,
            texts=self.texts.get(language, {}),
            stores=self.places,
            code=code,
            is_fixed=is_fixed,
        )

    @cached_property
    def code(self) -> tuple[str, bool]:
        """A serial to show: the fixed one that everybody gets, else an invented one."""
        fixed = None
        if self.campaign.pk:
            batches = Batch.objects.filter(campaign_id=self.campaign.pk)
            fixed = batches.filter(kind=Batch.Kind.FIXED).exclude(code="").first()
        return (fixed.code, True) if fixed else (CODE, False)

    @cached_property
    def places(self) -> list[Place]:
        """The open stores that take it; none named means all."""
        open_ones = Store.objects.filter(is_active=True).order_by("name")
        named: list[int] = []
        if self.stores is not None:
            named = [store.pk for store in self.stores]
        elif self.campaign.pk:
            named = list(self.campaign.stores.values_list("pk", flat=True))
        if named:
            open_ones = open_ones.filter(pk__in=named)
        return [
            Place(store.name, store.address, store.pk, bool(store.password))
            for store in open_ones[: MOST_STORES + 1]
        ]


# --- building it ------------------------------------------------------------------------


def draft_of(form: Any, formset: CampaignTextFormSet | None, *, now: datetime) -> Draft:
    """What the form would save, as far as it is valid; saved values for the rest."""
    campaign = copy(form.instance)
    given: dict[str, Any] = {}
    if form.is_bound:
        given = getattr(form, "cleaned_data", {})
        take_back(campaign, form)
    else:
        begin_with(campaign, form)
    image = given.get("image")
    uri = ""
    if isinstance(image, ContentFile):
        uri = data_uri(image)
        campaign.image = UnsavedImage(UNSAVED_IMAGE)
    if not campaign.name:
        campaign.name = _("Name of the offer")
    make_drawable(campaign, now)
    stores = given.get("stores")
    return Draft(
        campaign,
        texts=texts_of(campaign, formset),
        stores=None if stores is None else list(stores),
        wrong=[*wrong_of(form), *wrong_texts(formset)],
        image=uri,
    )


def saved_draft(campaign: Campaign, *, now: datetime) -> Draft:
    """The campaign as it is saved."""
    make_drawable(campaign, now)
    return Draft(campaign, texts=texts_of(campaign, None))


def begin_with(campaign: Campaign, form: Any) -> None:
    """Set what a new campaign's form begins with."""
    for name, value in form.initial.items():
        is_date = name.endswith("_at")
        if isinstance(value, datetime) if is_date else name in ("language", "currency"):
            setattr(campaign, name, value)
    if isinstance(form, CampaignForm):
        campaign.time_zone = form.zone.key


def take_back(campaign: Campaign, form: Any) -> None:
    """Set what was refused to what is saved: the form has put some of it in already."""
    if not form.errors:
        return
    saved = Campaign.objects.filter(pk=campaign.pk).first() if campaign.pk else None
    otherwise = saved or Campaign()
    for model_field in Campaign._meta.concrete_fields:
        if model_field.name in form.errors and model_field.name != "image":
            setattr(
                campaign, model_field.attname, getattr(otherwise, model_field.attname)
            )
    if "image" in form.errors:
        campaign.image = otherwise.image


def make_drawable(campaign: Campaign, now: datetime) -> None:
    """Fill in what the page can't be drawn without, while it is missing or refused."""
    values = first_values(campaign.time_zone, now)
    is_whole = campaign.use_starts_at and campaign.use_ends_at
    if not is_whole or campaign.use_starts_at >= campaign.use_ends_at:
        saved = Campaign.objects.filter(pk=campaign.pk).first() if campaign.pk else None
        for name in ("use_starts_at", "use_ends_at"):
            value = getattr(saved, name) if saved else values[name]
            setattr(campaign, name, value)
    starts, ends = campaign.send_starts_at, campaign.send_ends_at
    if starts and ends and starts >= ends:
        campaign.send_ends_at = None
    if campaign.expiry != Campaign.Expiry.USE_END and not campaign.expiry_amount:
        campaign.expiry = Campaign.Expiry.USE_END


def texts_of(
    campaign: Campaign, formset: CampaignTextFormSet | None
) -> dict[str, dict[str, str]]:
    """Each language's texts: those in the form, and where there is none the saved."""
    found: dict[str, dict[str, str]] = {}
    if campaign.pk:
        for text in campaign.texts.all():
            found[text.language] = {name: getattr(text, name) for name in TEXTS}
    for form in formset.forms if formset is not None and formset.is_bound else ():
        given = getattr(form, "cleaned_data", {})
        language = given.get("language")
        if language:
            known = found.setdefault(language, dict.fromkeys(TEXTS, ""))
            known |= {name: given[name] for name in TEXTS if name in given}
    return found


def data_uri(image: "ContentFile[bytes]") -> str:
    """The checked picture itself: it has no address before the campaign is saved."""
    image.seek(0)
    raw = image.read()
    image.seek(0)
    kind = "image/png" if raw.startswith(b"\x89PNG") else "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def wrong_of(form: Any) -> Iterator[Wrong]:
    for name, errors in form.errors.as_data().items() if form.is_bound else ():
        error = errors[0]
        if name in form.fields:
            label, id_ = str(form[name].label), form[name].auto_id
        else:
            label, id_ = _("The form"), ""
        yield Wrong(id_, label, " ".join(error.messages), error.code or "")


def wrong_texts(formset: CampaignTextFormSet | None) -> Iterator[Wrong]:
    is_sent = formset is not None and formset.is_bound
    forms: list[Any] = formset.forms if formset is not None and is_sent else []
    for form in forms:
        for wrong in wrong_of(form):
            label = f"{form.tongue_name}, {wrong.label}"
            yield Wrong(wrong.id, label, wrong.message, wrong.code)


# --- what the form tells beside its fields ----------------------------------------------


def notes_of(campaign: Campaign) -> dict[str, str]:
    """By field, as HTML: the value in force and whose it is; colours too much alike."""
    found: dict[str, dict[str, Any]] = {}
    for effective in effective_values(campaign):
        found.setdefault(effective.field, {})["effective"] = effective
    look = campaign.look()
    for faint in faint_pairs(look):
        found.setdefault(faint.field, {}).update(
            faint=faint,
            ratio=shown_ratio(faint.ratio),
            text=look[faint.field],
            ground=look[faint.behind],
            is_groups=bool(campaign.group and getattr(campaign.group, faint.field)),
        )
    return {
        name: SafeString(render_to_string("campaigns/_note.html", context).strip())
        for name, context in found.items()
    }


@dataclass(frozen=True)
class Step:
    kind: str  # sent, redeemed, wins, later
    what: str
    at: Moment
    note: str = ""


class TimelineWords:
    """The timeline in words, for its template."""

    def __init__(self, campaign: Campaign, drawn: Timeline, now: datetime) -> None:
        self.campaign = campaign
        self.drawn = drawn
        self.at = now

    def moment(self, at: datetime, *, is_end: bool = False) -> Moment:
        return Moment(at, self.campaign.zone, is_end)

    @property
    def zone(self) -> str:
        return zone_words(self.at.astimezone(self.campaign.zone))

    @property
    def now(self) -> float | None:
        return self.drawn.now

    @property
    def now_words(self) -> str:
        return _("Now: %(now)s") % {"now": self.moment(self.at)}

    @property
    def spans(self) -> list[dict[str, Any]]:
        use, sending = self.drawn.use, self.drawn.sending
        return [
            {"kind": "sending", "label": _("Sending"), "words": self.words_of(sending)}
            | placed(sending),
            {"kind": "use", "label": _("Use"), "words": self.words_of(use)}
            | placed(use),
        ]

    def words_of(self, period: Period) -> str:
        ends = self.moment(period.ends_at, is_end=True)
        if period.starts_at is None:
            return _("from now on, until %(ends)s") % {"ends": ends}
        starts = self.moment(period.starts_at)
        return _("%(starts)s – %(ends)s") % {"starts": starts, "ends": ends}

    @property
    def changes(self) -> list[dict[str, Any]]:
        return [
            {"place": place, "words": self.change_words(change)}
            for change, place in self.drawn.changes
        ]

    def change_words(self, change: ClockChange) -> str:
        by = interval_words(Campaign.Unit.MINUTES, change.minutes)
        words = (
            _("The clocks go forward by %(by)s: %(at)s")
            if change.is_forward
            else _("The clocks go back by %(by)s: %(at)s")
        )
        return words % {"by": by, "at": self.moment(change.at)}

    @property
    def examples(self) -> list[dict[str, Any]]:
        return [
            {"title": self.title_of(example), "steps": list(self.steps(example))}
            for example in self.drawn.examples
        ]

    def title_of(self, example: Example) -> str:
        if example.is_late:
            return _("A late one: the use period cuts it short")
        return _("An example coupon")

    def steps(self, example: Example) -> Iterator[Step]:
        yield Step("sent", _("Sent"), self.moment(example.sent_at))
        if example.redeemed_at:
            yield Step("redeemed", _("Redeemed"), self.moment(example.redeemed_at))
        wins = example.wins
        note = self.clock_words(wins.clock)
        if example.others:
            note = _("%(clock)s: the earliest clock wins") % {"clock": note}
        extra = [self.shifted_words(change) for change in example.changes]
        yield Step("wins", _("Ends"), self.end(wins.at), ". ".join([note, *extra]))
        for other in example.others:
            note = self.clock_words(other.clock)
            yield Step("later", _("Too late to count"), self.end(other.at), note)

    def end(self, at: datetime) -> Moment:
        return self.moment(at, is_end=True)

    def clock_words(self, clock: Clock) -> str:
        if clock == Clock.USE_END:
            return _("the end of the use period")
        amount = self.campaign.expiry_amount or 0
        interval = interval_words(self.campaign.expiry_unit, amount)
        if clock == Clock.FROM_SENDING:
            return _("%(interval)s from sending") % {"interval": interval}
        return _("%(interval)s from pressing Redeem") % {"interval": interval}

    def shifted_words(self, change: ClockChange) -> str:
        by = interval_words(Campaign.Unit.MINUTES, change.minutes)
        words = (
            _("The clocks go forward in between: on the wall it ends %(by)s later")
            if change.is_forward
            else _("The clocks go back in between: on the wall it ends %(by)s earlier")
        )
        return words % {"by": by}

    @property
    def warnings(self) -> list[str]:
        words = {
            Warn.OVER: _("The use period is over: nobody can redeem."),
            Warn.NEVER_SENT: _(
                "Nothing can be sent: the sending period begins when the use period is "
                "over."
            ),
            Warn.SENDING_ENDS_WITH_USE: _(
                "Sending ends with the use period, earlier than written here."
            ),
            Warn.DEAD_BEFORE_USE: _(
                "Whatever is sent up to %(until)s is over before the use period begins."
            ),
            Warn.INTERVAL_TOO_LONG: _(
                "The use period always ends first: it leaves no coupon this long."
            ),
        }
        dead = self.drawn.dead_until
        until = self.moment(dead) if dead else ""
        return [words[warn] % {"until": until} for warn in self.drawn.warnings]


def placed(period: Period) -> dict[str, str]:
    # Plain numbers: a locale's comma would be no length in an SVG.
    return {"left": f"{period.left:.3f}", "width": f"{max(period.width, 0.5):.3f}"}


def timeline_of(campaign: Campaign, now: datetime) -> TimelineWords:
    return TimelineWords(campaign, timeline(campaign, now=now), now)


def timeline_html(campaign: Campaign, now: datetime) -> str:
    return render_to_string(
        "campaigns/_timeline.html", {"timeline": timeline_of(campaign, now)}
    ).strip()


def ignored_html(wrong: Sequence[Wrong]) -> str:
    """What the preview leaves out; an empty field still to be filled in is no mistake."""
    told = [one for one in wrong if one.code != "required"]
    return render_to_string("campaigns/_ignored.html", {"wrong": told}).strip()


def languages_of(campaign: Campaign) -> list[tuple[str, str]]:
    """All of them, the campaign's own first."""
    own = campaign.language
    return sorted(
        ((code, str(name)) for code, name in settings.LANGUAGES),
        key=lambda choice: choice[0] != own,
    )
