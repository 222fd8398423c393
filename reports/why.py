"""Why a contact did not get, open or redeem a campaign's coupon: every reason, with time.

A fixed number of queries whatever the numbers of contacts, coupons and deliveries; each
enters an index at the contact, the coupon or the campaign.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Max, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import Contact, Membership
from coupons.errors import MESSAGES
from coupons.models import Attempt, ContactUse, Coupon, Event
from coupons.moments import Moment, local
from deliveries.models import Delivery, Dispatch, Recipient
from deliveries.preparing import Audience, Reason
from deliveries.services import Supply, supply_of
from stores.naming import name_of

MOST_CONTACTS = 10  # told of at once
MOST_ROWS = 200  # of each kind, the newest
MOST_DELIVERIES = 50
LONGEST = 200  # characters of what is typed
# Names, phones and e-mail addresses have no index: so many of the newest are read.
LOOKED_AT = 1_000_000
LINE_ID = re.compile(r"U[0-9a-f]{3,32}")

Outcome = Dispatch.Status
Status = Coupon.Status


# --- finding the contact --------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """Contacts that fit what was typed, the newest first."""

    contacts: Sequence[Contact]
    is_more: bool = False
    is_cut: bool = False  # older contacts were not looked at


def find_contacts(text: str) -> Hits:
    """Who is meant: by the shop's id, the start of a LINE user id, e-mail, phone or name.

    The first two are looked up in their indexes and, when somebody has them, are the
    whole answer.
    """
    typed = " ".join(text[:LONGEST].split())
    if not typed:
        return Hits([])
    exact = Q(external_id=typed)
    if LINE_ID.fullmatch(typed):
        # The index begins with the account. Hexadecimal: g comes after all that may
        # follow, in every order of letters.
        accounts = Connection.objects.filter(provider=Connection.Provider.LINE)
        exact |= Q(
            connection__in=list(accounts.values_list("pk", flat=True)),
            line_user_id__gte=typed,
            line_user_id__lt=f"{typed}g",
        )
    hits = _newest(exact)
    return hits if hits.contacts else _look_through(typed)


def _newest(condition: Q, *, is_cut: bool = False) -> Hits:
    rows = Contact.objects.filter(condition).select_related("connection")
    found = list(rows.order_by("-pk")[: MOST_CONTACTS + 1])
    return Hits(found[:MOST_CONTACTS], len(found) > MOST_CONTACTS, is_cut)


def _look_through(typed: str) -> Hits:
    """By name, or what looks so by e-mail or phone, backwards from the newest contact."""
    newest = Contact.objects.aggregate(newest=Max("pk"))["newest"] or 0
    oldest = max(newest - LOOKED_AT, 0)
    fits = Q(email__istartswith=typed) if "@" in typed else Q(name__icontains=typed)
    digits = re.sub(r"[^0-9+]", "", typed)
    if len(digits) >= 4 and not re.search(r"[^0-9+()\s./-]", typed):
        fits |= Q(phone__startswith=typed) | Q(phone__startswith=digits)
    return _newest(fits & Q(pk__gt=oldest), is_cut=oldest > 0)


# --- the answer -----------------------------------------------------------------------


class Kind:
    """How a reason is marked; always with a word, never by its colour alone."""

    GOOD = "good"
    NO = "no"
    WAIT = "wait"
    NOTE = "note"


MARKS = {
    Kind.GOOD: gettext_lazy("Done"),
    Kind.NO: gettext_lazy("Problem"),
    Kind.WAIT: gettext_lazy("Waiting"),
    Kind.NOTE: gettext_lazy("Note"),
}


@dataclass(frozen=True)
class Link:
    url: str
    words: str


@dataclass(frozen=True)
class Cause:
    """One thing that happened, or that stands in the way now (then without a time)."""

    kind: str
    words: str
    at: datetime | None = None
    said: str = ""  # LINE's own words, or a person's
    advice: str = ""  # what one can do now
    link: Link | None = None
    ends_in: ZoneInfo | None = None  # `at` is an end, as people in this zone tell it

    @property
    def told_at(self) -> datetime | None:
        """`at` as it is shown: an end at midnight is the day before's last minute."""
        if self.at is None or self.ends_in is None:
            return self.at
        return Moment(self.at, self.ends_in, is_end=True).for_staff

    @property
    def mark(self) -> str:
        return str(MARKS[self.kind])


