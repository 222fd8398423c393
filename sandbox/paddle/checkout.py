"""Paddle's checkout: somebody pays with a coupon, and Paddle's alerts tell of it.

Source: Paddle Classic webhook reference: "Payment succeeded", "Payment refunded",
"Subscription payment succeeded" and its refund, "Order processed".
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from aiohttp import web

from sandbox.courier import Courier, Letter
from sandbox.errors import WorldError
from sandbox.paddle.book import Coupon, PaddleAccount, Payment, Product
from sandbox.paddle.signing import signed
from sandbox.world import WebhookRecord, World

CENT = Decimal("0.01")
FEE_SHARE, FEE = Decimal("0.05"), Decimal("0.50")  # of each sale, as Paddle's plan says
MONTH = timedelta(days=30)
MOST = 1000  # of one product in a cart
Fields = dict[str, str]


class Checkout:
    """Takes payments and tells of them."""

    def __init__(self, world: World, courier: Courier) -> None:
        self._world = world
        self._courier = courier

    def pay(
        self,
        account: PaddleAccount,
        product_id: int,
        *,
        code: str = "",
        quantity: int = 1,
        email: str = "buyer@example.com",
        passthrough: str = "",
    ) -> Payment:
        """Buy a product, with a coupon or without. Raises WorldError.

        A plan starts a subscription; `renew` is its next payment.
        """
        product = account.product(product_id)
        if not 1 <= quantity <= MOST:
            raise WorldError(f"The quantity is 1 to {MOST}.")
        coupon = self._coupon(account, code, product, quantity) if code else None
        payment = self._new_payment(account, product, quantity, coupon, email)
        if coupon is not None:
            coupon.times_used += 1
            self._world.paddle.save_coupon(account, coupon)
        more = {"passthrough": passthrough}
        if product.is_plan:
            payment.subscription_id = str(secrets.randbelow(9 * 10**6) + 10**6)
            more["initial_payment"] = "1"
        self._tell_paid(account, payment, more)
        return payment

    def renew(self, account: PaddleAccount, order_id: str) -> Payment:
        """A later payment of a subscription. Raises WorldError.

        A recurring coupon is named again and lowers the price; whether Paddle counts
        that as another use is unconfirmed: here it does not.
        """
        first = self.payment(account, order_id)
        if not first.subscription_id:
            raise WorldError("This payment began no subscription.")
        product = account.product(first.product_id)
        coupon = account.coupons.get(first.coupon)
        if coupon is not None and not coupon.recurring:
            coupon = None
        payment = self._new_payment(
            account, product, first.quantity, coupon, first.email
        )
        payment.subscription_id = first.subscription_id
        self._tell_paid(account, payment, {"initial_payment": "0"})
        return payment

    def refund(self, account: PaddleAccount, order_id: str) -> Payment:
        """Give the money back; the alert of it names no coupon. Raises WorldError."""
        payment = self.payment(account, order_id)
        if payment.is_refunded:
            raise WorldError("This payment was given back already.")
        payment.is_refunded = True
        coupon = account.coupons.get(payment.coupon)
        if coupon is not None and account.refund_gives_back:
            coupon.times_used -= 1
            self._world.paddle.save_coupon(account, coupon)
        kind = "subscription_payment" if payment.subscription_id else "payment"
        fields = self._common(account, payment) | {
            "refund_type": "full",
            "refund_reason": "",
            "gross_refund": payment.gross,
        }
        self._tell(account, payment, f"{kind}_refunded", fields)
        return payment

    def resend(self, account: PaddleAccount, alert_id: str) -> WebhookRecord:
        """Post an alert once more, the same in every field. Raises WorldError."""
        for payment in account.payments.values():
            for fields in payment.alerts:
                if fields["alert_id"] == alert_id:
                    return self._post(account, payment, fields)
        raise WorldError("There is no such alert.")

    def payment(self, account: PaddleAccount, order_id: str) -> Payment:
        """Raises WorldError."""
        if order_id not in account.payments:
            raise WorldError("There is no such order.")
        return account.payments[order_id]

    # What is paid

    def _coupon(
        self, account: PaddleAccount, code: str, product: Product, quantity: int
    ) -> Coupon:
        """The coupon of a cart, if it may be used there. Raises WorldError."""
        coupon = account.coupons.get(code)
        if coupon is None:
            raise WorldError("The checkout does not know this coupon.")
        if not coupon.is_valid(self._world.now()):
            raise WorldError("This coupon is over or used up.")
        if coupon.coupon_type == "product" and product.id not in coupon.product_ids:
            raise WorldError("This coupon is not for this product.")
        total = Decimal(product.price) * quantity
        if coupon.minimum_threshold and total <= Decimal(coupon.minimum_threshold):
            least = f"{account.currency} {coupon.minimum_threshold}"
            raise WorldError(f"This coupon is for carts of more than {least}.")
        return coupon

    def _new_payment(
        self,
        account: PaddleAccount,
        product: Product,
        quantity: int,
        coupon: Coupon | None,
        email: str,
    ) -> Payment:
        gross = Decimal(product.price) * quantity
        if coupon is not None:
            gross = max(gross - taken_off(coupon, gross), Decimal(0))
        order = secrets.randbelow(9 * 10**7) + 10**7
        return Payment(
            order_id=f"{order}-{secrets.randbelow(9 * 10**6) + 10**6}",
            at=self._world.now(),
            coupon=coupon.code if coupon else "",
            product_id=product.id,
            quantity=quantity,
            gross=str(gross.quantize(CENT)),
            email=email,
        )

    # What is told

    def _tell_paid(
        self, account: PaddleAccount, payment: Payment, more: Fields
    ) -> None:
        fields = self._common(account, payment) | self._money(account, payment) | more
        if not payment.subscription_id:
            self._tell(account, payment, "payment_succeeded", fields)
            self._tell(account, payment, "locker_processed", self._locker(fields))
            return
        product = account.product(payment.product_id)
        renews_on = datetime.fromtimestamp(payment.at, UTC) + MONTH
        subscription = {
            "subscription_payment_id": payment.order_id.split("-")[0],
            "subscription_plan_id": str(product.id),
            "plan_name": product.name,
            "user_id": str(secrets.randbelow(9 * 10**5) + 10**5),
            "instalments": "1",
            "next_bill_date": f"{renews_on:%Y-%m-%d}",
            "next_payment_amount": product.price,
            "unit_price": product.price,
            "status": "active",
        }
        self._tell(
            account, payment, "subscription_payment_succeeded", fields | subscription
        )

    def _common(self, account: PaddleAccount, payment: Payment) -> Fields:
        """What payments and refunds tell alike."""
        fields = {
            "order_id": payment.order_id,
            "checkout_id": f"{payment.order_id.replace('-', '')}-chre0sandbox",
            "email": payment.email,
            "marketing_consent": "0",
            "currency": account.currency,
            "quantity": str(payment.quantity),
            "passthrough": "",
        }
        if payment.subscription_id:
            fields["subscription_id"] = payment.subscription_id
        return fields

    def _money(self, account: PaddleAccount, payment: Payment) -> Fields:
        gross = Decimal(payment.gross)
        fee = min((gross * FEE_SHARE + FEE).quantize(CENT), gross)
        earned = gross - fee
        return {
            "coupon": payment.coupon,
            "product_id": str(payment.product_id),
            "product_name": account.product(payment.product_id).name,
            "sale_gross": str(gross),
            "payment_tax": "0.00",
            "fee": str(fee),
            "earnings": str(earned),
            "balance_currency": account.currency,
            "balance_gross": str(gross),
            "balance_tax": "0.00",
            "balance_fee": str(fee),
            "balance_earnings": str(earned),
            "payment_method": "card",
            "used_price_override": "0",
            "country": "GB",
            "customer_name": "A buyer in the sandbox",
            "ip": "192.0.2.10",
            "receipt_url": "https://my.paddle.com/receipt/sandbox",
        }

    def _locker(self, fields: Fields) -> Fields:
        names = (
            "order_id checkout_id product_id quantity email coupon marketing_consent"
        )
        kept = {name: fields[name] for name in names.split()}
        return kept | {"licence": "", "download": "", "checkout_recovery": "0"}

    def _tell(
        self, account: PaddleAccount, payment: Payment, name: str, fields: Fields
    ) -> None:
        """Keep an alert with its payment and post it, if it is switched on."""
        if name in account.alerts:
            at = datetime.fromtimestamp(self._world.now(), UTC)
            alert = {
                "alert_id": str(secrets.randbelow(9 * 10**9) + 10**9),
                "alert_name": name,
                "event_time": f"{at:%Y-%m-%d %H:%M:%S}",
            }
            payment.alerts.append(fields | alert)
            self._post(account, payment, payment.alerts[-1])
        self._world.paddle.save_payment(account, payment)

    def _post(
        self, account: PaddleAccount, payment: Payment, fields: Fields
    ) -> WebhookRecord:
        alert_id = fields["alert_id"]
        known = self._world.webhooks.get(alert_id)
        if known is not None:
            return self._courier.redeliver(alert_id)
        name = fields["alert_name"]
        what = name.replace("_", " ")
        record = WebhookRecord(
            alert_id, account.name, what, payment.coupon, dict(fields), "Paddle"
        )
        if account.webhook_url:
            self._courier.send(record, self._maker(account, fields))
        return record

    def _maker(self, account: PaddleAccount, fields: Fields) -> Callable[[], Letter]:
        key = self._world.paddle.private_key(account)
        body = urlencode(signed(fields, key)).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Paddle",  # unconfirmed
        }
        return lambda: Letter(account.webhook_url, body, headers)


def product_for(account: PaddleAccount, code: str) -> int:
    """The first product that this coupon is for. Raises WorldError."""
    coupon = account.coupons.get(code)
    ids = coupon.product_ids if coupon and coupon.product_ids else account.products
    for product_id in ids:
        return product_id
    raise WorldError("The account has no products.")


def taken_off(coupon: Coupon, total: Decimal) -> Decimal:
    """How much a coupon takes off a sum of money."""
    if coupon.discount_type == "flat":
        return min(coupon.amount(), total)
    return (total * coupon.amount() / 100).quantize(CENT)


CHECKOUT = web.AppKey("checkout", Checkout)
