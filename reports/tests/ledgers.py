"""A small ledger in every state, made by the services alone."""

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.models import Campaign
from contacts.models import Contact
from coupons.limiting import set_total_limit
from coupons.models import Coupon
from coupons.services import (
    open_coupon,
    redeem,
    reissue,
    revoke,
    scan,
    undo,
    verify,
)
from deliveries.models import Delivery, Dispatch, Result
from deliveries.preparing import prepare
from deliveries.services import start_delivery
from deliveries.settling import settle
from serials import importing
from serials.services import void
from stores.models import Store
from sync.mirroring import mirror
from sync.uses import Told, note_count, note_use
from testing.factories import (
    TEST,
    make_campaign,
    make_connection,
    make_contact,
    make_contacts,
    make_coupon,
    make_fixed_batch,
    make_list,
    make_publication,
    make_remote_coupon,
    make_serials,
    make_store,
    make_user,
)

LEASE = timedelta(seconds=30)


@dataclass(frozen=True)
class Ledger:
    """Some of what is in it, by name."""

    coupons: SimpleNamespace
    campaign: Campaign  # serials of its own
    fixed: Campaign  # one text, a stock and a limit in total
    store: Store
    clerk: User
    done: Delivery
    under_way: Delivery


def make_ledger() -> Ledger:
    clerk = make_user("Store staff", username="ledger-clerk")
    store = make_store(clerk, name="Ledger Street")
    account = make_connection()
    campaign = make_campaign(limit_per_contact=3)
    make_serials(campaign, 8)
    make_fixed_batch(campaign, code="AFTERWARDS", quantity=None, position=9)
    unwanted = make_serials(campaign, 3, position=8)
    void(unwanted)
    importing.run(unwanted.pk)
    fixed = make_campaign()
    make_fixed_batch(fixed, quantity=50)
    set_total_limit(fixed, 40)
    coupons = SimpleNamespace(
        issued=make_coupon(campaign),
        sent=make_coupon(campaign, status="sent"),
        opened=make_coupon(campaign, status="sent"),
        redeemed=make_coupon(campaign, _contact(account), status="redeemed"),
        verified=make_coupon(campaign, _contact(account), status="redeemed"),
        undone=make_coupon(campaign, _contact(account), status="redeemed"),
        revoked=make_coupon(campaign, _contact(account), status="redeemed"),
        withdrawn=make_coupon(campaign, _contact(account), status="sent"),
        fixed=make_coupon(fixed, _contact(account), status="redeemed"),
        fixed_verified=make_coupon(fixed, status="redeemed"),
    )
    open_coupon(coupons.opened.token, source=TEST)
    _verify(coupons, store, clerk)
    for coupon in (coupons.revoked, coupons.withdrawn):
        revoke(coupon.pk, source=TEST, reason="lost phone")
    coupons.replacement = reissue(coupons.revoked.pk, source=TEST, is_handed_over=True)
    redeem(coupons.replacement.token, source=TEST)
    for coupon in vars(coupons).values():
        coupon.refresh_from_db()
    done = _send(campaign, account, 4, clerk)
    _settle(done, ["accepted", "accepted", "refused", "unknown"])
    under_way = _send(campaign, account, 3, clerk)
    _settle(under_way, ["accepted"])
    Dispatch.objects.claim(1, of=[under_way.pk], now=timezone.now(), lease=LEASE)
    redeem(_first_sent(done).token, source=TEST)
    _use_elsewhere()
    return Ledger(coupons, campaign, fixed, store, clerk, _fresh(done), under_way)


def _contact(account) -> Contact:
    return make_contact(account, name="Canary Name")


def _verify(coupons: SimpleNamespace, store: Store, clerk: User) -> None:
    """Taken by scan, refused when scanned again; taken, undone and taken once more."""
    code = coupons.verified.serial.code
    for _ in range(2):
        scan(code, store=store, staff=clerk, nonce=uuid4())
    for _ in range(2):
        verification = verify(coupons.undone.pk, store=store, staff=clerk)
        undo(verification.pk, by=clerk, reason="wrong coupon", is_manager=False)
    verify(coupons.undone.pk, store=store, staff=clerk)
    number = coupons.fixed_verified.number
    scan(number, store=store, staff=clerk, nonce=uuid4())


def _send(campaign: Campaign, account, count: int, by: User) -> Delivery:
    delivery = start_delivery(
        campaign,
        account,
        contact_list=make_list(*make_contacts(account, count)),
        nonce=uuid4(),
        by=by,
    )
    prepare(delivery.pk)
    return _fresh(delivery)


def _use_elsewhere() -> None:
    """At Paddle: before it was handed out, after, twice, counted, not ours.

    And at Vivoldi, told by us.
    """
    campaign = make_campaign()
    serials = list(make_serials(campaign, 3).serials.order_by("pos"))
    fixed = make_fixed_batch(campaign, code="EVERYONE", quantity=None, position=9)
    paddle = make_connection(provider="paddle", account_id="4711")
    vivoldi = make_connection(provider="vivoldi", account_id="")
    sold = make_publication(campaign, paddle, live=4, prepared_at=timezone.now())
    shown = make_publication(
        campaign, vivoldi, live=3, prepared_at=timezone.now(), is_mirrored=True
    )
    for serial in serials:
        make_remote_coupon(sold, serial=serial, remote_id=serial.code)
        make_remote_coupon(shown, serial=serial, remote_id=serial.code)
    remote = make_remote_coupon(sold, batch=fixed, remote_id=fixed.code)
    note_use(Told(paddle.pk, serials[0].code, "order:1", timezone.now()))
    coupon = make_coupon(campaign, status="redeemed")
    for order in ("order:2", "order:3"):
        note_use(Told(paddle.pk, serials[1].code, order, timezone.now()))
    note_count(remote.pk, 7)
    note_use(Told(paddle.pk, fixed.code, "order:4", timezone.now()))
    note_use(Told(paddle.pk, "NOT-OURS", "order:5", timezone.now()))
    coupon.refresh_from_db()
    if mirror() != 1 or coupon.status != coupon.Status.VERIFIED:
        raise AssertionError("the ledger is not what it is meant to be")


def _settle(delivery: Delivery, statuses: list[str]) -> None:
    """What a worker stores once LINE has answered so."""
    now = timezone.now()
    rows = Dispatch.objects.claim(len(statuses), of=[delivery.pk], now=now, lease=LEASE)
    settle(
        [Result(row, status, now) for row, status in zip(rows, statuses, strict=True)],
        at=now,
    )


def _fresh(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def _first_sent(delivery: Delivery) -> Coupon:
    return Coupon.objects.filter(
        recipient__delivery=delivery, recipient__outcome="accepted"
    ).earliest("pk")
