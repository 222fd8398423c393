"""What people ask of publications: publish, change, take back, replace, pause, decide."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from connections.models import SECRETS, Connection
from deliveries.models import Delivery
from deliveries.services import cancel_native
from serials.models import Batch, Serial
from serials.waking import nudge
from stores.naming import name_of
from sync.errors import SyncError
from sync.models import Publication, RemoteCoupon, Step
from sync.options import (
    OF_PROVIDER,
    LineOptions,
    Options,
    VivoldiOptions,
    options_from,
)
from sync.publishing.retrying import ask_again
from sync.publishing.settling import count, locked
from sync.publishing.spending import usable_again
from sync.publishing.terms import terms_of, unchangeable
from sync.tasks import publish_prepare, publish_work

Clock = Callable[[], datetime]
Provider = Connection.Provider
State = Publication.State
Status = RemoteCoupon.Status
Errand = RemoteCoupon.Errand

MOST_RETRIED = 20_000  # coupons of one press


@dataclass(frozen=True)
class Lost:
    """What customers lose when a publication is taken back; for the page before it.

    `used` is None where the provider tells no uses. `deliveries` are those of LINE's
    own coupon that are still going out, and get cancelled. `holders_lose`: what people
    hold already stops working too.
    """

    live: int
    waiting: int
    used: int | None
    deliveries: int
    holders_lose: bool


# --- publishing -------------------------------------------------------------------------


def publish(
    campaign_id: int,
    connection_id: int,
    *,
    options: Options,
    by: User | None,
    nonce: UUID,
    clock: Clock = timezone.now,
) -> Publication:
    """Publish a campaign at an account; the same nonce is the same publication.

    The pre-flight is made again and its terms are fixed here, behind the campaign's lock:
    whoever saves it waits, or is waited for. Rows and requests come from workers. Raises
    SyncError: impossible (with the pre-flight's words), already, campaign_draft,
    campaign_paused, campaign_ended, connection_paused, wrong_options, password_missing,
    gone.
    """
    earlier = Publication.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    try:
        with transaction.atomic():
            new, now = _new(campaign_id, connection_id, options, by, nonce, clock)
            _check_free(new)
            new.save(force_insert=True)
            _note(new, Step.Kind.PUBLISHED, by, now)
            _wake(new.pk)
    except (IntegrityError, SyncError) as error:
        # Pressed twice at the same moment, or by two people.
        found = Publication.objects.filter(nonce=nonce).first()
        if found is not None:
            return found
        raise error if isinstance(error, SyncError) else _already() from None
    return new


def _new(
    campaign_id: int,
    connection_id: int,
    options: Options,
    by: User | None,
    nonce: UUID,
    clock: Clock,
) -> tuple[Publication, datetime]:
    """A publication that may be saved, and when its terms were fixed.

    Its campaign is locked until the commit.
    """
    campaign, connection = _locked_campaign(campaign_id), _account(connection_id)
    now = clock()
    if campaign is None or connection is None:
        raise SyncError(
            "gone", _("The campaign or the account was deleted. Start again.")
        )
    _check_campaign(campaign)
    _check_connection(connection)
    _check_options(campaign, connection, options)
    own = options if isinstance(options, VivoldiOptions) else VivoldiOptions()
    new = Publication(
        campaign=campaign,
        connection=connection,
        terms=terms_of(campaign, connection, options, at=now),
        options=options.to_json(),
        onsite_password=own.onsite_password,
        is_mirrored=own.is_mirrored,
        nonce=nonce,
        created_by=by,
    )
    return new, now


def _locked_campaign(campaign_id: int) -> Campaign | None:
    """The campaign, after a publication's lock where there is one: what is read of it
    until the commit belongs together, and nobody sends terms that are older."""
    rows = Campaign.objects.select_for_update(no_key=True, of=("self",))
    return rows.filter(pk=campaign_id).first()


def _account(connection_id: int) -> Connection | None:
    return Connection.objects.defer(*SECRETS).filter(pk=connection_id).first()


def _check_campaign(campaign: Campaign) -> None:
    words = {
        Campaign.State.DRAFT: _("This campaign is a draft. Activate it first."),
        Campaign.State.PAUSED: _("This campaign is paused. Resume it first."),
        Campaign.State.ENDED: _("This campaign has ended: it can't be published."),
    }
    state = Campaign.State(campaign.state)
    if state in words:
        raise SyncError(f"campaign_{state.value}", words[state])


def _check_connection(connection: Connection) -> None:
    if connection.state == Connection.State.PAUSED:
        raise SyncError(
            "connection_paused",
            _("This account is paused: %(why)s Resume it first, on its own page.")
            % {"why": connection.pause_reason},
        )


def _check_options(
    campaign: Campaign, connection: Connection, options: Options
) -> None:
    if not isinstance(options, OF_PROVIDER[connection.provider]):
        raise SyncError(
            "wrong_options", _("This account is at another provider. Start again.")
        )
    is_asked = campaign.verified_on_page == "password"
    if isinstance(options, VivoldiOptions) and is_asked and not options.onsite_password:
        raise SyncError(
            "password_missing",
            _("Type the password that store staff enter on Vivoldi's page."),
        )


def _check_free(new: Publication) -> None:
    """A code has to be gone from there before it can be published there again."""
    others = Publication.objects.filter(
        campaign_id=new.campaign_id, connection_id=new.connection_id
    ).exclude(state=State.CLOSED)
    other = others.defer("onsite_password").order_by("-pk").first()
    if other is None:
        return
    if other.state == State.CLOSING:
        raise SyncError(
            "already",
            _("It is still being taken back there. Wait until that is done."),
        )
    raise _already()


def _already() -> SyncError:
    return SyncError(
        "already", _("This campaign is published at this account already.")
    )


def _note(
    publication: Publication,
    kind: Step.Kind,
    by: User | None,
    at: datetime,
    coupon: RemoteCoupon | None = None,
    **facts: Any,
) -> None:
    Step.objects.create(
        connection_id=publication.connection_id,
        publication=publication,
        coupon=coupon,
        kind=kind,
        facts=facts,
        by=by,
        at=at,
    )


def _wake(publication_id: int) -> None:
    transaction.on_commit(lambda: nudge(publish_prepare, publication_id), robust=True)


def _wake_account(connection_id: int) -> None:
    transaction.on_commit(lambda: nudge(publish_work, connection_id), robust=True)


# --- afterwards -------------------------------------------------------------------------


@transaction.atomic
def top_up(
    publication_id: int, *, by: User | None, clock: Clock = timezone.now
) -> None:
    """Publish serials that have come since, too. Raises SyncError: wrong_state, not_codes."""
    found = _locked(publication_id, (State.OPEN,))
    if found.connection.provider == Provider.LINE:
        raise SyncError(
            "not_codes",
            _("LINE's coupon is one for everybody: there is no more of it."),
        )
    Publication.objects.filter(pk=found.pk).update(
        frozen_to="", prepared_at=None, leased_until=None
    )
    _note(found, Step.Kind.PUBLISHED, by, clock(), more=True)
    _wake(found.pk)


def newcomers(publication: Publication) -> int:
    """About how many serials a `top_up` would publish."""
    if publication.connection.provider == Provider.LINE or not publication.prepared_at:
        return 0
    ready = Batch.objects.filter(
        campaign=publication.campaign_id, state=Batch.State.READY
    ).alias(since=Coalesce("ready_at", "created_at"))
    new = list(ready.filter(since__gt=publication.created_at))
    # Most have none, and then nobody need read the history.
    if new:
        new = list(ready.filter(since__gt=_pressed_at(publication)))
    count = sum(_unpublished(publication, batch) for batch in new)
    return count + usable_again(publication, apart_from=[batch.pk for batch in new])


def _pressed_at(publication: Publication) -> datetime:
    """When somebody last asked for all its serials to be published."""
    presses = Step.objects.filter(publication=publication, kind=Step.Kind.PUBLISHED)
    last = presses.order_by("-pk").values_list("at", flat=True).first()
    return last or publication.created_at


def _unpublished(publication: Publication, batch: Batch) -> int:
    """How many of its codes have no row: counted where it came beside the walk, of
    which nobody knows how far it was by then."""
    since, prepared_at = batch.ready_at or batch.created_at, publication.prepared_at
    if prepared_at is not None and since > prepared_at:
        return 1 if batch.is_fixed else batch.total - batch.voided
    rows = RemoteCoupon.objects.filter(publication=publication)
    if batch.is_fixed:
        return int(not rows.filter(batch=batch).exists())
    serials = Serial.objects.filter(batch=batch).exclude(state=Serial.State.VOID)
    return serials.filter(~Exists(rows.filter(serial=OuterRef("pk")))).count()


@transaction.atomic
def close(publication_id: int, *, by: User | None, clock: Clock = timezone.now) -> None:
    """Take all of it back. Raises SyncError: wrong_state."""
    found = _locked(publication_id, (State.PREPARING, State.OPEN))
    now = clock()
    _close(found)
    _note(found, Step.Kind.CLOSED, by, now)


def _close(found: Publication) -> None:
    found.move(
        (State.PREPARING, State.OPEN),
        State.CLOSING,
        pause_reason="",
        leased_until=None,
        is_changing=False,
        is_clearing=False,
    )
    if found.connection.provider == Provider.LINE:
        for coupon_id in _ids_at_line(found):
            cancel_native(coupon_id, reason=_("The coupon on LINE was taken back."))
    _wake(found.pk)


def _ids_at_line(publication: Publication) -> list[str]:
    rows = RemoteCoupon.objects.filter(publication=publication).exclude(remote_id="")
    return list(rows.values_list("remote_id", flat=True))


def send_terms(
    publication_id: int, *, by: User | None, clock: Clock = timezone.now
) -> None:
    """Send the campaign's terms as they are now.

    Raises SyncError: wrong_state, impossible, unchanged, cannot_change (LINE always;
    elsewhere some fields).
    """
    seen = _found(publication_id)
    if seen.connection.provider == Provider.LINE:
        raise SyncError(
            "cannot_change",
            _("LINE's coupons can't be changed: close it and make it again."),
        )
    with transaction.atomic():
        found = _locked(publication_id, (State.OPEN,))
        now, terms = _terms_now(found, seen.connection, clock)
        _check_change(found, terms)
        # Its lease stays: a group's update that is under way must not come last.
        Publication.objects.filter(pk=found.pk).update(
            terms=terms, terms_no=found.terms_no + 1, is_changing=True
        )
        fields = sorted(
            name
            for name in {*terms, *found.terms}
            if terms.get(name) != found.terms.get(name)
        )
        _note(found, Step.Kind.CHANGED, by, now, fields=fields)
        _wake(found.pk)


def _terms_now(
    found: Publication, connection: Connection, clock: Clock
) -> tuple[datetime, dict[str, Any]]:
    """What the campaign of a locked publication says; computed before the lock, it could
    be older than what another press has sent meanwhile."""
    campaign = _locked_campaign(found.campaign_id)
    if campaign is None:
        raise _wrong_state()
    now = clock()
    options = options_from(connection.provider, found.options)
    return now, terms_of(campaign, connection, options, at=now)


def _check_change(found: Publication, terms: dict[str, Any]) -> None:
    if terms == found.terms:
        raise SyncError("unchanged", _("Nothing has changed that is sent there."))
    fixed = unchangeable(found.connection.provider, found.terms, terms)
    if fixed:
        raise SyncError(
            "cannot_change",
            _(
                "%(fields)s can't be changed there. Take the publication back and "
                "publish the campaign again."
            )
            % {"fields": ", ".join(fixed)},
        )


def replace(
    publication_id: int,
    *,
    options: LineOptions,
    by: User | None,
    nonce: UUID,
    clock: Clock = timezone.now,
) -> Publication:
    """LINE: discontinue what is there, then make it again as the campaign is now.

    Returns the new publication, which waits until the old one is closed; the same nonce
    is the same one. Raises SyncError as publish does, and wrong_state.
    """
    earlier = Publication.objects.filter(nonce=nonce).first()
    if earlier is not None:
        return earlier
    try:
        with transaction.atomic():
            old = _locked(publication_id, (State.OPEN,))
            new, now = _new(
                old.campaign_id, old.connection_id, options, by, nonce, clock
            )
            _close(old)
            new.replaces = old
            new.save(force_insert=True)
            _note(old, Step.Kind.REPLACED, by, now)
            _note(new, Step.Kind.PUBLISHED, by, now, replaces=old.pk)
    except SyncError:  # or the same press, a moment earlier
        found = Publication.objects.filter(nonce=nonce).first()
        if found is None:
            raise
        return found
    return new


@transaction.atomic
def pause(publication_id: int, *, by: User, clock: Clock = timezone.now) -> None:
    """Let workers leave it alone. Raises SyncError: wrong_state."""
    found = _locked(publication_id, Publication.CURRENT)
    if found.pause_reason:
        raise _wrong_state()
    words = _("Paused by %(name)s.") % {"name": name_of(by)}
    Publication.objects.filter(pk=found.pk).update(pause_reason=words[:300])
    _note(found, Step.Kind.PAUSED, by, clock())


@transaction.atomic
def resume(
    publication_id: int, *, by: User | None, clock: Clock = timezone.now
) -> None:
    """Let workers go on. Raises SyncError: wrong_state."""
    found = _locked(publication_id, Publication.CURRENT)
    if not found.pause_reason:
        raise _wrong_state()
    Publication.objects.filter(pk=found.pk).update(pause_reason="")
    _note(found, Step.Kind.RESUMED, by, clock())
    _wake(found.pk)
    _wake_account(found.connection_id)


# --- what went wrong --------------------------------------------------------------------


@transaction.atomic
def retry(
    publication_id: int,
    *,
    coupon_ids: Iterable[int] | None = None,
    by: User | None,
    clock: Clock = timezone.now,
) -> int:
    """Try refused and unclear coupons again, these or all; how many.

    Changes and taking back that were refused too; an unclear coupon is looked up first.
    At most MOST_RETRIED at once. Raises SyncError: wrong_state, nothing.
    """
    found = _locked(publication_id, Publication.CURRENT)
    now = clock()
    ids = None if coupon_ids is None else list(coupon_ids)
    retried, moved = ask_again(found, ids, limit=MOST_RETRIED, at=now)
    if not retried:
        raise SyncError("nothing", _("There is nothing to try again."))
    count(found.pk, moved, at=now)
    _note(found, Step.Kind.RETRIED, by, now, count=retried)
    _wake(found.pk)
    _wake_account(found.connection_id)
    return retried


@transaction.atomic
def decide(
    coupon_id: int, *, is_there: bool, by: User, clock: Clock = timezone.now
) -> RemoteCoupon:
    """Settle an unclear coupon by what a person has seen at the provider.

    Of a use that is in doubt, `is_there` says that it was counted there. Raises
    SyncError: wrong_state (it is not unclear, or no longer).
    """
    seen = RemoteCoupon.objects.filter(pk=coupon_id).first()
    if seen is None or seen.publication_id is None:
        raise _wrong_state()
    found = _locked(seen.publication_id, Publication.CURRENT)
    rows = RemoteCoupon.objects.select_for_update(of=("self",))
    row = rows.get(pk=coupon_id)
    if row.status != Status.UNKNOWN:
        raise _wrong_state()
    now = clock()
    changes = _decided(row, found, is_there, now)
    RemoteCoupon.objects.filter(pk=row.pk, status=Status.UNKNOWN).update(**changes)
    moved = Counter({(found.pk, str(row.status), str(changes["status"])): 1})
    count(found.pk, moved, at=now)
    _note(found, Step.Kind.DECIDED, by, now, coupon=row, is_there=is_there)
    _wake_account(found.connection_id)
    return RemoteCoupon.objects.get(pk=row.pk)


def _decided(
    row: RemoteCoupon, publication: Publication, is_there: bool, now: datetime
) -> dict[str, Any]:
    idle = {"errand": "", "next_try_at": None, "first_try_at": None, "failures": 0}
    use = row.own.get("redeem")
    is_closing = publication.state == State.CLOSING
    if use is not None and not is_there:  # it exists, and the use is told once more
        again = {key: value for key, value in use.items() if key != "uses_before"}
        own = {**row.own, "redeem": again}
        return {**idle, "status": Status.LIVE, "own": own} | _to_do(Errand.REDEEM, now)
    if is_there:
        own = {key: value for key, value in row.own.items() if key != "redeem"}
        there = {**idle, "status": Status.LIVE, "own": own, "detail": ""}
        if use is None:
            there["terms_no"] = publication.terms_no
        return there | (_to_do(Errand.DELETE, now) if is_closing else {})
    if is_closing:
        return {**idle, "status": Status.GONE, "gone_at": now}
    return {**idle, "status": Status.WAITING} | _to_do(Errand.CREATE, now)


def _to_do(errand: Errand, at: datetime) -> dict[str, Any]:
    return {"errand": errand, "next_try_at": at}


def what_is_lost(publication: Publication) -> Lost:
    """What taking it back costs, for the page before it."""
    is_line = publication.connection.provider == Provider.LINE
    there = RemoteCoupon.objects.filter(publication=publication, status=Status.LIVE)
    used = None if is_line else there.aggregate(n=Sum("used", default=0))["n"]
    going = Delivery.objects.filter(
        native_coupon_id__in=_ids_at_line(publication) if is_line else [],
        state__in=Delivery.OPEN,
    )
    return Lost(
        live=publication.live,
        waiting=publication.waiting,
        used=used,
        deliveries=going.count(),
        holders_lose=is_line,
    )


# --- shared -----------------------------------------------------------------------------


def _found(publication_id: int) -> Publication:
    rows = Publication.objects.defer("onsite_password").filter(pk=publication_id)
    found = rows.select_related("campaign", "connection").first()
    if found is None:
        raise _wrong_state()
    return found


def _locked(publication_id: int, states: Iterable[State]) -> Publication:
    """The publication, locked, in one of these states."""
    found = locked([publication_id]).get(publication_id)
    if found is None or found.state not in tuple(states):
        raise _wrong_state()
    return found


def _wrong_state() -> SyncError:
    return SyncError(
        "wrong_state",
        _("This publication is in another state by now. Look at it again."),
    )
