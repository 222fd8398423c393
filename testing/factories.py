"""Plain makers of rows for tests: each fills in what the test does not speak of."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.utils import timezone

from campaigns.models import Campaign
from connections.models import Connection
from contacts.models import Contact, ContactList, Membership
from coupons.models import Coupon
from coupons.services import Source, issue, mark_sent, redeem
from serials.codes import code_key
from serials.models import Batch, Serial, Stock
from stores.models import Store, StoreStaff
from sync.models import Difference, Publication, RemoteCoupon, Run

numbers = itertools.count(1)
TEST = Source("api")
PASSWORD = "pw-for-tests-only"  # everybody's


def make_user(role: str = "", **fields: Any) -> User:
    """A person; `role` is Manager, Editor, Viewer or Store staff."""
    fields.setdefault("username", f"person-{next(numbers)}")
    fields.setdefault("is_staff", role in ("Manager", "Editor", "Viewer"))
    user = User.objects.create_user(password=PASSWORD, **fields)
    if role:
        if not Group.objects.exists():  # a transactional test has emptied the tables
            import_module("couponadmin.migrations.0001_groups").make_roles(apps, None)
            for name in (
                "0003_managers_see_audits",
                "0006_editors_export_serials",
                "0007_roles_at_providers",
            ):
                import_module(f"reports.migrations.{name}").allow(apps, None)
        user.groups.add(Group.objects.get(name=role))
    return user


def make_store(*staff: User, **fields: Any) -> Store:
    fields.setdefault("name", f"Store {next(numbers)}")
    store = Store.objects.create(**fields)
    StoreStaff.objects.bulk_create(StoreStaff(store=store, user=u) for u in staff)
    return store


def make_connection(**fields: Any) -> Connection:
    n = next(numbers)
    fields.setdefault("provider", "line")
    fields.setdefault("name", f"LINE account {n}")
    fields.setdefault("account_id", f"U{n:032x}")
    fields.setdefault("access_token", f"token-{n}")
    fields.setdefault("secret", f"secret-{n}")
    return Connection.objects.create(**fields)


def make_contact(connection: Connection | None = None, **fields: Any) -> Contact:
    n = next(numbers)
    fields.setdefault("name", f"Contact {n}")
    if connection is not None:
        fields.setdefault("line_user_id", f"U{n:032x}")
    return Contact.objects.create(connection=connection, **fields)


def make_contacts(connection: Connection, count: int) -> list[Contact]:
    first = next(numbers) * 1_000_000
    return Contact.objects.bulk_create(
        Contact(
            connection=connection,
            name=f"Contact {first + n}",
            line_user_id=f"U{first + n:032x}",
        )
        for n in range(count)
    )


def make_list(*contacts: Contact, **fields: Any) -> ContactList:
    fields.setdefault("name", f"List {next(numbers)}")
    found = ContactList.objects.create(**fields)
    Membership.objects.bulk_create(
        Membership(contact_list=found, contact=contact) for contact in contacts
    )
    return found


def make_campaign(*stores: Store, **fields: Any) -> Campaign:
    """An active campaign: usable from yesterday for 30 days, taken at every store."""
    now = timezone.now()
    fields.setdefault("name", f"Campaign {next(numbers)}")
    fields.setdefault("state", Campaign.State.ACTIVE)
    fields.setdefault("use_starts_at", now - timedelta(days=1))
    fields.setdefault("use_ends_at", now + timedelta(days=30))
    campaign = Campaign.objects.create(**fields)
    campaign.stores.set(stores)
    return campaign


def make_serials(campaign: Campaign, codes: int | list[str], **fields: Any) -> Batch:
    """A ready one-time batch of these codes, or of so many made-up ones."""
    n = next(numbers)
    if isinstance(codes, int):
        codes = [f"S{n:05d}-{i:06d}" for i in range(codes)]
    fields.setdefault("name", f"Batch {n}")
    fields.setdefault("state", Batch.State.READY)
    batch = Batch.objects.create(
        campaign=campaign,
        kind=Batch.Kind.IMPORTED,
        lines=len(codes),
        new=len(codes),
        total=len(codes),
        **fields,
    )
    Serial.objects.bulk_create(
        Serial(
            campaign=campaign,
            batch=batch,
            pos=pos,
            code=code,
            code_key=code_key(code, is_case_sensitive=campaign.is_case_sensitive),
        )
        for pos, code in enumerate(codes, start=1)
    )
    return batch


def make_fixed_batch(
    campaign: Campaign,
    *,
    code: str = "FNA@5841",
    quantity: int | None = 100,
    **fields: Any,
) -> Batch:
    """A ready fixed batch; a quantity of None is unlimited."""
    fields.setdefault("name", f"Fixed {next(numbers)}")
    batch = Batch.objects.create(
        campaign=campaign,
        kind=Batch.Kind.FIXED,
        state=Batch.State.READY,
        code=code,
        code_key=code_key(code, is_case_sensitive=campaign.is_case_sensitive),
        **fields,
    )
    if quantity is not None:
        Stock.objects.create(batch=batch, quantity=quantity)
    return batch


def make_coupon(
    campaign: Campaign,
    contact: Contact | None = None,
    *,
    status: str = "issued",
    at: datetime | None = None,
) -> Coupon:
    """A coupon brought to issued, sent or redeemed by the services themselves."""
    at = at or timezone.now()
    [coupon] = issue(campaign, [contact], source=TEST, clock=lambda: at)
    if status in ("sent", "redeemed"):
        mark_sent({coupon.pk: at}, source=TEST)
    if status == "redeemed":
        redeem(coupon.token, source=TEST, clock=lambda: at)
    coupon.refresh_from_db()
    return coupon


def make_coupons(
    campaign: Campaign,
    contacts: Sequence[Contact | None],
    *,
    at: datetime | None = None,
) -> list[Coupon]:
    """An issued coupon for each of these contacts; None is nobody in particular."""
    at = at or timezone.now()
    return issue(campaign, contacts, source=TEST, clock=lambda: at)


def make_publication(
    campaign: Campaign | None = None,
    connection: Connection | None = None,
    **fields: Any,
) -> Publication:
    """A campaign published at an account: open, with the counts that are given."""
    fields.setdefault("nonce", uuid4())
    fields.setdefault("state", Publication.State.OPEN)
    counted = ("live", "gone", "refused", "unknown")
    fields.setdefault("total", sum(fields.get(name, 0) for name in counted))
    if fields["state"] == Publication.State.CLOSED:
        fields.setdefault("closed_at", timezone.now())
    return Publication.objects.create(
        campaign=campaign or make_campaign(),
        connection=connection or make_connection(),
        **fields,
    )


def make_remote_coupon(
    publication: Publication | None = None,
    connection: Connection | None = None,
    **fields: Any,
) -> RemoteCoupon:
    """A coupon that is there, of a publication or, without one, found at the account.

    The publication's counts stay as they are: a test says both.
    """
    n = next(numbers)
    fields.setdefault("remote_id", f"01REMOTE{n:018d}")
    fields.setdefault("status", RemoteCoupon.Status.LIVE)
    if fields.get("errand"):
        fields.setdefault("next_try_at", timezone.now())
    if publication is not None:
        fields.setdefault("campaign", publication.campaign)
        connection = publication.connection
    return RemoteCoupon.objects.create(
        publication=publication, connection=connection or make_connection(), **fields
    )


def make_run(connection: Connection, **fields: Any) -> Run:
    """A look at an account, over and well."""
    fields.setdefault("state", Run.State.DONE)
    fields.setdefault("started_at", timezone.now() - timedelta(minutes=5))
    if fields["state"] != Run.State.RUNNING:
        fields.setdefault("finished_at", fields["started_at"] + timedelta(minutes=1))
    return Run.objects.create(connection=connection, **fields)


def make_difference(coupon: RemoteCoupon | None = None, **fields: Any) -> Difference:
    """Something said differently since an hour ago, and still when last looked at."""
    now = timezone.now()
    fields.setdefault("field", "title")
    fields.setdefault("ours", "Spring")
    fields.setdefault("theirs", "Summer")
    fields.setdefault("seen_at", now - timedelta(hours=1))
    fields.setdefault("last_seen_at", now)
    if coupon is not None:
        fields.setdefault("publication", coupon.publication)
    return Difference.objects.create(coupon=coupon, **fields)


def instant(text: str) -> datetime:
    """`2026-05-01 13:00` in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
