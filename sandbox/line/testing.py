"""LINE's coupons and tokens for tests: set the stage, act as a person, look behind.

Part of RunningSandbox. `channel` arguments name one; without it, the first.
"""

from typing import Any

from sandbox.line import manager, wallet
from sandbox.line.couponbook import Coupon
from sandbox.line.coupons import detail_of
from sandbox.stage import Stage
from sandbox.world import Friend


class CouponStage(Stage):
    """What a test asks of LINE's native coupons."""

    def register_key(
        self, jwk: dict[str, Any], *, kid: str = "", channel: str | None = None
    ) -> str:
        """Register the public half of an assertion's key; its key id."""
        return self._call(
            lambda: manager.register_key(
                self._world, self._world.channel(channel), jwk, kid
            )
        )

    def coupons(self, *, channel: str | None = None) -> list[dict[str, Any]]:
        """All native coupons as the detail call tells of them, newest first."""

        def read() -> list[dict[str, Any]]:
            found, now = self._world.channel(channel), self._world.now()
            return [
                detail_of(coupon, found, now, self.url)
                for coupon in self._world.coupons.newest_first(found.name)
            ]

        return self._call(read)

    def now(self) -> int:
        """The sandbox's clock, in whole seconds since 1970."""
        return self._call(lambda: int(self._world.now()))

    def make_coupon(
        self, *, channel: str | None = None, is_draft: bool = False, **fields: Any
    ) -> str:
        """Make one as the manager would, a draft or a referral too; its id.

        `fields` are those of the create call, over one that can be got at once.
        Raises ValueError with LINE's words.
        """
        return self._call(
            lambda: (
                manager.make_by_hand(
                    self._world, self._world.channel(channel), fields, is_draft=is_draft
                ).id
            )
        )

    def stop_coupon(self, coupon_id: str, *, channel: str | None = None) -> None:
        """Discontinue one as the manager would. Raises ValueError."""
        self._call(lambda: manager.stop(self._world, self._made(coupon_id, channel)))

    def publish_draft(self, coupon_id: str, *, channel: str | None = None) -> None:
        """Publish a draft as the manager would. Raises ValueError."""

        def publish() -> None:
            draft = self._made(coupon_id, channel)
            manager.publish_draft(self._world, self._world.channel(channel), draft)

        self._call(publish)

    def delete_draft(self, coupon_id: str, *, channel: str | None = None) -> None:
        """Delete a draft as the manager would. Raises ValueError."""
        self._call(
            lambda: manager.delete_draft(self._world, self._made(coupon_id, channel))
        )

    def _made(self, coupon_id: str, name: str | None) -> Coupon:
        return manager.find(self._world, self._world.channel(name), coupon_id)

    def decide_draws(self, *wins: bool) -> None:
        """What the next lots will be; after them chance again."""
        self._call(lambda: self._world.coupons.fate.extend(wins))

    def acquire(
        self, coupon_id: str, user_id: str, *, channel: str | None = None
    ) -> bool:
        """Get a coupon or draw for it; whether they have it. Raises ValueError."""
        return self._call(
            lambda: wallet.acquire(
                self._world, *self._coupon_and_friend(coupon_id, user_id, channel)
            )
        )

    def use(self, coupon_id: str, user_id: str, *, channel: str | None = None) -> None:
        """Press Use on the phone. Raises ValueError."""
        self._call(
            lambda: wallet.use(
                self._world, *self._coupon_and_friend(coupon_id, user_id, channel)
            )
        )

    def _coupon_and_friend(
        self, coupon_id: str, user_id: str, name: str | None
    ) -> tuple[Coupon, Friend]:
        channel = self._world.channel(name)
        coupon = wallet.find(self._world, channel, coupon_id)
        return coupon, self._world.friend(channel, user_id)
