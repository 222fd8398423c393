"""What people ask about what providers have: look now, mend, take a coupon over."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from connections.models import Connection
from coupons.retrying import retrying
from serials.waking import nudge
from sync.errors import SyncError
from sync.models import Difference, Publication, RemoteCoupon, Run, Step
from sync.options import VISIBILITIES, LineOptions
from sync.ports.choosing import rate_of
from sync.ports.line import flat
from sync.publishing import amending
from sync.publishing.settling import locked
from sync.publishing.spending import ask_back
from sync.pulling import differences, mending, runs
from sync.pulling.comparing import USED_THERE
from sync.pulling.differences import Seen
from sync.pulling.line import CLOSED, terms_of
from sync.pulling.mending import (
    ACCEPT,
    AGAIN,
    CLEAR,
    CLOSE,
    GONE,
    REPLACE,
    SEND,
    USED,
    Action,
)
from sync.pulling.planning import budget
from sync.pulling.storing import step_of
from sync.pulling.terms import look_again
from sync.pulling.wording import Wording, wording_of
from sync.services import publishing
from sync.tasks import publish_prepare, publish_work, pull
from sync.uses import known_uses, note_count

__all__ = [
    "Action",
    "Wording",
    "actions_for",
    "adopt",
    "let_go",
    "mend",
    "round_time",
    "start_run",
    "words_for",
]
Clock = Callable[[], datetime]
Provider = Connection.Provider

# What a difference that was mended so ended by.
HOW = {SEND: "sent", REPLACE: "replaced", AGAIN: "again", CLOSE: "closed"}
HOW |= {USED: "used", GONE: "gone", ACCEPT: differences.ACCEPTED}
HOW |= {CLEAR: "taken_back"}
# The same press of Replace is the same new publication.
NONCES = UUID("3f0b6f3e-6a39-4c0e-9a57-1f4f8a7d2c64")


# --- looking ---------------------------------------------------------------------------


@transaction.atomic
def start_run(
    connection_id: int,
    *,
    by: User | None = None,
    is_whole: bool = False,
    clock: Clock = timezone.now,
) -> Run:
    """Look at everything that an account has, in the background; the run that does.

    While one is under way that one is returned. `is_whole` looks at what can no longer
    change, too. Raises SyncError: connection_gone, connection_paused.
    """
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        raise SyncError("connection_gone", _("This connection has been deleted."))
    if connection.state != Connection.State.ACTIVE:
        raise SyncError("connection_paused", runs.paused_words(connection))
    run = runs.begin(connection, at=clock(), by=by, is_whole=is_whole)
    transaction.on_commit(lambda: nudge(pull, run.pk), robust=True)
    return run


def round_time(connection_id: int) -> timedelta | None:
    """How long it takes until each coupon of an account has been asked about once.

    None where one look sees them all (LINE, Paddle).
    """
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None or connection.provider != Provider.VIVOLDI:
        return None
    current = Publication.objects.filter(
        connection_id=connection_id, state__in=Publication.CURRENT
    )
    live = current.aggregate(sum=Sum("live"))["sum"] or 0
    rounds = max(1, -(-live // budget(rate_of(connection))))
    every: timedelta = settings.SYNC_EVERY
    return every * rounds


# --- differences -----------------------------------------------------------------------


def words_for(difference: Difference) -> Wording:
    """The field's name and both values, in words for people."""
    return wording_of(difference)


def actions_for(difference: Difference) -> list[Action]:
    """What can be done about an open difference, the likeliest first."""
    return mending.actions_of(difference)


@retrying
@transaction.atomic
def mend(
    difference_id: int, action: str, *, by: User, clock: Clock = timezone.now
) -> None:
    """Do one of `actions_for` about a difference.

    Raises SyncError: ended (somebody was quicker), not_possible, and whatever the
    action itself is refused with.
    """
    _lock_owner(difference_id)
    found = (
        Difference.objects.select_for_update(of=("self",))
        .select_related("coupon", "publication__connection", "publication__campaign")
        .defer("publication__onsite_password")
        .filter(pk=difference_id, ended_at=None)
        .first()
    )
    if found is None:
        raise SyncError("ended", _("This difference is settled already."))
    if action not in HOW or action not in {one.key for one in actions_for(found)}:
        raise SyncError("not_possible", _("That can't be done about this difference."))
    at = clock()
    Difference.objects.filter(pk=found.pk).update(
        ended_at=at, ended_how=HOW[action], ended_by=by
    )
    Step.objects.create(**_mended(found, action, by, at))
    _do(found, action, by, clock)


