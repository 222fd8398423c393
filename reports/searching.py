"""Coupons by what somebody types: a number, a serial, a fixed text, a contact's name.

Each is looked up in its own index and gives ids. One condition over joined tables would
read all of them: a second for a million coupons.
"""

from collections.abc import Iterable

from contacts.models import Contact
from coupons.models import Coupon
from reports import finding
from serials.codes import code_key
from serials.models import Batch

MOST = 1_000  # coupons of each kind, the newest
MOST_CONTACTS = 200


def coupon_ids(text: str) -> set[int]:
    """Ids of coupons whose number or serial begins so, or whose contact's name has it.

    A fixed text only when it is whole: every coupon of its batch is found.
    """
    ids = set(_by_contact(text.strip()))
    number = text.replace("-", "").strip().upper()
    if number.isalnum():
        ids.update(_newest(number__startswith=number))
    if not finding.refusal(text):
        ids.update(_newest(serial__in=finding.serial_ids(text)))
        whole = {code_key(text), *finding.spellings(text)}
        for batch in Batch.objects.filter(code_key__in=whole):
            ids.update(_newest(batch=batch, serial=None))
    return ids


def _by_contact(name: str) -> Iterable[int]:
    found = Contact.objects.filter(name__icontains=name).order_by("-pk")
    ids = list(found.values_list("pk", flat=True)[:MOST_CONTACTS])
    return _newest(contact__in=ids)


def _newest(**condition: object) -> Iterable[int]:
    found = Coupon.objects.filter(**condition).order_by("-pk")
    return found.values_list("pk", flat=True)[:MOST]