@dataclass(frozen=True)
class Answer:
    """All that is known of one contact and one campaign, the newest first."""

    contact: Contact
    headline: str
    now: Sequence[Cause]  # what stands in the way at this moment
    causes: Sequence[Cause]
    is_cut: bool = False


@dataclass
class Known:
    """What was read of one contact."""

    contact: Contact
    used: int = 0
    lists: set[int] = field(default_factory=set)
    recipients: list[Recipient] = field(default_factory=list)
    coupons: list[Coupon] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    is_cut: bool = False  # there may be older rows than were read


@dataclass(frozen=True)
class Scene:
    """What is true of the campaign, whoever the contact is."""

    campaign: Campaign
    deliveries: Sequence[Delivery]
    supply: Supply
    at: datetime


def answers_for(
    campaign: Campaign, contacts: Sequence[Contact], *, at: datetime
) -> list[Answer]:
    """For each of at most `MOST_CONTACTS` contacts what happened, and what to do now."""
    # How many are still out is not asked here.
    supply = supply_of(campaign, look_at=1)
    scene = Scene(campaign, _deliveries(campaign), supply, at)
    return [_answer(scene, known) for known in _read(campaign, contacts)]


def _deliveries(campaign: Campaign) -> list[Delivery]:
    rows = Delivery.objects.filter(campaign=campaign).defer("template")
    return list(rows.select_related("contact_list")[:MOST_DELIVERIES])


def _read(campaign: Campaign, contacts: Sequence[Contact]) -> list[Known]:
    """Six queries for all of them."""
    found = {contact.pk: Known(contact) for contact in contacts[:MOST_CONTACTS]}
    uses = ContactUse.objects.filter(campaign=campaign, contact__in=found)
    for contact_id, used in uses.values_list("contact_id", "used"):
        found[contact_id].used = used
    members = Membership.objects.filter(contact__in=found)
    for contact_id, list_id in members.values_list("contact_id", "contact_list_id"):
        found[contact_id].lists.add(list_id)
    recipients = list(
        Recipient.objects.filter(contact__in=found, delivery__campaign=campaign)
        .select_related("delivery__contact_list", "dispatch")
        .defer("delivery__template")
        .order_by("-pk")[:MOST_ROWS]
    )
    for recipient in recipients:
        found[recipient.contact_id].recipients.append(recipient)
    coupons = Coupon.objects.filter(contact__in=found, campaign=campaign)
    of_coupon = {}
    for coupon in coupons.defer("token").order_by("-pk")[:MOST_ROWS]:
        known = of_coupon[coupon.pk] = found[coupon.contact_id or 0]
        known.coupons.append(coupon)
    refused = Attempt.objects.filter(coupon__in=of_coupon).exclude(reason="ok")
    attempts = list(refused.select_related("store").order_by("-pk")[:MOST_ROWS])
    for attempt in attempts:
        of_coupon[attempt.coupon_id or 0].attempts.append(attempt)
    told = (Event.Kind.VERIFIED, Event.Kind.UNDONE, Event.Kind.REVOKED)
    steps = Event.objects.filter(coupon__in=of_coupon, kind__in=told)
    events = list(steps.select_related("store", "actor").order_by("-pk")[:MOST_ROWS])
    for event in events:
        of_coupon[event.coupon_id].events.append(event)
    rows = [len(recipients), len(of_coupon), len(attempts), len(events)]
    for known in found.values():
        known.is_cut = MOST_ROWS in rows
    return list(found.values())


