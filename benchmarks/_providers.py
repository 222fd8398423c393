"""Work for a worker at three providers, and coupons to redeem meanwhile."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode
from uuid import uuid4

import _shop
import redis
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.models import Campaign
from connections.models import Connection
from coupons.views.page import form_token
from deliveries import tasks as sending
from deliveries.models import Dispatch
from deliveries.preparing import prepare
from deliveries.services import start_delivery
from serials.waking import nudge
from sync import tasks
from sync.models import RemoteCoupon, Run
from sync.options import LineOptions, Options, PaddleOptions, VivoldiOptions
from sync.publishing.walking import walk
from sync.services.publishing import publish
from sync.services.pulling import start_run
from testing.factories import (
    make_campaign,
    make_connection,
    make_contacts,
    make_list,
    make_serials,
    make_store,
    make_user,
)

OPTIONS: dict[str, Options] = {
    "line": LineOptions(),
    "paddle": PaddleOptions(),
    "vivoldi": VivoldiOptions(),
}


@dataclass(frozen=True)
class Work:
    """What there is to do; it is all there before anything is measured."""

    tokens: list[str]  # of coupons to redeem
    store_id: int
    accounts: dict[str, int]  # provider -> connection

    @classmethod
    def make(
        cls,
        *,
        coupons: int,
        recipients: int,
        codes: int,
        keys: dict[str, str],
        vendor_id: int,
    ) -> Self:
        store = make_store()
        offer = _shop.make_offer()
        offer.verifying = Campaign.Verifying.BUTTON
        offer.save(update_fields=["verifying"])
        make_serials(offer, coupons)
        accounts = {
            provider: make_connection(
                provider=provider,
                access_token=key,
                **({"account_id": str(vendor_id)} if provider == "paddle" else {}),
            ).pk
            for provider, key in keys.items()
        }
        sent = _shop.send_coupons(offer, coupons, make_connection())
        work = cls([coupon.token for coupon in sent], store.pk, accounts)
        work._send(recipients)
        work._publish(codes)
        work.stop()
        _shop.settle()
        return work

    def _send(self, recipients: int) -> None:
        account = Connection.objects.get(pk=self.accounts["line"])
        campaign = make_campaign(name="Sent")
        make_serials(campaign, recipients)
        chosen = make_list(*make_contacts(account, recipients))
        delivery = start_delivery(
            campaign, account, nonce=uuid4(), by=make_user(), contact_list=chosen
        )
        while prepare(delivery.pk):
            pass

    def _publish(self, codes: int) -> None:
        campaign = make_campaign(
            name="Published", benefit="percentage", benefit_value=10, currency="USD"
        )
        make_serials(campaign, codes)
        for provider, account_id in self.accounts.items():
            found = publish(
                campaign.pk,
                account_id,
                options=OPTIONS[provider],
                by=None,
                nonce=uuid4(),
            )
            while walk(found.pk, seconds=60):
                pass

    # --- on and off ------------------------------------------------------------------

    def start(self) -> None:
        """Make all of it due: what hung before is tried at once, no account rests."""
        now = timezone.now()
        active = {"state": Connection.State.ACTIVE, "failures": 0}
        self._accounts().update(**active, resting_until=None)
        later = {"next_try_at__gt": now}
        Dispatch.objects.filter(status="queued", **later).update(next_try_at=now)
        errands = RemoteCoupon.objects.exclude(errand="").filter(leased_until=None)
        errands.filter(**later).update(next_try_at=now)
        Run.objects.filter(state="running", **later).update(next_try_at=now)
        for account_id in self.accounts.values():
            nudge(tasks.publish_work, account_id)
        nudge(sending.send_due)
        for account_id in self.accounts.values():
            nudge(tasks.pull, start_run(account_id).pk)

    def stop(self) -> None:
        self._accounts().update(state=Connection.State.PAUSED)

    def is_at_rest(self) -> bool:
        """Whether no call is under way, and no task waits for a worker."""
        with redis.Redis.from_url(settings.REDIS_URL) as broker:
            waiting = broker.llen("celery")
        return not waiting and not sum(self.calls().values())

    def calls(self) -> dict[str, int]:
        """Rows that wait for an answer of each provider, by their leases."""
        held = {"leased_until__gt": timezone.now()}
        sending = Dispatch.objects.filter(status="sending", **held).count()
        found = {
            provider: RemoteCoupon.objects.filter(connection=pk, **held).count()
            + Run.objects.filter(connection=pk, **held).count()
            for provider, pk in self.accounts.items()
        }
        return found | {"line": found["line"] + sending}

    def _accounts(self) -> QuerySet[Connection]:
        return Connection.objects.filter(pk__in=self.accounts.values())

    # --- requests --------------------------------------------------------------------

    def redeem(self, token: str) -> tuple[str, str]:
        """The address of a press of Redeem, and the form it posts."""
        return f"/c/{token}/redeem", urlencode({"form_token": form_token(token)})

    def verify(self, token: str) -> tuple[str, str]:
        """The same of a press of the store's staff."""
        given = {
            "form_token": form_token(token),
            "store": self.store_id,
            "press": uuid4(),
        }
        return f"/c/{token}/verify", urlencode(given)
