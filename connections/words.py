"""What went wrong with a provider and what to do about it, in words."""

from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from connections.errors import Incomplete, IssueRefused, TokenAwaited
from connections.models import Connection
from providers.errors import (
    ProviderError,
    Refused,
    TooMany,
    Unauthorised,
    Unclear,
    Unreachable,
)

Provider = Connection.Provider
TokenKind = Connection.TokenKind

NAMES = {Provider.LINE: "LINE", Provider.PADDLE: "Paddle", Provider.VIVOLDI: "Vivoldi"}
FORBIDDEN = 403  # HTTP
NO_PERMISSION = 107  # Paddle's code


def words_for(error: ProviderError, connection: Connection | None = None) -> str:
    """What went wrong and what to do; without a connection, with a pasted LINE token."""
    account = connection or Connection(provider=Provider.LINE)
    name = name_of(account)
    if is_about_credentials(error, account):
        return _about_credentials(error, account)
    if isinstance(error, TokenAwaited):
        return str(error) + " " + _("Try again in a moment.")
    if isinstance(error, TooMany):
        return _(
            "%(provider)s is being asked too often. Wait a minute and try again."
        ) % {"provider": name}
    if isinstance(error, Refused):
        return _("%(provider)s says no (%(code)s): %(detail)s") % {
            "provider": name,
            "code": error.status if error.code is None else error.code,
            "detail": error,
        }
    return _no_answer(error, account)


def name_of(connection: Connection) -> str:
    """The provider's name, short."""
    return NAMES[Provider(connection.provider or Provider.LINE)]


def is_about_credentials(error: ProviderError, connection: Connection) -> bool:
    """Whether no call of this account will do until a person changes something.

    Vivoldi answers 403 when it does not like a key or a User-Agent, so its manual.
    """
    if isinstance(error, Unauthorised):
        return True
    is_no = isinstance(error, Refused) and error.status == FORBIDDEN
    return is_no and connection.provider == Provider.VIVOLDI


def _no_answer(error: ProviderError, connection: Connection) -> str:
    values = {"provider": name_of(connection), "detail": error}
    if isinstance(error, Unreachable):
        return _(
            "%(provider)s could not be reached from this server. Check that it may "
            "open connections to %(host)s. (%(detail)s)"
        ) % {**values, "host": urlsplit(_address(connection)).hostname}
    if isinstance(error, Unclear):
        return (
            _(
                "%(provider)s did not answer properly. Try again in a minute. "
                "(%(detail)s)"
            )
            % values
        )
    return _("%(provider)s's answer could not be understood: %(detail)s") % values


def _address(connection: Connection) -> str:
    found: str = {
        Provider.LINE: settings.LINE_API_URL,
        Provider.PADDLE: settings.PADDLE_API_URL,
        Provider.VIVOLDI: settings.VIVOLDI_API_URL,
    }[Provider(connection.provider)]
    return found


# --- when a provider does not take our credentials ------------------------------------


def _about_credentials(error: ProviderError, connection: Connection) -> str:
    if connection.provider == Provider.PADDLE:
        return _paddle(error)
    if connection.provider == Provider.VIVOLDI:
        return _vivoldi(error)
    if isinstance(error, Incomplete):
        return str(error)
    if isinstance(error, IssueRefused):
        return _issuing(error, connection)
    if connection.issues_tokens:
        return _(
            "LINE doesn't accept the access tokens that it issues to us. Check in the "
            "LINE Developers console that this channel still exists and is a "
            "Messaging API channel, then press Test."
        )
    return _(
        "LINE doesn't accept this access token: issue a new one in the LINE "
        "Developers console and paste it here."
    )


def _issuing(error: IssueRefused, connection: Connection) -> str:
    values = {"channel": connection.channel_id, "detail": error}
    if connection.token_kind == TokenKind.STATELESS:
        return (
            _(
                "LINE issues no access token for the channel %(channel)s with this "
                "channel secret. Copy both again from the LINE Developers console, "
                "Basic settings tab. (%(detail)s)"
            )
            % values
        )
    return _(
        "LINE issues no access token for the channel %(channel)s with our key "
        "%(key)s. Check the channel id, and that the key is still listed under "
        "Assertion Signing Key in the LINE Developers console; if not, make a new key "
        "here. (%(detail)s)"
    ) % {**values, "key": connection.key_id or "–"}


def _paddle(error: ProviderError) -> str:
    if isinstance(error, Refused) and error.code == NO_PERMISSION:
        return _(
            "Paddle says that this may not be done with this vendor id and auth code: "
            "the vendor id is wrong, or the auth code has too few permissions. Copy "
            "both again from Paddle, Developer Tools > Authentication. (%(detail)s)"
        ) % {"detail": error}
    return _(
        "Paddle doesn't accept this vendor id with this auth code. Copy both again "
        "from Paddle, Developer Tools > Authentication. (%(detail)s)"
    ) % {"detail": error}


def _vivoldi(error: ProviderError) -> str:
    if isinstance(error, Refused) and error.status == FORBIDDEN:
        return _(
            "Vivoldi refuses us (403): the API key is wrong or was changed, the plan "
            "is below Personal, or Vivoldi has blocked this server's User-Agent. Copy "
            "the API key again; if that does not help, ask Vivoldi. (%(detail)s)"
        ) % {"detail": error}
    return _(
        "Vivoldi doesn't accept this API key. Copy it again from Vivoldi's settings. "
        "(%(detail)s)"
    ) % {"detail": error}