def _answer(scene: Scene, known: Known) -> Answer:
    causes = [
        *_from_recipients(known),
        *_not_among(scene, known),
        *_from_coupons(scene, known),
        *_from_attempts(scene, known),
        *_from_events(known),
    ]
    # Stable: what has one time stays in the order of a coupon's life, turned around.
    dated = sorted(
        (cause for cause in causes if cause.at), key=lambda cause: cause.at or scene.at
    )
    undated = [cause for cause in causes if not cause.at]
    return Answer(
        known.contact,
        _headline(scene, known),
        [*_now(scene, known), *undated],
        dated[::-1],
        is_cut=known.is_cut,
    )


def _headline(scene: Scene, known: Known) -> str:
    """The answer in one sentence, of the furthest coupon."""
    live = [coupon for coupon in known.coupons if coupon.status != Status.REVOKED]
    statuses = {coupon.status for coupon in live}
    if Status.VERIFIED in statuses:
        return _("Got it, redeemed it and used it at a store.")
    if Status.REDEEMED in statuses:
        return _("Redeemed it; no store has verified it.")
    open_ones = [coupon for coupon in live if not coupon.is_expired(scene.at)]
    if live and not open_ones:
        if any(coupon.opened_at for coupon in live):
            return _("Opened it but did not redeem it before it ended.")
        return _("Never opened it before it ended, as far as we can tell.")
    refused = [a for a in known.attempts if a.action == Attempt.Action.REDEEM]
    if refused and open_ones:
        said = _("Pressed Redeem and was refused: %(why)s")
        return said % {"why": _refusal_words(scene, refused[0])}
    if Status.OPENED in statuses:
        return _("Opened it and has not redeemed it yet.")
    if Status.SENT in statuses:
        return _("It was sent and has not been opened, as far as we can tell.")
    if Status.ISSUED in statuses:
        return _("Has a coupon that has not reached them.")
    if known.coupons:
        return _("The coupon was revoked.")
    if any(_has_native(recipient) for recipient in known.recipients):
        return _("Was sent LINE's own coupon; LINE doesn't tell whether it was used.")
    return _("Never got a coupon of this campaign.")


def _has_native(recipient: Recipient) -> bool:
    return recipient.delivery.is_native and recipient.outcome == Outcome.ACCEPTED


# --- what stands in the way now --------------------------------------------------------


def _now(scene: Scene, known: Known) -> Iterator[Cause]:
    yield from _campaign_now(scene)
    contact = known.contact
    if not contact.line_user_id:
        yield Cause(
            Kind.NOTE,
            _("No LINE user id of the contact is known: no message can reach them."),
            advice=_("Add it, or give them the link of a coupon yourself."),
            link=_contact_link(contact),
        )
    elif not contact.is_reachable:
        yield Cause(
            Kind.NO,
            _("The contact blocked the account on LINE: messages don't arrive."),
            at=None,
            said=_("Since %(when)s.")
            % {"when": local(scene.campaign, contact.reach_changed_at)}
            if contact.reach_changed_at
            else "",
            advice=_("They have to follow the account again."),
            link=_contact_link(contact),
        )
    limit = scene.campaign.limit_per_contact
    if limit and known.used >= limit:
        yield Cause(
            Kind.NOTE,
            _("The contact has redeemed as often as the campaign allows (%(limit)s).")
            % {"limit": limit},
            advice=_("Raise the limit per contact to let them have another."),
            link=_campaign_link(scene.campaign, "id_limit_per_contact"),
        )
    if not known.recipients and not known.coupons and not scene.deliveries:
        yield Cause(
            Kind.NOTE,
            _("Nothing has been sent in this campaign yet."),
            advice=_("Send it to a list that the contact is on."),
        )


