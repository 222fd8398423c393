"""Vivoldi for tests: set the stage, use coupons, look behind. Part of RunningSandbox."""

from typing import Any

from sandbox.stage import Stage
from sandbox.vivoldi import rules
from sandbox.vivoldi.book import VivoldiAccount
from sandbox.vivoldi.control import described, usual
from sandbox.vivoldi.uses import TELLER


class VivoldiStage(Stage):
    """`account` arguments name one; without it, the first."""

    @property
    def vivoldi_url(self) -> str:
        """What stands for https://vivoldi.com."""
        return f"{self.url}/vivoldi.com"

    def add_vivoldi(self, name: str = "Vivoldi", **settings: Any) -> dict[str, Any]:
        """Make or change an account; its settings.

        Takes api_key, secret (of webhooks), plan, comp_idx, webhook_url, groups
        (objects of grpIdx, name, beats), templates, is_limited (by the plan's calls a
        minute), calls_a_minute, blocked_agents, and what Vivoldi leaves open:
        zone_hours, tells_why, tells_api_uses, timestamp_in_ms, signature_base.
        """
        return self._call(lambda: self._world.vivoldi.put(name, **settings).settings())

    def vivoldi_coupons(self, account: str | None = None) -> list[dict[str, Any]]:
        """All coupons as validate describes them, oldest first, used ones too.

        And `uses`: each with at (seconds since 1970), userId, memo, way (api, page or
        dashboard).
        """

        def read() -> list[dict[str, Any]]:
            found = self._vivoldi(account)
            return [described(found, c) for c in found.coupons.values()]

        return self._call(read)

    def make_vivoldi_coupon(
        self, *, account: str | None = None, **fields: object
    ) -> str:
        """Make one as in Vivoldi's dashboard; its number. Raises ValueError.

        `fields` are those of the create call, over 10 % off for a month from today.
        """

        def make() -> str:
            found, book = self._vivoldi(account), self._world.vivoldi
            return rules.create(book, found, usual(found, book.now()) | fields)

        return self._call(make)

    def change_vivoldi_coupon(
        self, number: str, *, account: str | None = None, **fields: object
    ) -> None:
        """Change one as in Vivoldi's dashboard. Raises ValueError."""
        book = self._world.vivoldi
        sent = {"cpnNo": number} | fields
        self._call(lambda: rules.update(book, self._vivoldi(account), sent))

    def delete_vivoldi_coupon(self, number: str, *, account: str | None = None) -> None:
        """Delete one as in Vivoldi's dashboard. Raises ValueError."""
        book = self._world.vivoldi
        self._call(lambda: rules.delete(book, self._vivoldi(account), number))

    def vivoldi_use(
        self,
        number: str,
        *,
        user_id: str = "",
        memo: str = "",
        password: str | None = None,
        way: str = "dashboard",
        account: str | None = None,
    ) -> str:
        """Use a coupon once; the webhook's event id, or "". Raises ValueError.

        By hand in Vivoldi's dashboard, on the coupon's page with way="page" and the
        on-site password, or as somebody else's program would with way="api".
        """
        sent = {"cpnNo": number, "userId": user_id, "memo": memo}
        if password is not None:
            sent["onsitePwd"] = password

        def use() -> str:
            teller = self._app[TELLER]
            record = teller.redeem(self._vivoldi(account), sent, way=way)
            return record.event_id if record else ""

        return self._call(use)

    def _vivoldi(self, name: str | None) -> VivoldiAccount:
        return self._world.vivoldi.account(name)
