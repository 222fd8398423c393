"""Clients of providers for our connections."""

from django.conf import settings

from connections.models import Connection
from connections.tokens import access_token_of
from providers.http import DEADLINE
from providers.line import LineClient
from providers.line_coupons import LineCoupons
from providers.paddle import PaddleClient
from providers.vivoldi import VivoldiClient


def line_client(connection: Connection, *, deadline: float = DEADLINE) -> LineClient:
    """LINE, as this connection; `deadline` is seconds for one call.

    Where we issue the token it may be renewed first, so this must not run inside a
    transaction. Raises ProviderError, as connections.tokens.access_token_of does.
    """
    return LineClient(
        base_url=settings.LINE_API_URL,
        access_token=access_token_of(connection),
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=deadline,
    )


def line_coupons(connection: Connection, *, deadline: float = DEADLINE) -> LineCoupons:
    """LINE's own coupons, as this connection; else as `line_client`."""
    return LineCoupons(
        base_url=settings.LINE_API_URL,
        access_token=access_token_of(connection),
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=deadline,
    )


def paddle_client(
    connection: Connection, *, deadline: float = DEADLINE
) -> PaddleClient:
    """Paddle Classic, as this connection; `deadline` is seconds for one call.

    With an account id that is no vendor id every call raises Unauthorised.
    """
    vendor_id = connection.account_id
    is_number = vendor_id.isascii() and vendor_id.isdigit()
    return PaddleClient(
        base_url=settings.PADDLE_API_URL,
        vendor_id=int(vendor_id) if is_number else 0,
        auth_code=connection.access_token,
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=deadline,
    )


def vivoldi_client(
    connection: Connection, *, deadline: float = DEADLINE
) -> VivoldiClient:
    """Vivoldi, as this connection; `deadline` is seconds for one call."""
    return VivoldiClient(
        base_url=settings.VIVOLDI_API_URL,
        api_key=connection.access_token,
        allow_local=settings.ALLOW_LOCAL_PROVIDERS,
        deadline=deadline,
    )