def _campaign_now(scene: Scene) -> Iterator[Cause]:
    """What keeps everybody from getting or redeeming."""
    campaign = scene.campaign
    link = _campaign_link(campaign)
    if campaign.state == Campaign.State.DRAFT:
        words = _("The campaign is a draft: nothing is sent or redeemed.")
        yield Cause(Kind.NO, words, advice=_("Activate it."), link=link)
    if campaign.state == Campaign.State.PAUSED:
        words = _("The campaign is paused: nothing is sent or redeemed.")
        yield Cause(Kind.NO, words, advice=_("Resume it."), link=link)
    if campaign.state == Campaign.State.ENDED:
        words = _("The campaign was ended for good: nothing is sent or redeemed.")
        yield Cause(Kind.NO, words, link=link)
    elif scene.at >= campaign.use_ends_at:
        words = _("The use period was over on %(when)s.")
        when = local(campaign, campaign.use_ends_at, is_end=True)
        yield Cause(Kind.NO, words % {"when": when}, link=link)
    elif scene.at < campaign.use_starts_at:
        words = _("The use period begins on %(when)s: nobody can redeem before.")
        when = local(campaign, campaign.use_starts_at)
        yield Cause(Kind.WAIT, words % {"when": when}, link=link)
    if scene.supply.free == 0:
        if scene.supply.is_limit_first:
            yield Cause(
                Kind.NO,
                _("The limit in total is reached: nobody can redeem."),
                advice=_("Raise it."),
                link=_campaign_link(campaign, "id_limit_in_total"),
            )
        else:
            yield Cause(
                Kind.NO,
                _("No serial is free: nobody can redeem."),
                advice=_("Add serials."),
                link=_campaign_link(campaign, "serials"),
            )


# --- what was sent ---------------------------------------------------------------------

OUTCOMES = {
    Outcome.ACCEPTED: (Kind.GOOD, gettext_lazy("LINE took the message to “%(to)s”.")),
    Outcome.REFUSED: (Kind.NO, gettext_lazy("LINE refused the message to “%(to)s”.")),
    Outcome.UNKNOWN: (
        Kind.NO,
        gettext_lazy("It is unclear whether the message to “%(to)s” arrived."),
    ),
    Outcome.CANCELLED: (
        Kind.NO,
        gettext_lazy("The message to “%(to)s” was cancelled before it went out."),
    ),
    Outcome.QUEUED: (
        Kind.WAIT,
        gettext_lazy("The message to “%(to)s” is waiting to be sent."),
    ),
    Outcome.SENDING: (
        Kind.WAIT,
        gettext_lazy("The message to “%(to)s” is being sent."),
    ),
}
OUTCOME_ADVICE = {
    Outcome.REFUSED: gettext_lazy(
        "Check the contact's LINE user id and account, then send to this contact alone."
    ),
    Outcome.UNKNOWN: gettext_lazy(
        "Ask the customer whether it arrived before you send to this contact again."
    ),
    Outcome.CANCELLED: gettext_lazy("Send to this contact alone."),
}


NATIVE_ACCEPTED = gettext_lazy("LINE took the message with its own coupon to “%(to)s”.")
NATIVE_ADVICE = gettext_lazy(
    "LINE doesn't tell whether the contact got or used that coupon. Ask the customer."
)


def _from_recipients(known: Known) -> Iterator[Cause]:
    for recipient in known.recipients:
        delivery, outcome = recipient.delivery, Outcome(recipient.outcome)
        kind, words = OUTCOMES[outcome]
        said, advice = recipient.reason, str(OUTCOME_ADVICE.get(outcome, ""))
        if delivery.is_native and outcome == Outcome.ACCEPTED:
            words, advice = NATIVE_ACCEPTED, str(NATIVE_ADVICE)
        if outcome == Outcome.QUEUED and delivery.state == Delivery.State.PAUSED:
            said = delivery.pause_reason
            advice = _("Resume the delivery.")
        yield Cause(
            kind,
            str(words) % {"to": _name_of(delivery, known.contact)},
            at=recipient.dispatch.settled_at or delivery.send_at,
            said=said,
            advice=advice,
            link=_delivery_link(delivery),
        )


def _name_of(delivery: Delivery, contact: Contact) -> str:
    return str(delivery.contact_list or contact)


