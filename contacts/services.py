"""What people ask of contacts: find or make one, reach it, put it on a list."""

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, ProtectedError, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from connections.models import Connection
from contacts import importing
from contacts.errors import ContactError
from contacts.models import Contact, ContactImport, ContactList, Membership

Clock = Callable[[], datetime]

IMPORT_WAITS = timedelta(days=1)
PIECE = 5_000  # memberships of one transaction


# --- one contact -------------------------------------------------------------------


def find_or_make_line_contact(
    connection_id: int, line_user_id: str, *, clock: Clock = timezone.now
) -> Contact:
    """The contact of this LINE user, made when we see the user for the first time.

    Two at once get the same row: the constraint decides. A new one's name is asked of
    LINE later (contacts/naming.py).
    """
    contact, _is_new = Contact.objects.get_or_create(
        connection_id=connection_id,
        line_user_id=line_user_id,
        defaults={"name_due_at": clock()},
    )
    return contact


def set_reachable(contact_id: int, is_reachable: bool, *, at: datetime) -> bool:
    """Note whether LINE reaches a contact since `at`; False when we know newer news.

    `at` is LINE's own time of the event: events come late, twice and out of order. Of
    two at the same instant the block wins, in whichever order they come.
    """
    older = Q(reach_changed_at=None) | Q(reach_changed_at__lt=at)
    if not is_reachable:
        older |= Q(reach_changed_at=at)
    return bool(
        Contact.objects.filter(older, pk=contact_id).update(
            is_reachable=is_reachable, reach_changed_at=at
        )
    )


# --- lists -------------------------------------------------------------------------


@dataclass(frozen=True)
class Added:
    """How far putting contacts on a list got: how many so far, up to which id."""

    count: int
    last_id: int
    is_done: bool


def find_or_make_list(name: str) -> ContactList:
    """The list of this name, made when there is none."""
    found, _is_new = ContactList.objects.get_or_create(name=name)
    return found


def add_to_list(
    contact_list: ContactList,
    contacts: QuerySet[Contact],
    *,
    after_id: int = 0,
    count: int = 0,
    seconds: float = 15.0,
) -> Added:
    """Put contacts on a list, in the order of their ids, in pieces.

    Works for `seconds`, then tells how far it came: call again with `after_id` and
    `count` of the answer. Contacts that are on the list already stay on it once.
    """
    ends = time.monotonic() + seconds
    chosen = Contact.objects.filter(pk__in=contacts.order_by().values("pk"))
    while True:
        ids = list(
            chosen.filter(pk__gt=after_id)
            .order_by("pk")
            .values_list("pk", flat=True)[:PIECE]
        )
        Membership.objects.bulk_create(
            (Membership(contact_list=contact_list, contact_id=pk) for pk in ids),
            ignore_conflicts=True,
        )
        count += len(ids)
        if len(ids) < PIECE:
            return Added(count, ids[-1] if ids else after_id, True)
        after_id = ids[-1]
        if time.monotonic() > ends:
            return Added(count, after_id, False)


def delete_list(contact_list: ContactList) -> None:
    """Delete a list; its contacts stay. Raises ContactError `list_used`."""
    try:
        with transaction.atomic():
            contact_list.delete()
    except ProtectedError:
        raise ContactError(
            "list_used",
            _(
                "“%(name)s” was sent to, so its name stays in the records. Rename it "
                "if it is in the way."
            )
            % {"name": contact_list.name},
        ) from None


# --- import ------------------------------------------------------------------------


def start_import(
    raw: bytes,
    *,
    connection: Connection,
    contact_list: ContactList | None,
    new_list: str,
    by: User,
    clock: Clock = timezone.now,
) -> ContactImport:
    """Check a CSV and keep it until a person says yes. Raises ContactError."""
    importing.read(raw)
    at = clock()
    drop_old_imports(at=at)
    return ContactImport.objects.create(
        connection=connection,
        contact_list=contact_list,
        new_list=new_list,
        content=zlib.compress(raw, 1),
        created_by=by,
        created_at=at,
    )


def read_import(waiting: ContactImport) -> importing.Checked:
    """What a kept file holds, checked anew."""
    return importing.read(zlib.decompress(waiting.content))


def go_on_with_import(waiting: ContactImport, *, seconds: float = 12.0) -> bool:
    """Import a kept file for `seconds`; True, and it is forgotten, when it is whole.

    Every few hundred rows are committed with how far it came, so that a later call
    goes on from there, whatever became of this one.
    """
    ends = time.monotonic() + seconds
    rows = read_import(waiting).rows
    if waiting.new_list:
        waiting.contact_list = find_or_make_list(waiting.new_list)
        ContactImport.objects.filter(pk=waiting.pk).update(
            contact_list=waiting.contact_list, new_list=""
        )
    for piece in importing.pieces(rows[waiting.next_row :]):
        if not _import_piece(waiting, piece):
            return False  # another tab is at it
        if time.monotonic() > ends and waiting.next_row < len(rows):
            return False
    ContactImport.objects.filter(pk=waiting.pk).delete()
    return True


@transaction.atomic
def _import_piece(waiting: ContactImport, piece: Sequence[importing.Row]) -> bool:
    """Take the next rows and write them; False when somebody else took them."""
    row = ContactImport.objects.filter(pk=waiting.pk)
    taken = row.filter(next_row=waiting.next_row).update(
        next_row=F("next_row") + len(piece)
    )
    if not taken:
        return False
    written = importing.write(
        piece,
        connection_id=waiting.connection_id,
        list_id=waiting.contact_list_id,
    )
    row.update(new=F("new") + written.new, changed=F("changed") + written.changed)
    waiting.next_row += len(piece)
    waiting.new += written.new
    waiting.changed += written.changed
    return True


def drop_old_imports(*, at: datetime) -> None:
    """Forget files that nobody said yes to within a day: they hold people's names."""
    ContactImport.objects.filter(created_at__lt=at - IMPORT_WAITS).delete()
