"""Paddle accounts: their settings, and the coupons and payments in them."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.book import Book
from sandbox.errors import WorldError

KEY_BITS = 2048  # Paddle's own have 4096, which take seconds to make
ALERTS = (
    "payment_succeeded",
    "payment_refunded",
    "subscription_payment_succeeded",
    "subscription_payment_refunded",
    "locker_processed",
)
CURRENCY = re.compile(r"[A-Z]{3}")
PRICE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")


@dataclass(slots=True)
class Product:
    """Something a seller sells: once, or by subscription (then it is a plan)."""

    id: int
    name: str
    price: str = "20.00"
    is_plan: bool = False


@dataclass(slots=True)
class Coupon:
    """One coupon. Paddle knows it by its code alone; `number` is the sandbox's own."""

    number: int
    code: str
    coupon_type: str
    discount_type: str
    discount_amount: str  # as create takes it: 25 is 25 per cent
    currency: str
    allowed_uses: int
    product_ids: list[int] = field(default_factory=list)
    times_used: int = 0
    recurring: bool = False
    expires: str = ""  # YYYY-MM-DD: it ends as this day begins, in UTC
    minimum_threshold: str = ""
    group: str = ""
    description: str = ""

    def is_valid(self, at: float) -> bool:
        """Neither over nor used up, `at` in seconds since 1970."""
        today = datetime.fromtimestamp(at, UTC).date().isoformat()
        is_over = bool(self.expires) and self.expires <= today
        return not is_over and self.times_used < self.allowed_uses

    def amount(self) -> Decimal:
        return Decimal(self.discount_amount)


@dataclass(slots=True)
class Payment:
    """What somebody paid at the checkout, and what was told of it, oldest first."""

    order_id: str
    at: float
    coupon: str
    product_id: int
    quantity: int
    gross: str
    email: str
    subscription_id: str = ""
    is_refunded: bool = False
    alerts: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class PaddleAccount:
    """A seller's account."""

    name: str
    vendor_id: int
    auth_code: str
    currency: str = "USD"  # of its balance
    webhook_url: str = ""
    alerts: list[str] = field(default_factory=lambda: list(ALERTS[:4]))
    products: dict[int, Product] = field(default_factory=dict)
    private_key: str = ""  # DER in base64; made when it is first needed
    # Paddle's documentation leaves these open, and accounts were seen to differ.
    needs_currency: bool = False  # 134 for a percentage without a currency
    tells_currency: bool = False  # else discount_currency is null, as seen
    list_needs_product: bool = False
    delete_needs_product: bool = False  # for a coupon of products
    refund_gives_back: bool = False  # whether times_used goes down again
    coupons: dict[str, Coupon] = field(default_factory=dict, repr=False)
    payments: dict[str, Payment] = field(default_factory=dict, repr=False)
    made: int = 0  # coupons so far, deleted ones too

    def settings(self) -> dict[str, Any]:
        """The part a person may set, as JSON can say it."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        del kept["coupons"], kept["payments"], kept["made"]
        return kept | {"products": [asdict(p) for p in self.products.values()]}

    def product(self, product_id: int) -> Product:
        """Raises WorldError."""
        if product_id not in self.products:
            raise WorldError(f"There is no product {product_id}.")
        return self.products[product_id]

    def group(self, name: str) -> list[Coupon]:
        """The coupons of a group, oldest first."""
        return [c for c in self.coupons.values() if c.group == name]


class PaddleBook(Book[PaddleAccount]):
    """All Paddle accounts of the sandbox."""

    provider = "Paddle"

    def new_account(self, name: str) -> PaddleAccount:
        known = {account.vendor_id for account in self.accounts.values()}
        vendor_id = next(n for n in range(12345, 99999) if n not in known)
        auth_code = hashlib.sha256(f"paddle {name}".encode()).hexdigest()[:40]
        return PaddleAccount(name, vendor_id, auth_code, products=example_products())

    def check(self, account: PaddleAccount, settings: dict[str, Any]) -> dict[str, Any]:
        for key, value in settings.items():
            _check(key, value, type(getattr(account, key)))
        if "products" in settings:
            settings["products"] = products_of(settings["products"])
        vendor_id = settings.get("vendor_id", account.vendor_id)
        other = self.of_vendor(vendor_id)
        if other is not None and other.name != account.name:
            raise WorldError(f"{other.name!r} has the vendor id {vendor_id} already.")
        return settings

    def of_vendor(self, vendor_id: int) -> PaddleAccount | None:
        """The account with this vendor id."""
        accounts = self.accounts.values()
        return next((a for a in accounts if a.vendor_id == vendor_id), None)

    def private_key(self, account: PaddleAccount) -> rsa.RSAPrivateKey:
        """What its alerts are signed with; made and kept when there is none."""
        if not account.private_key:
            account.private_key = new_private_key()
            self.save_account(account)
        return read_private_key(account.private_key)

    def public_key(self, account: PaddleAccount) -> str:
        """PEM, as Paddle's dashboard shows it."""
        key = self.private_key(account).public_key()
        return key.public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        ).decode()

    def drop_product(self, account: PaddleAccount, product_id: int) -> None:
        """Sell it no more; coupons keep its id. Raises WorldError."""
        account.product(product_id)
        left = {
            key: kept for key, kept in account.products.items() if key != product_id
        }
        self.put(account.name, products=[asdict(product) for product in left.values()])

    # Coupons and payments

    def next_number(self, account: PaddleAccount) -> int:
        """For a new coupon; they stay in the order they were made."""
        account.made += 1
        return account.made

    def save_coupon(self, account: PaddleAccount, coupon: Coupon) -> None:
        """Keep a coupon, a new one too."""
        account.coupons[coupon.code] = coupon
        self._keep("coupon", account.name, str(coupon.number), asdict(coupon))

    def rename_coupon(self, account: PaddleAccount, coupon: Coupon, code: str) -> None:
        """Give it another code; it keeps its place among the others."""
        old, coupon.code = coupon.code, code
        account.coupons = {
            code if known == old else known: kept
            for known, kept in account.coupons.items()
        }
        self.save_coupon(account, coupon)

    def drop_coupon(self, account: PaddleAccount, coupon: Coupon) -> None:
        del account.coupons[coupon.code]
        self._forget("coupon", account.name, str(coupon.number))

    def save_payment(self, account: PaddleAccount, payment: Payment) -> None:
        """Keep a payment, a new one too."""
        account.payments[payment.order_id] = payment
        self._keep("payment", account.name, payment.order_id, asdict(payment))

    def _load(self) -> None:
        for name, _, data in sorted(self._kept("coupon"), key=_by_number):
            account, coupon = self.accounts[name], Coupon(**data)
            account.coupons[coupon.code] = coupon
            account.made = coupon.number
        for name, order_id, data in self._kept("payment"):
            self.accounts[name].payments[order_id] = Payment(**data)