REASONS = {
    Reason.BLOCKED: gettext_lazy("the contact has blocked the account"),
    Reason.NO_LINE_ID: gettext_lazy("no LINE user id of the contact is known"),
    Reason.OTHER_ACCOUNT: gettext_lazy("the contact belongs to another LINE account"),
    Reason.AT_LIMIT: gettext_lazy(
        "the contact has redeemed as often as the campaign allows"
    ),
}


def _not_among(scene: Scene, known: Known) -> Iterator[Cause]:
    """Deliveries that the contact was no recipient of, and why, as far as can be told."""
    got = {recipient.delivery_id for recipient in known.recipients}
    for delivery in scene.deliveries:
        is_theirs = delivery.contact_id in (None, known.contact.pk)
        if delivery.pk not in got and is_theirs:
            yield _left_out(scene, known, delivery)


def _left_out(scene: Scene, known: Known, delivery: Delivery) -> Cause:
    to = {"to": _name_of(delivery, known.contact)}
    link = _delivery_link(delivery)
    at = delivery.prepared_at or delivery.created_at
    is_on_list = delivery.contact_list_id is None or (
        delivery.contact_list_id in known.lists
    )
    if not is_on_list:
        words = _("Not on the list “%(to)s” that was sent to.") % to
        advice = _("Put the contact on a list and send to that, or to them alone.")
        return Cause(Kind.NO, words, at=at, advice=advice, link=link)
    if delivery.prepared_at is None and delivery.state in Delivery.OPEN:
        words = _("The delivery to “%(to)s” is still being prepared.") % to
        return Cause(Kind.WAIT, words, at=at, said=delivery.pause_reason, link=link)
    if delivery.prepared_at is None:
        words = _("The delivery to “%(to)s” was cancelled before it was prepared.") % to
        return Cause(Kind.NO, words, at=at, said=delivery.pause_reason, link=link)
    audience = Audience(scene.campaign, delivery.connection_id, delivery.is_native)
    reason = audience.reason_against(known.contact, known.used)
    if reason is None:
        words = _(
            "Left out of the delivery to “%(to)s”: at that time the contact was not on "
            "the list, or could not be reached."
        )
        advice = _("Nothing stands against it now: send to this contact alone.")
        return Cause(Kind.NO, words % to, at=at, advice=advice, link=link)
    words = _("Left out of the delivery to “%(to)s”. As things are now: %(why)s.")
    return Cause(Kind.NO, words % {**to, "why": REASONS[reason]}, at=at, link=link)


# --- what became of the coupons ----------------------------------------------------------


def _from_coupons(scene: Scene, known: Known) -> Iterator[Cause]:
    replaced = {coupon.replaces_id for coupon in known.coupons if coupon.replaces_id}
    for coupon in known.coupons:
        yield from _life(scene, coupon, is_replaced=coupon.pk in replaced)


def _life(scene: Scene, coupon: Coupon, *, is_replaced: bool) -> Iterator[Cause]:
    link, name = _record_link(coupon), {"number": coupon.shown_number}
    words = _("Coupon %(number)s was issued.")
    if coupon.replaces_id:
        words = _("Coupon %(number)s was issued in place of a revoked one.")
    yield Cause(Kind.GOOD, words % name, at=coupon.issued_at, link=link)
    if coupon.sent_at:
        words = _("Coupon %(number)s went out.")
        yield Cause(Kind.GOOD, words % name, at=coupon.sent_at, link=link)
    if coupon.opened_at:
        words = _("The customer opened coupon %(number)s.")
        yield Cause(Kind.GOOD, words % name, at=coupon.opened_at, link=link)
    if coupon.redeemed_at:
        words = _("Redeem was pressed: coupon %(number)s shows its serial.")
        yield Cause(Kind.GOOD, words % name, at=coupon.redeemed_at, link=link)
    if coupon.status == Status.REVOKED:
        yield from _after_revoking(coupon, is_replaced=is_replaced)
    elif coupon.is_expired(scene.at):
        yield _expired(scene, coupon)
    else:
        yield from _to_do(scene, coupon)