def _lock_owner(difference_id: int) -> None:
    """Publication, coupon, difference: the order in which looks and workers lock them."""
    seen = Difference.objects.filter(pk=difference_id).first()
    if seen is None:
        return
    locked([seen.publication_id])
    coupons = RemoteCoupon.objects.select_for_update().filter(pk=seen.coupon_id or 0)
    coupons.values("pk").first()


def _mended(found: Difference, action: str, by: User, at: datetime) -> dict[str, Any]:
    owner = found.coupon or found.publication
    return {
        "connection_id": owner.connection_id if owner else 0,
        "publication_id": found.publication_id,
        "coupon_id": found.coupon_id,
        "kind": Step.Kind.MENDED,
        "facts": {
            "field": found.field,
            "ours": found.ours[:200],
            "theirs": found.theirs[:200],
            "how": HOW[action],
        },
        "by": by,
        "at": at,
    }


def _do(found: Difference, action: str, by: User, clock: Clock) -> None:
    if action == ACCEPT:
        return
    publication, coupon = found.publication, found.coupon
    if publication is None:
        raise SyncError("not_possible", _("It belongs to no campaign any more."))
    if action == REPLACE:
        _replace(found, publication, by, clock)
    elif action == CLEAR:
        _clear(publication)
    elif coupon is None:
        publishing.send_terms(publication.pk, by=by, clock=clock)
        look_again(publication, clock())
    elif action == CLOSE and found.field != differences.STILL_THERE:
        publishing.close(publication.pk, by=by, clock=clock)
    else:
        _do_one(coupon, found.field, action, clock)
        account = coupon.connection_id
        transaction.on_commit(lambda: nudge(publish_work, account), robust=True)


def _clear(publication: Publication) -> None:
    ask_back(publication.pk)
    transaction.on_commit(lambda: nudge(publish_prepare, publication.pk), robust=True)


def _replace(
    found: Difference, publication: Publication, by: User, clock: Clock
) -> None:
    publishing.replace(
        publication.pk,
        options=LineOptions.from_json(publication.options),
        by=by,
        nonce=uuid5(NONCES, str(found.pk)),
        clock=clock,
    )


def _do_one(coupon: RemoteCoupon, field: str, action: str, clock: Clock) -> None:
    at = clock()
    if action == SEND:
        amending.send_again(coupon, at)
    elif action == CLOSE:
        amending.take_back_again(coupon, at)
    elif action == AGAIN:
        amending.make_again(coupon, at)
    elif action == USED:
        _count_last_use(coupon, clock)
    elif field == differences.DOUBTFUL:
        _lose(coupon, at)
    else:
        amending.give_up(coupon, at)


def _count_last_use(coupon: RemoteCoupon, clock: Clock) -> None:
    """Vivoldi's no was that of a number that is used up."""
    used = known_uses(coupon) + 1
    RemoteCoupon.objects.filter(pk=coupon.pk).update(told=USED_THERE, used=used)
    note_count(coupon.pk, used, clock=clock)


def _lose(coupon: RemoteCoupon, at: datetime) -> None:
    """Vivoldi's no was that of a number that is not there: what next is another question."""
    coupon.missing_since = at
    RemoteCoupon.objects.filter(pk=coupon.pk).update(missing_since=at, told="")
    missing = [(differences.MISSING, "live", "missing")]
    steps = differences.note([Seen(coupon, missing)], at=at)
    facts = {"told": coupon.told}
    Step.objects.bulk_create([step_of(coupon, Step.Kind.VANISHED, at, facts), *steps])


# --- coupons that were made there ------------------------------------------------------


@transaction.atomic
def adopt(
    coupon_id: int, campaign_id: int, *, by: User, clock: Clock = timezone.now
) -> Publication:
    """Make a coupon that was made in LINE's own manager the campaign's.

    Pressed twice it is the same publication. Raises SyncError: coupon_gone,
    campaign_gone, taken (it belongs to a campaign), published (the campaign has another
    coupon at this account), closed, missing, unread, in_doubt.
    """
    coupon = RemoteCoupon.objects.select_for_update().filter(pk=coupon_id).first()
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if coupon is None:
        raise SyncError("coupon_gone", _("This coupon isn't known here any more."))
    if campaign is None:
        raise SyncError("campaign_gone", _("This campaign has been deleted."))
    if coupon.publication is not None:
        if coupon.publication.is_adopted and coupon.campaign_id == campaign_id:
            return coupon.publication
        raise SyncError("taken", _("This coupon belongs to a campaign already."))
    _check_adoptable(coupon)
    return _adopt(coupon, campaign, by, clock())


