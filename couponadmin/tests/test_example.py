"""The example shop: an account at each provider, as the sandbox has them."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from campaigns.models import Campaign
from connections.models import Connection
from couponadmin.example import make_example
from running.accounts import with_accounts
from sandbox.paddle.book import PaddleAccount
from sandbox.testing import start_sandbox
from sync.options import OF_PROVIDER
from sync.services.publishing import publish

Provider = Connection.Provider


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """What `make run` hands to its processes, in this one's environment."""
    values = with_accounts({}, tmp_path / "sandbox.env")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.mark.django_db
def test_the_example_has_the_sandboxs_account_at_each_provider(accounts):
    make_example("a password")

    paddle = Connection.objects.get(provider=Provider.PADDLE)
    vivoldi = Connection.objects.get(provider=Provider.VIVOLDI)
    assert Connection.objects.filter(provider=Provider.LINE).count() == 1
    assert paddle.account_id == accounts["SANDBOX_PADDLE_VENDOR_ID"]
    assert paddle.access_token == accounts["SANDBOX_PADDLE_AUTH_CODE"]
    assert paddle.hook_key == accounts["SANDBOX_PADDLE_HOOK_KEY"]
    assert vivoldi.access_token == accounts["SANDBOX_VIVOLDI_API_KEY"]
    assert vivoldi.secret == accounts["SANDBOX_VIVOLDI_SECRET"]
    assert vivoldi.hook_key == accounts["SANDBOX_VIVOLDI_HOOK_KEY"]


@pytest.mark.django_db
def test_the_examples_public_key_is_the_half_of_the_sandboxs_key(accounts):
    make_example("a password")

    with start_sandbox() as sandbox:
        sandbox.add_paddle(private_key=accounts["SANDBOX_PADDLE_KEY"])

        paddle = Connection.objects.get(provider=Provider.PADDLE)
        assert paddle.public_key == sandbox.paddle_public_key()


@pytest.mark.django_db
def test_without_a_sandbox_there_is_no_account_that_could_not_work(monkeypatch):
    for name in ("SANDBOX_PADDLE_AUTH_CODE", "SANDBOX_VIVOLDI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    make_example("a password")

    assert list(Connection.objects.values_list("provider", flat=True)) == ["line"]


@pytest.mark.django_db
def test_the_example_has_a_campaign_that_each_provider_of_the_sandbox_takes(accounts):
    make_example("a password")
    beans = Campaign.objects.get(name="10% off beans online")
    manager = User.objects.get(username="manager")

    made = {
        connection.provider: publish(
            beans.pk,
            connection.pk,
            options=OF_PROVIDER[connection.provider](),
            by=manager,
            nonce=uuid4(),
        )
        for connection in Connection.objects.all()
    }

    assert beans.state == Campaign.State.ACTIVE
    assert set(made) == {"line", "paddle", "vivoldi"}
    assert beans.currency == PaddleAccount("Paddle", 1, "code").currency