def _after_revoking(coupon: Coupon, *, is_replaced: bool) -> Iterator[Cause]:
    if not is_replaced:
        words = _("Coupon %(number)s was revoked and not replaced.")
        yield Cause(
            Kind.NO,
            words % {"number": coupon.shown_number},
            advice=_("Its record offers to issue another one."),
            link=_record_link(coupon),
        )


def _expired(scene: Scene, coupon: Coupon) -> Cause:
    name = {"number": coupon.shown_number}
    if coupon.status == Status.REDEEMED:
        words = _("Coupon %(number)s ended before a store took it.")
    elif coupon.opened_at:
        words = _("Coupon %(number)s ended before Redeem was pressed.")
    elif coupon.sent_at:
        words = _(
            "Coupon %(number)s ended without being opened, as far as we can tell."
        )
    else:
        words = _("Coupon %(number)s ended before it went out.")
    return Cause(
        Kind.NO,
        words % name,
        at=coupon.ends_at,
        ends_in=scene.campaign.zone,
        advice=_("Send this contact another coupon while the campaign runs."),
        link=_record_link(coupon),
    )


def _to_do(scene: Scene, coupon: Coupon) -> Iterator[Cause]:
    """What a coupon that still holds waits for; nothing once its campaign has ended."""
    if scene.campaign.state == Campaign.State.ENDED:
        return
    link = _record_link(coupon)
    told = {
        "number": coupon.shown_number,
        "when": local(scene.campaign, coupon.ends_at, is_end=True),
    }
    if coupon.status == Status.ISSUED:
        words = _("Coupon %(number)s has not gone out. It ends on %(when)s.")
        advice = _("Its link can be handed over, or sent from the delivery.")
        yield Cause(Kind.WAIT, words % told, advice=advice, link=link)
    elif coupon.status == Status.SENT:
        words = _("Coupon %(number)s waits to be opened. It ends on %(when)s.")
        advice = _("Ask the customer to look for the message, or send it again.")
        yield Cause(Kind.WAIT, words % told, advice=advice, link=link)
    elif coupon.status == Status.OPENED:
        words = _("Coupon %(number)s waits for Redeem. It ends on %(when)s.")
        yield Cause(Kind.WAIT, words % told, link=link)
    elif coupon.status == Status.REDEEMED:
        if scene.campaign.verifying != Campaign.Verifying.NONE:
            words = _("Coupon %(number)s waits for a store. It ends on %(when)s.")
            yield Cause(Kind.WAIT, words % told, link=link)


REDEEM_ADVICE = {
    "out_of_stock": gettext_lazy("Add serials; the same link works again then."),
    "limit_reached": gettext_lazy(
        "Look at the limits; once raised, the same link works again."
    ),
    "expired": gettext_lazy("Send this contact another coupon."),
    "campaign_paused": gettext_lazy("Once it is resumed, the same link works again."),
    "not_started": gettext_lazy("The same link works once the use period has begun."),
    "revoked": gettext_lazy("Issue another coupon on its record."),
    "campaign_ended": gettext_lazy("Send a coupon of another campaign."),
    "not_redeemed": gettext_lazy("The customer has to press Redeem first."),
    "wrong_store": gettext_lazy("The campaign names the stores that take it."),
    "wrong_password": gettext_lazy("Staff can scan the coupon instead."),
    "too_many_tries": gettext_lazy("Staff can scan the coupon instead."),
}


def _from_attempts(scene: Scene, known: Known) -> Iterator[Cause]:
    numbers = {coupon.pk: coupon for coupon in known.coupons}
    for attempt in known.attempts:
        coupon = numbers[attempt.coupon_id or 0]
        yield Cause(
            Kind.NO,
            _attempt_words(attempt) % {"number": coupon.shown_number},
            at=attempt.at,
            said=_refusal_words(scene, attempt),
            advice=_still_of_use(scene, attempt),
            link=_record_link(coupon),
        )


