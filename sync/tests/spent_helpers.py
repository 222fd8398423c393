"""Codes that are spent here: what tests of them share, and steps of a process of its own.

`python -m sync.tests.spent_helpers walk <publication>` walks a publication once.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")
django.setup()

from coupons.services import revoke, undo, verify  # noqa: E402
from serials.importing import run  # noqa: E402
from serials.models import Batch, Serial  # noqa: E402
from serials.services import void  # noqa: E402
from sync.models import Difference, RemoteCoupon  # noqa: E402
from sync.publishing import spending  # noqa: E402
from sync.publishing.walking import walk  # noqa: E402
from testing.factories import TEST, make_coupon, make_store, make_user  # noqa: E402


def make_void(campaign):
    """All its serials that nobody has."""
    for batch in Batch.objects.filter(campaign=campaign, state="ready"):
        void(batch)
        if not batch.is_fixed:
            run(batch.pk)


def make_one_void(code):
    Serial.objects.filter(code=code).update(state=Serial.State.VOID)


def redeemed(campaign):
    return make_coupon(campaign, status="redeemed")


def verified(campaign):
    """A verification by scan of the campaign's next serial."""
    return verify(redeemed(campaign).pk, store=make_store(), staff=make_user())


def revoked(campaign):
    coupon = redeemed(campaign)
    revoke(coupon.pk, source=TEST, reason="lost phone")
    return coupon


def undone(verification):
    undo(verification.pk, by=make_user(), reason="wrong coupon", is_manager=True)


def code_of(verification):
    return verification.coupon.serial.code


def row_of(publication, code):
    return RemoteCoupon.objects.get(publication=publication, serial__code=code)


def open_spent():
    """Numbers of the open difference, or None."""
    rows = Difference.objects.filter(field="spent", ended_at=None, coupon=None)
    found = rows.first()
    return found and found.ours


if __name__ == "__main__":
    spending.PIECE = int(os.environ["SPENT_PIECE"])
    sys.stdout.write(str(walk(int(sys.argv[2]))))
