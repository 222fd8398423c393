"""The whole life of coupons, played at random against a model of the state table.

The model knows nothing of the code: it says for every step what has to come out of it,
and after every step the tables have to read as the model does.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from campaigns.errors import CampaignError
from campaigns.models import Campaign, TotalLimit
from campaigns.services import move
from contacts.models import Contact
from coupons import services
from coupons.errors import CouponError
from coupons.limiting import set_total_limit
from coupons.models import Attempt, ContactUse, Coupon, Event, Tally, Verification
from reports.ledger import find_breaks
from serials.models import Serial, Stock
from stores.models import Store
from testing.factories import (
    TEST,
    instant,
    make_campaign,
    make_connection,
    make_contact,
    make_fixed_batch,
    make_serials,
    make_store,
    make_user,
)

HOW_MUCH = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "30")),
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
NOON = instant("2026-05-01 12:00")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
UNDO_OWN = 10 * MINUTE


# --- the model: the state table --------------------------------------------------------


@dataclass
class ModelBatch:
    pk: int
    code: str  # of a fixed one
    codes: list[str]  # of a one-time one, those still free
    left: int | None  # None: no end to it
    given: int = 0

    @property
    def is_fixed(self):
        return bool(self.code)


@dataclass
class ModelCampaign:
    pk: int
    state: str
    use: tuple[datetime, datetime]
    send: tuple[datetime, datetime]
    expiry: str
    interval: timedelta
    needs_verifying: bool
    has_button: bool  # on the customer's page
    stores: set[int]  # none: all
    limit: int
    quota: int | None
    batches: list[ModelBatch] = field(default_factory=list)

    def takes(self, store):
        return not self.stores or store in self.stores


@dataclass
class ModelVerification:
    pk: int
    store: int
    staff: int | None  # on the customer's page nobody has a name
    at: datetime
    undone_at: datetime | None = None


@dataclass(eq=False)
class ModelCoupon:
    pk: int
    token: str
    number: str
    campaign: ModelCampaign
    contact: int | None
    issued_at: datetime
    ends_at: datetime
    status: str = "issued"
    sent_at: datetime | None = None
    opened_at: datetime | None = None
    redeemed_at: datetime | None = None
    revoked_at: datetime | None = None
    batch: ModelBatch | None = None
    code: str = ""
    replaces: "ModelCoupon | None" = None
    steps: list[str] = field(default_factory=lambda: ["issued"])
    verifications: list[ModelVerification] = field(default_factory=list)

    @property
    def live(self):
        return next((v for v in self.verifications if v.undone_at is None), None)

    @property
    def is_held(self):
        """Whether it counts against the limits."""
        return self.status in ("redeemed", "verified")


class Model:
    """What the state table says; refusals by their codes, None for a yes."""

    def __init__(self) -> None:
        self.now = NOON
        self.campaigns: list[ModelCampaign] = []
        self.coupons: list[ModelCoupon] = []
        self.answers: dict[object, tuple[str, int | None, int | None]] = {}
        self.attempts = 0

    def held(self, campaign, contact=None):
        return sum(
            c.is_held and c.campaign is campaign and contact in (None, c.contact)
            for c in self.coupons
        )

    # What is refused, and why.

    def why_not_issue(self, campaign):
        if refusal := self.why_not_running(campaign):
            return refusal
        if self.now < campaign.send[0]:
            return "not_started"
        return (
            "campaign_ended"
            if self.now >= min(campaign.send[1], campaign.use[1])
            else None
        )

    def why_not_running(self, campaign):
        return {"paused": "campaign_paused", "ended": "campaign_ended"}.get(
            campaign.state
        )

    def why_not_redeem(self, coupon):
        campaign = coupon.campaign
        if coupon.status == "revoked":
            return "revoked"
        if self.now >= coupon.ends_at:
            return "expired"
        if refusal := self.why_not_running(campaign):
            return refusal
        if self.now < campaign.use[0]:
            return "not_started"
        own = self.held(campaign, coupon.contact) if coupon.contact else 0
        if coupon.contact and campaign.limit and own >= campaign.limit:
            return "limit_reached"
        if not self.next_batch(campaign):
            return "out_of_stock"
        if campaign.quota is not None and self.held(campaign) >= campaign.quota:
            return "limit_reached"
        return None

    def why_not_press(self, coupon):
        """As `why_not_redeem`; who holds the serial already needs no hope."""
        return "held" if coupon.is_held else self.why_not_redeem(coupon)

    def next_batch(self, campaign):
        return next((batch for batch in campaign.batches if batch.left != 0), None)

    def why_not_verify(self, coupon, store):
        if not coupon.campaign.takes(store):
            return "wrong_store"
        if not coupon.campaign.needs_verifying:
            return "not_needed"
        if coupon.status in ("revoked", "verified"):
            return {"revoked": "revoked", "verified": "already_verified"}[coupon.status]
        if self.now >= coupon.ends_at:
            return "expired"
        return None if coupon.status == "redeemed" else "not_redeemed"

    def why_not_press_used(self, coupon, store):
        """As `why_not_verify`, by the button on the customer's page."""
        campaign = coupon.campaign
        is_asked = campaign.takes(store) and campaign.needs_verifying
        if is_asked and not campaign.has_button:
            return "conflict"
        return self.why_not_verify(coupon, store)

    def why_not_undo(self, coupon, verification, *, by, is_manager):
        if verification.undone_at:
            return "conflict"
        if self.now >= coupon.ends_at:
            return "expired"
        is_own = by == verification.staff and self.now < verification.at + UNDO_OWN
        return None if is_manager or is_own else "too_late"

    def why_nothing_more(self, coupon):
        is_over = coupon.status == "revoked" or self.now >= coupon.ends_at
        return "over" if is_over else None

    def why_not_revoke(self, coupon):
        return {"revoked": "revoked", "verified": "already_verified"}.get(coupon.status)

    def why_not_reissue(self, coupon):
        is_replaced = any(c.replaces is coupon for c in self.coupons)
        if coupon.status != "revoked" or is_replaced:
            return "conflict"
        return self.why_not_issue(coupon.campaign)

    def found(self, text, store):
        """The coupon that a scanned text names, or the refusal."""
        for coupon in self.coupons:
            if text in (coupon.number, f"http://testserver/c/{coupon.token}"):
                return coupon
        carrying = [c for c in self.coupons if c.code and c.code == text]
        live = [c for c in carrying if c.status != "revoked"]
        single = [c for c in carrying if not c.batch.is_fixed]
        for among in (live, single):
            here = [c for c in among if c.campaign.takes(store)]
            if hits := here or among:
                return hits[0] if len(hits) == 1 else "ambiguous"
        return "invalid"

    # What a yes changes.

    def send(self, coupon):
        if coupon.sent_at:
            return
        coupon.sent_at = self.now
        coupon.steps.append("sent")
        self.start_clock(coupon, "from_sending")
        if coupon.status == "issued":
            coupon.status = "sent"

    def start_clock(self, coupon, expiry):
        if coupon.campaign.expiry == expiry:
            coupon.ends_at = min(coupon.ends_at, self.now + coupon.campaign.interval)

    def open(self, coupon):
        if coupon.status in ("issued", "sent"):
            coupon.status, coupon.opened_at = "opened", self.now
            coupon.steps.append("opened")

    def redeem(self, coupon):
        self.open(coupon)
        coupon.status, coupon.redeemed_at = "redeemed", self.now
        coupon.steps.append("redeemed")
        self.start_clock(coupon, "from_redemption")
        batch = coupon.batch = self.next_batch(coupon.campaign)
        coupon.code = batch.code or batch.codes.pop(0)
        batch.given += 1
        if batch.left is not None:
            batch.left -= 1

    def verify(self, coupon, pk, store, staff):
        coupon.status = "verified"
        coupon.steps.append("verified")
        coupon.verifications.append(ModelVerification(pk, store, staff, self.now))

    def undo(self, coupon, verification):
        coupon.status = "redeemed"
        coupon.steps.append("undone")
        verification.undone_at = self.now

    def revoke(self, coupon):
        coupon.status, coupon.revoked_at = "revoked", self.now
        coupon.steps.append("revoked")

    def edges(self):
        """The instants to come at which an answer changes."""
        times = [at for g in self.campaigns for at in (*g.use, *g.send)]
        times += [c.ends_at for c in self.coupons]
        times += [v.at + UNDO_OWN for c in self.coupons for v in c.verifications]
        return sorted({at for at in times if at > self.now})


