"""Mail to the people who run the house."""

import logging
from collections.abc import Sequence

from django.contrib.auth.models import User
from django.core.mail import EmailMessage, get_connection
from django.db.models import QuerySet

logger = logging.getLogger(__name__)

MANAGERS = "Manager"  # the role's name, see couponadmin/migrations/0001_groups.py
TIMEOUT = 10  # seconds


def superusers() -> list[str]:
    """Addresses of all active superusers that have one."""
    return _addresses(User.objects.filter(is_superuser=True))


def managers() -> list[str]:
    """Addresses of all active Managers that have one."""
    return _addresses(User.objects.filter(groups__name=MANAGERS))


def _addresses(people: QuerySet[User]) -> list[str]:
    known = people.filter(is_active=True).exclude(email="").order_by("pk")
    return list(known.values_list("email", flat=True))


def send(subject: str, body: str, *, to: Sequence[str], about: str) -> bool:
    """One mail to each address; False when not one of them could be sent.

    A mail that can't be sent, or has nobody to go to, is a line in the log that begins
    with `about`.
    """
    if not to:
        logger.error("%s.nobody_to_mail", about)
    sent = 0
    for address in to:
        try:
            server = get_connection(timeout=TIMEOUT)
            EmailMessage(subject, body, to=[address], connection=server).send()
            sent += 1
        # SMTPException is an OSError; the others are what a bad address is told by.
        except (OSError, ValueError, TypeError) as error:
            why = {"why": type(error).__name__}
            logger.error("%s.not_mailed", about, extra=why)
    return bool(sent) or not to