def _check_adoptable(coupon: RemoteCoupon) -> None:
    if coupon.missing_since is not None:
        raise SyncError("missing", _("LINE doesn't have this coupon any more."))
    if coupon.told == CLOSED:
        words = _("This coupon is closed: nobody can get or use it any more.")
        raise SyncError("closed", words)
    if not terms_of(coupon.raw):
        words = _("LINE hasn't told yet what this coupon says. Look again first.")
        raise SyncError("unread", words)
    if _may_be_ours(coupon):
        words = _(
            "LINE hasn't said yet whether it made a coupon of this name for us, and this "
            "may be the one. Try again in some minutes."
        )
        raise SyncError("in_doubt", words)


def _may_be_ours(coupon: RemoteCoupon) -> bool:
    """Whether a creation of the same name got no answer: the next look decides that.

    Such a row had its first try before LINE can have made this coupon.
    """
    return RemoteCoupon.objects.filter(
        connection_id=coupon.connection_id,
        errand=RemoteCoupon.Errand.CREATE,
        first_try_at__isnull=False,
        publication__terms__title=coupon.title,
    ).exists()


def _adopt(
    coupon: RemoteCoupon, campaign: Campaign, by: User, at: datetime
) -> Publication:
    terms = terms_of(coupon.raw)
    try:
        with transaction.atomic():
            publication = Publication.objects.create(
                campaign=campaign,
                connection_id=coupon.connection_id,
                state=Publication.State.OPEN,
                is_adopted=True,
                terms=terms,
                options=_options_in(terms).to_json(),
                nonce=uuid4(),
                prepared_at=at,
                total=1,
                live=1,
                created_by=by,
            )
    except IntegrityError:
        words = _(
            "This campaign has a coupon at this LINE account already. Close that one "
            "first, or choose another campaign."
        )
        raise SyncError("published", words) from None
    RemoteCoupon.objects.filter(pk=coupon.pk).update(
        publication=publication, campaign=campaign, terms_no=publication.terms_no
    )
    coupon.publication, coupon.campaign = publication, campaign
    step = step_of(coupon, Step.Kind.ADOPTED, at, {"campaign": campaign.name[:60]})
    step.by = by
    step.save()
    look_again(publication, at)
    return publication


def _options_in(terms: dict[str, Any]) -> LineOptions:
    """What somebody chose in LINE's manager, as far as it can be chosen here too."""
    found = flat(terms)
    visibility = found.get("visibility")
    probability = found.get("acquisitionCondition.lotteryProbability")
    most = found.get("acquisitionCondition.maxAcquireCount")
    try:
        return LineOptions(
            visibility=visibility if visibility in VISIBILITIES else VISIBILITIES[0],
            probability=probability,
            most_winners=None if most == -1 else most,
        )
    except (TypeError, ValueError):  # LINE's manager may allow more than its API
        return LineOptions()


@transaction.atomic
def let_go(coupon_id: int, *, by: User, clock: Clock = timezone.now) -> RemoteCoupon:
    """Undo `adopt`: nothing changes at LINE. Raises SyncError: not_adopted, busy."""
    coupon = RemoteCoupon.objects.select_for_update().filter(pk=coupon_id).first()
    publication = coupon.publication if coupon else None
    if coupon is None or publication is None or not publication.is_adopted:
        words = _("This coupon wasn't taken over from LINE's manager.")
        raise SyncError("not_adopted", words)
    at = clock()
    is_open = publication.state == Publication.State.OPEN
    if coupon.errand or not is_open or not _let_go(publication, at):
        words = _("It is being taken back at LINE. Look again in a minute.")
        raise SyncError("busy", words)
    step = step_of(
        coupon, Step.Kind.LET_GO, at, {"campaign": str(publication.campaign)}
    )
    step.by = by
    step.save()
    open_ones = Difference.objects.filter(publication=publication, ended_at=None)
    open_ones.update(ended_at=at, ended_how="let_go", ended_by=by)
    coupon.publication = coupon.campaign = None
    coupon.save(update_fields=["publication", "campaign"])
    return coupon


def _let_go(publication: Publication, at: datetime) -> bool:
    """Closed, and without a coupon: there was none that it could count."""
    return publication.move(
        (Publication.State.OPEN,),
        Publication.State.CLOSED,
        closed_at=at,
        total=0,
        live=0,
        gone=0,
        refused=0,
        unknown=0,
    )
