"""A LINE look-alike that issues tokens, and accounts that have theirs issued."""

import functools
import json

import pytest

from connections.keys import make_private_key, public_jwk
from sandbox.testing import start_sandbox
from testing.factories import make_connection, make_user

BOT = "U" + "b" * 32
CHANNEL = "1234567890"
SECRET = "s" * 32


one_key = functools.cache(make_private_key)  # making one takes a while


@pytest.fixture
def channel(settings):
    """A channel without a pasted token: its calls open with an issued one alone."""
    with start_sandbox(
        token="pasted", secret=SECRET, bot_user_id=BOT, channel_id=CHANNEL, quota=500
    ) as sandbox:
        settings.LINE_API_URL = sandbox.url
        yield sandbox


@pytest.fixture
def stateless(channel):
    return make_connection(
        token_kind="stateless",
        channel_id=CHANNEL,
        access_token="",
        secret=SECRET,
        account_id="",
    )


@pytest.fixture
def signed(channel):
    """An account whose tokens are asked for with a key that LINE knows."""
    key = one_key()
    return make_connection(
        token_kind="v2_1",
        channel_id=CHANNEL,
        access_token="",
        secret=SECRET,
        account_id="",
        private_key=key,
        key_id=channel.register_key(json.loads(public_jwk(key))),
    )


@pytest.fixture
def manager(client):
    client.force_login(make_user("Manager"))
    return client