def _by_number(row: tuple[str, str, dict[str, Any]]) -> int:
    return int(row[2]["number"])


def new_private_key() -> str:
    """An RSA key as the sandbox keeps it: DER in base64, on one line."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return base64.b64encode(der).decode()


def read_private_key(text: str) -> rsa.RSAPrivateKey:
    """Raises WorldError."""
    try:
        der = base64.b64decode(text, validate=True)
        key = serialization.load_der_private_key(der, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise WorldError("A Paddle key is an RSA private key: DER, in base64.")
    return key


def example_products() -> dict[int, Product]:
    """What a new account sells; the first three are those of Paddle's own example."""
    return products_of(
        [
            {"id": 510509, "name": "Coffee course", "price": "40.00"},
            {"id": 511520, "name": "Latte art videos", "price": "25.00"},
            {"id": 508649, "name": "Brewing guide", "price": "9.50"},
            {"id": 520001, "name": "Bean club", "price": "15.00", "is_plan": True},
        ]
    )


def products_of(rows: Any) -> dict[int, Product]:
    """Products by id, of objects or of ids alone. Raises WorldError."""
    return {product.id: product for product in _products(rows)}


def _products(rows: Any) -> Iterator[Product]:
    for row in rows if isinstance(rows, list) else []:
        data = row if isinstance(row, dict) else {"id": row, "name": f"Product {row}"}
        try:
            product = Product(**data)
        except TypeError:
            raise WorldError("A product has an id, a name, a price, is_plan.") from None
        if type(product.id) is not int or product.id < 1:
            raise WorldError("The id of a product is a whole number from 1 on.")
        if not PRICE.fullmatch(str(product.price)):
            raise WorldError("The price of a product is a number like 20.00.")
        yield product


def _check(key: str, value: object, kind: type) -> None:
    kind = list if kind is dict else kind
    if type(value) is not kind:
        raise WorldError(f"{key} cannot be {value!r}.")
    if key == "currency" and not CURRENCY.fullmatch(str(value)):
        raise WorldError("A currency has three capital letters.")
    if key == "auth_code" and not value:
        raise WorldError("An account needs an auth code.")
    if key == "private_key" and value:
        read_private_key(str(value))
    if key == "alerts" and isinstance(value, list) and set(value) - set(ALERTS):
        raise WorldError(f"Alerts are {', '.join(ALERTS)}.")
