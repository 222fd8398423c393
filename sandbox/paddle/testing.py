"""Paddle for tests: set the stage, pay, look behind. Part of RunningSandbox."""

from typing import Any

from sandbox.paddle import rules
from sandbox.paddle.book import PaddleAccount
from sandbox.paddle.checkout import CHECKOUT, product_for
from sandbox.paddle.control import USUAL, described, texts
from sandbox.stage import Stage


class PaddleStage(Stage):
    """`account` arguments name one; without it, the first."""

    @property
    def paddle_url(self) -> str:
        """What stands for https://vendors.paddle.com."""
        return f"{self.url}/paddle.com"

    def add_paddle(self, name: str = "Paddle", **settings: Any) -> dict[str, Any]:
        """Make or change an account; its settings.

        Takes vendor_id, auth_code, currency, webhook_url, alerts, products (ids, or
        objects of id, name, price, is_plan), private_key, and what Paddle leaves open:
        needs_currency, tells_currency, list_needs_product, delete_needs_product,
        refund_gives_back.
        """
        return self._call(lambda: self._world.paddle.put(name, **settings).settings())

    def paddle_public_key(self, *, account: str | None = None) -> str:
        """What its alerts are to be checked with, PEM."""
        book = self._world.paddle
        return self._call(lambda: book.public_key(book.account(account)))

    def paddle_coupons(self, account: str | None = None) -> list[dict[str, Any]]:
        """All coupons, oldest first, with what the list call keeps to itself.

        code, coupon_type, discount_type, discount_amount (25 is 25 per cent),
        currency, allowed_uses, times_used, product_ids, recurring, expires (a day or
        ""), minimum_threshold, group, description.
        """
        coupons = self._call(lambda: list(self._paddle(account).coupons.values()))
        return [described(coupon) for coupon in coupons]

    def make_paddle_coupon(
        self, *, account: str | None = None, **fields: object
    ) -> list[str]:
        """Make coupons as in Paddle's dashboard; their codes. Raises ValueError.

        `fields` are those of the create call, over 10 per cent off everything.
        """
        given = texts(USUAL | fields)
        book = self._world.paddle
        return self._call(lambda: rules.create(book, self._paddle(account), given))

    def change_paddle_coupon(
        self, code: str, *, account: str | None = None, **fields: object
    ) -> None:
        """Change one as in Paddle's dashboard. Raises ValueError."""

        def change() -> None:
            found = self._paddle(account)
            given = texts({"currency": found.currency, "coupon_code": code} | fields)
            rules.update(self._world.paddle, found, given)

        self._call(change)

    def delete_paddle_coupon(self, code: str, *, account: str | None = None) -> None:
        """Delete one as in Paddle's dashboard. Raises ValueError."""
        given = {"coupon_code": code}
        book = self._world.paddle
        self._call(lambda: rules.delete(book, self._paddle(account), given))

    def delete_paddle_product(
        self, product_id: int, *, account: str | None = None
    ) -> None:
        """Sell a product no more: from then on it is unknown (108). Raises ValueError."""
        book = self._world.paddle
        self._call(lambda: book.drop_product(self._paddle(account), product_id))

    def pay(
        self,
        code: str = "",
        *,
        product_id: int | None = None,
        quantity: int = 1,
        email: str = "buyer@example.com",
        passthrough: str = "",
        account: str | None = None,
    ) -> str:
        """Buy a product with a coupon; the order id. Raises ValueError.

        Without a product it is the first that the coupon is for. times_used goes up
        and payment_succeeded goes out (of a plan: subscription_payment_succeeded).
        """

        def work() -> str:
            found = self._paddle(account)
            product = product_id or product_for(found, code)
            payment = self._app[CHECKOUT].pay(
                found,
                product,
                code=code,
                quantity=quantity,
                email=email,
                passthrough=passthrough,
            )
            return payment.order_id

        return self._call(work)

    def renew(self, order_id: str, *, account: str | None = None) -> str:
        """The next payment of the subscription an order began; its order id."""
        till = self._app[CHECKOUT]
        return self._call(lambda: till.renew(self._paddle(account), order_id).order_id)

    def refund(self, order_id: str, *, account: str | None = None) -> None:
        """Give the money of an order back; payment_refunded goes out."""
        till = self._app[CHECKOUT]
        self._call(lambda: till.refund(self._paddle(account), order_id))

    def paddle_alerts(self, order_id: str, *, account: str | None = None) -> list[Any]:
        """The alerts of an order without their signatures, oldest first."""
        return self._call(lambda: list(self._paddle(account).payments[order_id].alerts))

    def resend_alert(self, alert_id: str, *, account: str | None = None) -> None:
        """Post an alert once more, with the same alert_id. Raises ValueError."""
        till = self._app[CHECKOUT]
        self._call(lambda: till.resend(self._paddle(account), alert_id))

    def _paddle(self, name: str | None) -> PaddleAccount:
        return self._world.paddle.account(name)
