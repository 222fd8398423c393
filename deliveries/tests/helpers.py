"""What most tests of sending do: set a delivery up, send, look at what came of it."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from campaigns.models import Campaign
from connections.models import Connection
from deliveries.models import Delivery, Dispatch, Recipient
from deliveries.preparing import prepare
from deliveries.sending import send_due
from deliveries.services import start_delivery
from sandbox.testing import RunningSandbox
from testing.factories import make_contacts, make_list


@dataclass
class Shop:
    line: RunningSandbox
    campaign: Campaign
    connection: Connection
    editor: User

    def start(self, contacts=3, **fields):
        """A delivery to so many new contacts, as Send makes it."""
        if "contact" not in fields and "contact_list" not in fields:
            made = make_contacts(self.connection, contacts)
            for contact in made:
                self.line.add_friend(contact.line_user_id, contact.name)
            fields["contact_list"] = make_list(*made)
        fields.setdefault("nonce", uuid4())
        fields.setdefault("by", self.editor)
        return start_delivery(self.campaign, self.connection, **fields)

    def ready(self, contacts=3, **fields):
        """The same, prepared: only the sending is left."""
        delivery = self.start(contacts, **fields)
        prepare(delivery.pk)
        delivery.refresh_from_db()
        return delivery

    def counts(self):
        """How many messages LINE took for each contact."""
        return self.line.counts()


def send(seconds=0.01, **options):
    """One round: what is due now, without waiting for retries."""
    return send_due(seconds=seconds, **options)


def later(**time):
    """A clock that is so much ahead."""
    return lambda: timezone.now() + timedelta(**time)


def statuses(delivery):
    rows = Dispatch.objects.filter(delivery=delivery)
    return dict(Counter(rows.values_list("status", flat=True)))


def outcomes(delivery):
    rows = Recipient.objects.filter(delivery=delivery)
    return dict(Counter(rows.values_list("outcome", flat=True)))


def numbers(delivery):
    """The numbers on the delivery's page: accepted, refused, unclear, cancelled."""
    delivery.refresh_from_db()
    return (
        delivery.accepted,
        delivery.refused,
        delivery.unknown,
        delivery.cancelled,
    )


def fresh(delivery):
    return Delivery.objects.get(pk=delivery.pk)
