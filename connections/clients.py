"""Clients of providers for our connections."""

from django.conf import settings

from connections.models import Connection
from providers.http import DEADLINE
from providers.line import LineClient


def line_client(connection: Connection, *, deadline: float = DEADLINE) -> LineClient:
    """LINE, as this connection; `deadline` is seconds for one call."""
    return LineClient(
        base_url=settings.LINE_API_URL,
        access_token=connection.access_token,
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=deadline,
    )