# --- the machine -----------------------------------------------------------------------


def verifying_of(campaign):
    if not campaign.needs_verifying:
        return "none"
    return "button" if campaign.has_button else "scan"


which = st.integers(0, 1)  # of two campaigns, contacts, stores or clerks
batches = st.one_of(
    st.just(("fixed", None)),
    st.tuples(st.just("fixed"), st.integers(1, 2)),
    st.tuples(st.just("one_time"), st.integers(1, 3)),
)
offers = st.fixed_dictionaries(
    {
        "limit": st.sampled_from([1, 2, 0]),
        "quota": st.sampled_from([None, None, 2, 3]),
        "expiry": st.sampled_from(["use_end", "from_sending", "from_redemption"]),
        "needs_verifying": st.sampled_from([True] * 5 + [False]),
        "has_button": st.booleans(),
        "only_first_store": st.booleans(),
        "sends_after": st.sampled_from([-HOUR, -HOUR, -HOUR, HOUR]),
        "used_after": st.sampled_from([-HOUR, -HOUR, -HOUR, HOUR]),
        # Sooner than a clock of three hours, or much later.
        "ends_after": st.sampled_from([timedelta(days=3), 2 * HOUR]),
        "stock": st.lists(batches, min_size=1, max_size=2),
    }
)
changes = st.one_of(
    st.tuples(st.just("add_stock"), batches),
    st.tuples(st.just("change_state"), st.sampled_from(["pause", "pause", "end"])),
    st.tuples(st.just("limit_in_total"), st.sampled_from([None, 0, 1, 2, 3, 4])),
    st.tuples(st.just("limit_in_total_anew"), st.integers(1, 4)),
    st.tuples(st.just("limit_per_contact"), st.integers(0, 2)),
    st.tuples(st.just("choose_stores"), st.sets(which)),
)
nth = st.integers(0, 9)
# Whether to choose among the coupons of which the model expects a yes.
hope = st.sampled_from([True, True, False])
spellings = st.sampled_from(["number", "link", "code", "code", "nothing"])
nonces = st.sampled_from(["new", "new", "the last again", "of another"])
has_coupons = precondition(lambda play: play.model.coupons)
has_verifications = precondition(
    lambda play: any(coupon.verifications for coupon in play.model.coupons)
)


