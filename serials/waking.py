"""Waking a worker. The rows are the queue; a message only says "look for due rows"."""

import logging

from celery import Task
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerAway

logger = logging.getLogger(__name__)


def nudge(task: Task[..., None], *ids: int) -> None:
    """Wake a worker; when the broker is away the next sweep does it.

    A message that nobody took for some sweeps is dropped: what it asked for is due by
    its row alone.
    """
    try:
        task.apply_async(ids, expires=max(settings.SWEEP_EVERY * 4, 60))
    except (BrokerAway, OSError) as error:
        logger.error("broker.away", extra={"why": type(error).__name__})
