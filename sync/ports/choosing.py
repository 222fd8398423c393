"""Which adapter a connection gets, and how fast it may be asked."""

from django.conf import settings

from connections.clients import line_coupons, paddle_client, vivoldi_client
from connections.models import Connection
from sync.ports.line import LinePort
from sync.ports.paddle import PaddlePort
from sync.ports.port import Port
from sync.ports.vivoldi import VivoldiPort

Provider = Connection.Provider


def port_of(connection: Connection, *, deadline: float | None = None) -> Port:
    """The provider as this connection; `deadline` is seconds for one call.

    Reads secrets: raises SecretUnreadable, and ProviderError where LINE's access token
    has to be renewed first.
    """
    seconds = settings.SYNC_DEADLINE if deadline is None else deadline
    if connection.provider == Provider.LINE:
        return LinePort(line_coupons(connection, deadline=seconds), rate_of(connection))
    if connection.provider == Provider.PADDLE:
        client = paddle_client(connection, deadline=seconds)
        return PaddlePort(client, rate_of(connection))
    return VivoldiPort(
        vivoldi_client(connection, deadline=seconds), rate_of(connection)
    )


def rate_of(connection: Connection) -> float:
    """Calls a second: of each kind at LINE, of all kinds together elsewhere."""
    if connection.provider == Provider.LINE:
        return float(settings.LINE_COUPON_RATE)
    usual = {
        Provider.PADDLE: settings.PADDLE_RATE,
        Provider.VIVOLDI: settings.VIVOLDI_RATE,
    }[Provider(connection.provider)]
    return float((connection.calls_a_minute or usual) / 60)