class Play(RuleBasedStateMachine):
    """Each example plays in a savepoint of its own, which is rolled back."""

    def __init__(
        self, people: list[User], stores: list[Store], contacts: list[Contact]
    ) -> None:
        super().__init__()
        self.people, self.stores, self.contacts = people, stores, contacts
        self.model = Model()
        self.scans: list[tuple[tuple[str, int, int], int]] = []
        self.pages = 0  # shown with the button; each gives its press a nonce
        self.pressed: dict[tuple[int, int], ModelVerification] = {}
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def clock(self):
        return self.model.now

    def ask(self, expected, service, *args, **kwargs):
        """What the service returns; it has to refuse as the model expects."""
        answer = told = None
        try:
            answer = service(*args, **kwargs)
        except (CouponError, CampaignError) as refusal:
            told = refusal.code
        assert told == expected
        return answer

    # --- who does what ---

    @rule(number=which, contact=st.sampled_from([0, 1, None, None]))
    def staff_issue(self, number, contact):
        self.issue_to(self.campaign(number), [contact])

    @has_coupons
    @rule(what=st.sampled_from(["redeem"] * 4 + ["open", "sent"]), nth=nth, hope=hope)
    def a_customer(self, what, nth, hope):
        does = {"redeem": self.redeem, "open": self.open, "sent": self.mark_sent}
        does[what](nth, hope)

    @has_coupons
    @rule(nth=nth, hope=hope, store=which, clerk=which)
    def a_till_verifies(self, nth, hope, store, clerk):
        self.verify_one(self.pick_to_verify(nth, hope, store), store, clerk)

    @has_coupons
    @rule(nth=nth, hope=hope, store=which, clerk=which, by=spellings, nonce=nonces)
    def a_till_scans(self, nth, hope, store, clerk, by, nonce):
        self.scan(nth, hope, by, store, clerk, nonce)

    @has_coupons
    @rule(nth=nth, hope=hope, store=which, is_new_page=hope)
    def staff_press_used_on_the_page(self, nth, hope, store, is_new_page):
        place = self.stores[store].pk
        why_not = self.model.why_not_press_used
        coupon = self.pick(nth, hope, lambda c: why_not(c, place))
        self.pages += is_new_page
        self.press_used(coupon, place, self.pages)

    @precondition(lambda play: play.pressed)
    @rule(nth=nth, store=which)
    def a_page_that_was_pressed_is_sent_again(self, nth, store):
        page, pk = list(self.pressed)[nth % len(self.pressed)]
        coupon = next(c for c in self.model.coupons if c.pk == pk)
        self.press_used(coupon, self.stores[store].pk, page)

    @has_verifications
    @rule(nth=nth, is_newest=hope, by=which, is_manager=st.booleans())
    def somebody_takes_back(self, nth, is_newest, by, is_manager):
        verified = [c for c in self.model.coupons if c.verifications]
        coupon = verified[nth % len(verified)]
        verification = coupon.verifications[-1 if is_newest else 0]
        self.undo_one(coupon, verification, self.people[by], is_manager=is_manager)

    @has_coupons
    @rule(nth=nth, is_over=st.booleans(), is_manager=st.booleans())
    def somebody_comes_at_the_last_moment(self, nth, is_over, is_manager):
        """To the second when it ends what may be done next with a coupon, or just before."""
        coupon = self.pick(nth, True, self.model.why_nothing_more)
        ends_at = coupon.ends_at
        if coupon.live and not is_manager:
            ends_at = min(ends_at, coupon.live.at + UNDO_OWN)
        if not is_over:
            ends_at -= timedelta(seconds=1)
        self.model.now = max(self.model.now, ends_at)
        if coupon.live:
            who = coupon.live.staff
            person = next((p for p in self.people if p.pk == who), self.people[0])
            self.undo_one(coupon, coupon.live, person, is_manager=is_manager)
        elif coupon.status == "redeemed":
            takes = [coupon.campaign.takes(store.pk) for store in self.stores]
            self.verify_one(coupon, takes.index(True), 0)
        else:
            self.redeem_one(coupon)

    @has_coupons
    @rule(what=st.sampled_from(["revoke", "reissue"]), nth=nth, hope=hope, now=which)
    def a_manager(self, what, nth, hope, now):
        if what == "revoke":
            self.revoke(nth, hope)
        else:
            self.reissue(nth, hope, is_handed_over=bool(now))

    @rule(number=which, change=changes)
    def an_editor(self, number, change):
        what, value = change
        campaign = self.campaign(number)
        if campaign.state == "paused":  # else nothing much happens any more
            what, value = "change_state", "resume"
        ours = [c for c in self.model.coupons if c.campaign is campaign]
        hopeful = [c for c in ours if self.model.why_not_press(c) is None]
        getattr(self, what)(campaign, value)
        for coupon in hopeful[:1]:  # their pages were open when it changed
            self.redeem_one(coupon)

    # --- campaigns ---

    @initialize(
        drawn=st.lists(offers, min_size=1, max_size=2),
        is_early=st.booleans(),
    )
    def start(self, drawn, is_early):
        for offer in drawn:
            self.add_campaign(offer)
        issued = []
        for campaign in self.model.campaigns:
            if self.model.why_not_issue(campaign) is None:
                issued += self.issue_to(campaign, [0, 0, 1])
        if not is_early:  # most of the table lies behind Redeem
            for coupon in issued[:2]:
                self.redeem_one(coupon)

    def add_campaign(self, offer):
        model = ModelCampaign(
            pk=0,
            state="active",
            use=(NOON + offer["used_after"], NOON + offer["ends_after"]),
            send=(NOON + offer["sends_after"], NOON + timedelta(days=2)),
            expiry=offer["expiry"],
            interval=3 * HOUR,
            needs_verifying=offer["needs_verifying"],
            has_button=offer["has_button"],
            stores={self.stores[0].pk} if offer["only_first_store"] else set(),
            limit=offer["limit"],
            quota=offer["quota"],
        )
        campaign = make_campaign(
            *(store for store in self.stores if store.pk in model.stores),
            use_starts_at=model.use[0],
            use_ends_at=model.use[1],
            send_starts_at=model.send[0],
            send_ends_at=model.send[1],
            expiry=model.expiry,
            expiry_amount=3,
            expiry_unit="hours",
            verifying=verifying_of(model),
            limit_per_contact=model.limit,
        )
        if model.quota is not None:
            set_total_limit(campaign, model.quota)
        model.pk = campaign.pk
        self.model.campaigns.append(model)
        for kind, quantity in offer["stock"]:
            self.add_batch(model, kind, quantity)

    def add_batch(self, campaign, kind, quantity):
        row = Campaign.objects.get(pk=campaign.pk)
        if kind == "fixed":
            code = f"FIX-{campaign.pk}-{len(campaign.batches)}"
            batch = make_fixed_batch(row, code=code, quantity=quantity)
            codes = []
        else:
            batch, code = make_serials(row, quantity), ""
            codes = list(batch.serials.order_by("pos").values_list("code", flat=True))
        campaign.batches.append(ModelBatch(batch.pk, code, codes, quantity))

    def campaign(self, number):
        return self.model.campaigns[number % len(self.model.campaigns)]

    def add_stock(self, campaign, stock):
        self.add_batch(campaign, *stock)

    def change_state(self, campaign, action):
        was, to = {
            "pause": (["active"], "paused"),
            "resume": (["paused"], "active"),
            "end": (["active", "paused"], "ended"),
        }[action]
        expected = None if campaign.state in was else "wrong_state"
        self.ask(expected, move, campaign.pk, action)
        if expected is None:
            campaign.state = to

    def limit_in_total_anew(self, campaign, quota):
        self.limit_in_total(campaign, None)
        self.limit_in_total(campaign, quota)

    def limit_in_total(self, campaign, quota):
        is_low = quota is not None and quota < self.model.held(campaign)
        row = Campaign.objects.get(pk=campaign.pk)
        self.ask("limit_too_low" if is_low else None, set_total_limit, row, quota)
        if not is_low:
            campaign.quota = quota

    def limit_per_contact(self, campaign, limit):
        Campaign.objects.filter(pk=campaign.pk).update(limit_per_contact=limit)
        campaign.limit = limit

    def choose_stores(self, campaign, chosen):
        campaign.stores = {self.stores[n].pk for n in chosen}
        Campaign.objects.get(pk=campaign.pk).stores.set(campaign.stores)

    # --- time ---

    @rule(step=st.sampled_from([MINUTE, 9 * MINUTE, HOUR, None, None]), nth=which)
    def time_passes(self, step, nth):
        """By a step, or to the instant at which an answer changes, or just short of it."""
        edges = self.model.edges()
        if step is None and edges:
            self.model.now = max(self.model.now, edges[0] - nth * timedelta(seconds=1))
        else:
            self.model.now += step or MINUTE

    # --- issuing and sending ---

    def issue_to(self, campaign, contacts):
        """Issue to contacts by their places; None is nobody in particular."""
        row = Campaign.objects.get(pk=campaign.pk)
        holders = [None if n is None else self.contacts[n] for n in contacts]
        expected = self.model.why_not_issue(campaign)
        issued = self.ask(
            expected, services.issue, row, holders, source=TEST, clock=self.clock
        )
        return [self.add_coupon(campaign, coupon) for coupon in issued or []]

    def add_coupon(self, campaign, row, replaces=None):
        coupon = ModelCoupon(
            row.pk,
            row.token,
            row.number,
            campaign,
            row.contact_id,
            self.model.now,
            campaign.use[1],
            replaces=replaces,
        )
        self.model.coupons.append(coupon)
        return coupon

    def pick(self, nth, is_hopeful, why_not):
        """A coupon; where one is hopeful, one that `why_not` has nothing against."""
        coupons = self.model.coupons
        hopeful = [c for c in coupons if is_hopeful and why_not(c) is None]
        among = hopeful or coupons
        return among[nth % len(among)]

    def mark_sent(self, nth, is_hopeful):
        coupon = self.pick(nth, is_hopeful, lambda c: c.sent_at)
        services.mark_sent({coupon.pk: self.model.now}, source=TEST)
        self.model.send(coupon)

    def reissue(self, nth, is_hopeful, is_handed_over):
        coupon = self.pick(nth, is_hopeful, self.model.why_not_reissue)
        expected = self.model.why_not_reissue(coupon)
        row = self.ask(
            expected,
            services.reissue,
            coupon.pk,
            source=TEST,
            is_handed_over=is_handed_over,
            clock=self.clock,
        )
        if row is None:
            return
        new = self.add_coupon(coupon.campaign, row, replaces=coupon)
        assert new.contact == coupon.contact
        if is_handed_over:
            self.model.send(new)

    # --- the customer ---

    def open(self, nth, is_hopeful):
        coupon = self.pick(nth, is_hopeful, lambda c: c.opened_at)
        services.open_coupon(coupon.token, source=TEST, clock=self.clock)
        self.model.open(coupon)

    def redeem(self, nth, is_hopeful):
        self.redeem_one(self.pick(nth, is_hopeful, self.model.why_not_press))

    def redeem_one(self, coupon):
        is_repeat = coupon.is_held
        expected = None if is_repeat else self.model.why_not_redeem(coupon)
        row = self.ask(
            expected, services.redeem, coupon.token, source=TEST, clock=self.clock
        )
        if expected is not None:
            self.model.attempts += 1
        elif not is_repeat:
            self.model.redeem(coupon)
        assert row is None or row.code == coupon.code

    # --- the store ---

    def pick_to_verify(self, nth, is_hopeful, store):
        place = self.stores[store].pk
        return self.pick(nth, is_hopeful, lambda c: self.model.why_not_verify(c, place))

    def verify_one(self, coupon, store, clerk):
        expected = self.model.why_not_verify(coupon, self.stores[store].pk)
        verification = self.ask(
            expected,
            services.verify,
            coupon.pk,
            store=self.stores[store],
            staff=self.people[clerk],
            clock=self.clock,
        )
        if verification is not None:
            self.model.verify(
                coupon, verification.pk, self.stores[store].pk, self.people[clerk].pk
            )

    def press_used(self, coupon, store, page):
        """The button pressed, or a page that was pressed before sent once more."""
        earlier = self.pressed.get((page, coupon.pk))
        expected = self.model.why_not_press_used(coupon, store)
        is_repeat = earlier is not None and earlier.undone_at is None
        if is_repeat:
            expected = None
        elif earlier is not None and expected is None:  # it was taken back since
            expected = "conflict"
        press = services.Press(
            token=coupon.token,
            store_id=store,
            way="button",
            nonce=UUID(int=page),
            source=TEST,
            clock=self.clock,
        )
        verification = self.ask(expected, services.verify_on_page, press)
        if is_repeat:
            assert verification.pk == earlier.pk
            return
        self.model.attempts += 1
        if verification is not None:
            self.model.verify(coupon, verification.pk, store, None)
            self.pressed[page, coupon.pk] = coupon.live

    def scan(self, nth, is_hopeful, by, store, clerk, nonce):
        coupon = self.pick_to_verify(nth, is_hopeful, store)
        text = {
            "number": coupon.number,
            "link": f"http://testserver/c/{coupon.token}",
            "code": coupon.code or "NOT-YET",
            "nothing": "NO-COUPON-OF-OURS",
        }[by]
        asked = (text, store, clerk)
        if nonce == "new" or not self.scans:
            self.scans.append((asked, len(self.scans) + 1))
        elif nonce == "of another":
            self.scans.append((asked, self.scans[-1][1]))
        self.scan_one(*self.scans[-1])

    def scan_one(self, asked, nonce):
        text, store, clerk = asked
        place, person = self.stores[store], self.people[clerk]
        is_known = (asked, nonce) in self.model.answers

        answer = services.scan(
            text,
            store=place,
            staff=person,
            nonce=UUID(int=nonce),
            clock=self.clock,
        )

        if not is_known:
            self.model.attempts += 1
            self.model.answers[asked, nonce] = self.expected_answer(
                text, place.pk, person.pk, answer
            )
        told = (
            answer.reason,
            answer.coupon and answer.coupon.pk,
            answer.verification and answer.verification.pk,
        )
        assert told == self.model.answers[asked, nonce]
        assert answer.is_repeat == is_known

    def expected_answer(self, text, store, staff, answer):
        """The reason, the coupon and the verification; a yes changes the model."""
        found = self.model.found(text, store)
        if isinstance(found, str):
            return (found, None, None)
        refusal = self.model.why_not_verify(found, store)
        if refusal is None and answer.verification is not None:
            self.model.verify(found, answer.verification.pk, store, staff)
        tells_first = refusal in (None, "already_verified")
        live = found.live.pk if tells_first and found.live else None
        return (refusal or "ok", found.pk, live)

    def undo_one(self, coupon, verification, person, *, is_manager):
        expected = self.model.why_not_undo(
            coupon, verification, by=person.pk, is_manager=is_manager
        )
        self.ask(
            expected,
            services.undo,
            verification.pk,
            by=person,
            reason="slip",
            is_manager=is_manager,
            clock=self.clock,
        )
        if expected is None:
            self.model.undo(coupon, verification)

    # --- the manager ---

    def revoke(self, nth, is_hopeful):
        coupon = self.pick(nth, is_hopeful, self.model.why_not_revoke)
        expected = self.model.why_not_revoke(coupon)
        self.ask(
            expected,
            services.revoke,
            coupon.pk,
            source=TEST,
            reason="stolen phone",
            clock=self.clock,
        )
        if expected is None:
            self.model.revoke(coupon)

    # --- after every step ---

    @invariant()
    def every_coupon_is_as_in_the_model(self):
        rows = Coupon.objects.select_related("serial", "batch").in_bulk()
        assert set(rows) == {c.pk for c in self.model.coupons}
        for coupon in self.model.coupons:
            row = rows[coupon.pk]
            assert (row.status, row.contact_id) == (coupon.status, coupon.contact)
            for name in ("issued", "sent", "opened", "redeemed", "revoked"):
                at = f"{name}_at"
                assert getattr(row, at) == getattr(coupon, at), (coupon.pk, at)
            assert row.verified_at == (coupon.live and coupon.live.at)
            assert row.ends_at == coupon.ends_at
            assert row.code == coupon.code
            assert row.batch_id == (coupon.batch and coupon.batch.pk)
            assert row.replaces_id == (coupon.replaces and coupon.replaces.pk)

    @invariant()
    def every_step_is_kept_once_and_in_order(self):
        kept: dict[int, list[str]] = {}
        for pk, kind in Event.objects.order_by("pk").values_list("coupon", "kind"):
            kept.setdefault(pk, []).append(kind)
        assert kept == {c.pk: c.steps for c in self.model.coupons}
        live = Verification.objects.values_list("pk", "coupon", "store", "staff", "at")
        assert set(live.filter(undone_at=None)) == {
            (c.live.pk, c.pk, c.live.store, c.live.staff, c.live.at)
            for c in self.model.coupons
            if c.live
        }
        assert Attempt.objects.count() == self.model.attempts

    @invariant()
    def every_limit_holds_and_counts_what_is_held(self):
        quotas = TotalLimit.objects.values_list("campaign", "quota", "used")
        assert set(quotas) == {
            (g.pk, g.quota, self.model.held(g))
            for g in self.model.campaigns
            if g.quota is not None
        }
        uses = ContactUse.objects.filter(used__gt=0)
        assert {(u.campaign_id, u.contact_id): u.used for u in uses} == dict(
            Counter(
                (c.campaign.pk, c.contact)
                for c in self.model.coupons
                if c.is_held and c.contact
            )
        )

    @invariant()
    def stock_is_what_was_given_out(self):
        by_batch = [b for g in self.model.campaigns for b in g.batches]
        taken = Serial.objects.filter(state=Serial.State.TAKEN)
        assert Counter(taken.values_list("batch", flat=True)) == Counter(
            {b.pk: b.given for b in by_batch if not b.is_fixed and b.given}
        )
        stock = Stock.objects.values_list("batch", "taken")
        assert set(stock) == {
            (b.pk, b.given) for b in by_batch if b.is_fixed and b.left is not None
        }

    @invariant()
    def the_numbers_people_see_are_sums_of_steps(self):
        happened = Counter(s for c in self.model.coupons for s in c.steps)
        happened["verified"] -= happened.pop("undone", 0)
        seen: Counter[str] = Counter()
        for tally in Tally.objects.values(*NUMBERS):
            seen.update(tally)
        assert all(seen[name] == happened[name] for name in NUMBERS)

    @invariant()
    def an_audit_finds_nothing(self):
        assert find_breaks(now=self.model.now) == []


NUMBERS = ("issued", "sent", "opened", "redeemed", "verified", "revoked")


@pytest.mark.django_db
def test_any_life_of_coupons_goes_as_the_state_table_says():
    people = [make_user(), make_user()]
    stores = [make_store(*people), make_store(*people)]
    account = make_connection()
    contacts = [make_contact(account), make_contact(account)]

    class PlayHere(Play):
        def __init__(self) -> None:
            super().__init__(people, stores, contacts)

    run_state_machine_as_test(PlayHere, settings=HOW_MUCH)
