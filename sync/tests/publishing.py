"""What tests of publishing share: three accounts at look-alikes, and turns of a worker."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from connections.models import Connection
from sandbox.testing import RunningSandbox, start_sandbox
from sync.models import Publication, RemoteCoupon
from sync.options import LineOptions, PaddleOptions, VivoldiOptions
from sync.publishing.walking import to_walk, walk
from sync.publishing.working import work
from sync.services.publishing import publish
from testing.factories import make_campaign, make_connection, make_serials, make_user

OPTIONS = {
    "line": LineOptions(),
    "paddle": PaddleOptions(),
    "vivoldi": VivoldiOptions(),
}
CODE = "SPRING{:06d}"  # of letters and digits, as Vivoldi wants


@dataclass
class Accounts:
    """A look-alike with one account of ours at each provider."""

    sandbox: RunningSandbox
    line: Connection
    paddle: Connection
    vivoldi: Connection
    editor: User

    def connection(self, provider):
        return getattr(self, provider)

    def publish(self, provider, campaign, **fields):
        """As the button does; nothing is prepared yet."""
        fields.setdefault("options", OPTIONS[provider])
        fields.setdefault("nonce", uuid4())
        fields.setdefault("by", self.editor)
        return publish(campaign.pk, self.connection(provider).pk, **fields)

    def published(self, provider, campaign=None, **fields):
        """The same, with its rows written."""
        publication = self.publish(provider, campaign or an_offer(provider), **fields)
        prepare_all()
        publication.refresh_from_db()
        return publication

    def done(self, provider, campaign=None, **fields):
        """The same, and everything there."""
        publication = self.published(provider, campaign, **fields)
        self.turn(provider)
        publication.refresh_from_db()
        return publication

    def turn(self, provider, *, clock=timezone.now):
        """What is due now, without waiting for retries."""
        return work(self.connection(provider).pk, seconds=0.01, clock=clock)

    def settle(self, provider, *, turns=6):
        """Turns until nothing is left to do, each an hour after the one before."""
        for number in range(turns):
            prepare_all()
            self.turn(provider, clock=later(hours=number))
            self.sandbox.advance(3600)

    def there(self, provider):
        """Names of what the provider has, those taken back at LINE left out."""
        if provider == "line":
            return [c["couponId"] for c in self.sandbox.coupons() if is_open(c)]
        if provider == "paddle":
            return [c["code"] for c in self.sandbox.paddle_coupons()]
        return [c["cpnNo"] for c in self.sandbox.vivoldi_coupons()]


def is_open(coupon):
    return coupon["status"] == "RUNNING"


@contextmanager
def running_accounts(settings):
    """The look-alike, as our settings name it, and our accounts there."""
    with start_sandbox(token="token") as sandbox:
        stage(sandbox)
        settings.LINE_API_URL = sandbox.url
        settings.PADDLE_API_URL = sandbox.paddle_url
        settings.VIVOLDI_API_URL = sandbox.vivoldi_url
        settings.PADDLE_RATE = settings.VIVOLDI_RATE = 60_000
        yield make_accounts(sandbox)


def stage(sandbox):
    sandbox.add_paddle(vendor_id=1001, auth_code="0a1b2c", currency="JPY")
    sandbox.add_vivoldi(api_key="vivoldi-key")


def make_accounts(sandbox):
    return Accounts(
        sandbox,
        line=make_connection(access_token="token"),
        paddle=make_connection(
            provider="paddle", account_id="1001", access_token="0a1b2c"
        ),
        vivoldi=make_connection(
            provider="vivoldi", account_id="", access_token="vivoldi-key"
        ),
        editor=make_user("Editor"),
    )


def an_offer(provider="line", count=3, **fields):
    """A campaign that every provider can express, with so many serials."""
    fields.setdefault("benefit", "percentage")
    fields.setdefault("benefit_value", 10)
    fields.setdefault("currency", "JPY")
    campaign = make_campaign(**fields)
    if count and provider != "line":
        make_serials(campaign, codes(count, campaign.pk))
    return campaign


def codes(count, campaign_id):
    return [f"C{campaign_id:05d}X{n:07d}" for n in range(count)]


def prepare_all():
    for publication_id in to_walk(timezone.now()):
        while walk(publication_id):
            pass


def later(**time):
    """A clock that is so much ahead."""
    return lambda: timezone.now() + timedelta(**time)


def statuses(publication):
    rows = RemoteCoupon.objects.filter(publication=publication)
    return dict(Counter(rows.values_list("status", flat=True)))


def numbers(publication):
    """total, live, gone, refused, unknown."""
    found = Publication.objects.get(pk=publication.pk)
    return found.total, found.live, found.gone, found.refused, found.unknown


def only(publication):
    return RemoteCoupon.objects.get(publication=publication)
