"""Where a serial stands, and its story: from its batch to what its coupon came to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from coupons.models import Coupon, Event
from reports.story import Step, Story, by_day, story_of
from serials.models import Batch, Serial
from stores.naming import name_of
from sync.models import Use

State = Serial.State


@dataclass(frozen=True)
class Standing:
    """A serial's state in words, and a sentence on what that means."""

    kind: str
    words: str
    meaning: str = ""


def standing_of(serial: Serial, coupon: Coupon | None) -> Standing:
    """`coupon` is the one that has taken it, None for whoever may not see coupons."""
    if serial.state == State.VOID:
        return Standing("void", _("void"), _why_void(serial))
    if serial.state == State.TAKEN:
        return _taken(coupon)
    return _not_taken(serial.batch)


def _why_void(serial: Serial) -> str:
    if serial.batch.voided_at is None:
        return _(
            "It was used at a provider before anybody had it: nobody ever gets it."
        )
    return _("It was made void with the rest of its batch: nobody ever gets it.")


def _taken(coupon: Coupon | None) -> Standing:
    if coupon is None:
        return Standing("taken", _("taken"), _("A customer has it."))
    if coupon.status == Coupon.Status.VERIFIED:
        return Standing("verified", _("verified"), _("It has been used."))
    if coupon.status == Coupon.Status.REVOKED:
        return Standing(
            "burnt",
            _("revoked, burnt"),
            _(
                "Its coupon was revoked after the customer had seen it: no store takes "
                "it, and nobody else gets it."
            ),
        )
    return Standing(
        "taken", _("taken"), _("A customer has it, and no store has verified it.")
    )


def _not_taken(batch: Batch) -> Standing:
    match Batch.State(batch.state):
        case Batch.State.READY:
            return Standing(
                "free",
                _("free"),
                _("Nobody has it yet: a customer gets it by pressing Redeem."),
            )
        case Batch.State.IMPORTING if batch.is_generated:
            return Standing(
                "waiting",
                _("being made, not yet given out"),
                _("Nobody gets it before all serials of its batch are there."),
            )
        case Batch.State.IMPORTING:
            return Standing(
                "waiting",
                _("being imported, not yet given out"),
                _("Nobody gets it before all of its file is imported."),
            )
        case Batch.State.VOIDING | Batch.State.VOID:
            return Standing(
                "void",
                _("being made void"),
                _("The rest of its batch is being made void: nobody ever gets it."),
            )
    return Standing(
        "waiting",
        _("being removed"),
        _("Its import was stopped: it was never given out and goes away."),
    )


def serial_story(
    serial: Serial, coupon: Coupon | None, *, at: datetime, record_url: str = ""
) -> Story:
    """The story as it stands at `at`, oldest first, in the campaign's zone.

    `coupon` is the one that has taken it, None for whoever may not see coupons;
    `record_url` is the page of its record.
    """
    steps = list(_own_steps(serial, coupon, record_url))
    theirs = story_of(coupon, at=at) if coupon else None
    if theirs:
        days = theirs.days
        steps += [step for day in days for step in day.steps if _is_of(serial, step)]
    steps.sort(key=lambda step: step.at)  # stable: at one instant our own come first
    zone = serial.campaign.zone
    return Story(
        zone=zone,
        days=by_day(steps, zone),
        not_shown=theirs.not_shown if theirs else 0,
        ends_at=theirs.ends_at if theirs else None,
        is_over=theirs.is_over if theirs else False,
    )


def _is_of(serial: Serial, step: Step) -> bool:
    """Whether a coupon's step is told with its serial: opening, and all since then.

    That it was issued and sent, and refused before there was a serial, says its record.
    """
    if step.kind in (Event.Kind.ISSUED, Event.Kind.SENT):
        return False
    is_later = serial.taken_at is not None and step.at >= serial.taken_at
    return is_later or step.kind == Event.Kind.OPENED


def _own_steps(
    serial: Serial, coupon: Coupon | None, record_url: str
) -> Iterator[Step]:
    batch = serial.batch
    by = name_of(batch.created_by)
    if batch.is_generated:
        what, how = _("Made with its batch"), _("“%(batch)s”, number %(number)s")
    else:
        what, how = _("Came in with its batch"), _("“%(batch)s”, row %(number)s")
    place = how % {"batch": batch.name, "number": serial.pos}
    yield Step(at=batch.created_at, what=what, how=place, who=by, kind="came")
    if batch.ready_at:
        yield Step(at=batch.ready_at, what=_("Ready to be given out"), kind="ready")
    if serial.state == Serial.State.VOID:
        yield from _made_void(serial)
    if serial.taken_at and coupon:
        taken = _("Taken by coupon %(number)s") % {"number": coupon.shown_number}
        yield Step(at=serial.taken_at, what=taken, kind="taken", url=record_url)
    elif serial.taken_at:
        yield Step(at=serial.taken_at, what=_("Taken by a coupon"), kind="taken")


def _made_void(serial: Serial) -> Iterator[Step]:
    """By its batch, or because it was used at a provider before anybody got it."""
    uses = Use.objects.filter(coupon__serial=serial, outcome=Use.Outcome.VOID)
    use = uses.select_related("connection").order_by("pk").first()
    if use is not None:
        what = _("Used at %(account)s before anybody got it: made void")
        named = what % {"account": use.connection.name}
        yield Step(at=use.seen_at, what=named, kind="void", their_time=use.happened_at)
    elif serial.batch.voided_at:
        what = _("Made void with its batch")
        yield Step(at=serial.batch.voided_at, what=what, kind="void")