def _attempt_words(attempt: Attempt) -> str:
    if attempt.action == Attempt.Action.REDEEM:
        return _("The customer pressed Redeem on coupon %(number)s in vain.")
    if attempt.store is None:
        return _("A store could not verify coupon %(number)s.")
    words = _("“%(store)s” could not verify coupon %(number)s.")
    return words.replace("%(store)s", str(attempt.store).replace("%", "%%"))


def _refusal_words(scene: Scene, attempt: Attempt) -> str:
    if attempt.reason == "limit_reached" and attempt.action == Attempt.Action.REDEEM:
        return _("A limit was reached: that per contact, or that in total.")
    return str(MESSAGES.get(attempt.reason, attempt.reason))


def _still_of_use(scene: Scene, attempt: Attempt) -> str:
    """Advice that fits the state of things now."""
    if attempt.reason == "campaign_paused":
        if scene.campaign.state == Campaign.State.ACTIVE:
            return _("The campaign runs again: the same link works.")
    if attempt.reason == "out_of_stock" and scene.supply.free != 0:
        return _("There are serials again: the same link works.")
    if attempt.reason == "not_started" and scene.at >= scene.campaign.use_starts_at:
        return ""
    return str(REDEEM_ADVICE.get(attempt.reason, ""))


EVENT_WORDS = {
    Event.Kind.VERIFIED: gettext_lazy("“%(who)s” verified coupon %(number)s."),
    Event.Kind.UNDONE: gettext_lazy(
        "The verification of coupon %(number)s was taken back by %(who)s."
    ),
    Event.Kind.REVOKED: gettext_lazy("Coupon %(number)s was revoked by %(who)s."),
}


def _from_events(known: Known) -> Iterator[Cause]:
    coupons = {coupon.pk: coupon for coupon in known.coupons}
    for event in known.events:
        coupon, kind = coupons[event.coupon_id], Event.Kind(event.kind)
        is_good = kind == Event.Kind.VERIFIED
        who = event.store if is_good else name_of(event.actor)
        words = str(EVENT_WORDS[kind])
        yield Cause(
            Kind.GOOD if is_good else Kind.NO,
            words % {"number": coupon.shown_number, "who": who or _("somebody")},
            at=event.at,
            said=event.reason,
            link=_record_link(coupon),
        )


# --- links -----------------------------------------------------------------------------


def _record_link(coupon: Coupon) -> Link:
    url = reverse("admin:reports_redemptionrecord_change", args=[coupon.pk])
    return Link(url, _("Its record"))


def _delivery_link(delivery: Delivery) -> Link:
    url = reverse("admin:deliveries_delivery_progress", args=[delivery.pk])
    return Link(url, _("The delivery"))


def _contact_link(contact: Contact) -> Link:
    url = reverse("admin:contacts_contact_change", args=[contact.pk])
    return Link(url, _("The contact"))


def _campaign_link(campaign: Campaign, part: str = "") -> Link:
    url = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    return Link(f"{url}#{part}" if part else url, _("The campaign"))


# --- how many can still go out -----------------------------------------------------------


@dataclass(frozen=True)
class Outlook:
    """What is left to send, and what runs short first."""

    supply: Supply

    @property
    def can_go_out(self) -> int | None:
        """So many more coupons could all be redeemed; None: no end."""
        free = self.supply.free
        return None if free is None else max(free - self.supply.out, 0)

    @property
    def lacking(self) -> int:
        return self.supply.lacking()

    @property
    def unused(self) -> int | None:
        """Serials that the limit in total leaves over."""
        stock, left = self.supply.stock, self.supply.limit_left
        if stock is None or left is None or left >= stock:
            return None
        return stock - left

    @property
    def over_limit(self) -> int | None:
        """Redemptions that the limit allows and for which there is no serial."""
        stock, left = self.supply.stock, self.supply.limit_left
        if stock is None or left is None or stock >= left:
            return None
        return left - stock


def outlook_of(campaign: Campaign) -> Outlook:
    return Outlook(supply_of(campaign))
