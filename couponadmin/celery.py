"""The Celery app. Beat only hands out due rows, so the schedule is the sweep."""

import os

from celery import Celery
from django.conf import settings

from couponadmin import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "couponadmin.settings")

broker.register()
app = Celery("couponadmin")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

SWEEPERS = (
    "serials.tasks.sweep",
    "coupons.tasks.sweep",
    "deliveries.tasks.sweep",
    "sync.tasks.sweep",
    "reports.tasks.sweep",
)


@app.on_after_finalize.connect
def schedule_sweeps(sender: Celery, **kwargs: object) -> None:
    """Every `SWEEP_EVERY` seconds each app looks for rows that wait for work."""
    for name in SWEEPERS:
        sender.add_periodic_task(
            settings.SWEEP_EVERY,
            sender.signature(name),
            name=name,
            # A worker that was away finds one sweep waiting, not an hour of them.
            expires=max(settings.SWEEP_EVERY * 2, 10),
        )
