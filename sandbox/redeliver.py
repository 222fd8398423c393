"""Posts a webhook of any provider once more."""

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.courier import COURIER
from sandbox.line.calls import POSTMAN
from sandbox.world import WebhookRecord


def redeliver(app: web.Application, event_id: str) -> WebhookRecord:
    """As the provider does after a failure. Raises WorldError."""
    record = app[WORLD].webhooks.get(event_id)
    if record is not None and record.provider != "LINE":
        return app[COURIER].redeliver(event_id)
    return app[POSTMAN].redeliver(event_id)
