"""Paddle's dashboard and checkout, as far as coupons need them."""

from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.dashboard import SHOWN, account_of, back, draw, found_in, tried
from sandbox.errors import WorldError
from sandbox.paddle import rules
from sandbox.paddle.book import Coupon, PaddleAccount, PaddleBook, Payment
from sandbox.paddle.checkout import CHECKOUT, product_for
from sandbox.pages import local

COUPON = "/paddle/coupon"
COUPONS, CHECK, ACCOUNT = "/paddle", "/paddle/checkout", "/paddle/account"
EDITED = "product_ids allowed_uses expires minimum_threshold discount_amount".split()


def book_of(request: web.Request) -> PaddleBook:
    return request.app[WORLD].paddle


# Coupons


async def coupons_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    text = request.query.get("q", "")[:100]
    found = [
        coupon
        for coupon in reversed(account.coupons.values())
        if found_in(text, coupon.code, coupon.group, coupon.description)
    ]
    return draw(
        request,
        "paddle/coupons.html",
        account,
        book,
        rows=[coupon_row(account, c, book.now()) for c in found[:SHOWN]],
        count=len(found),
        search=text,
    )


def coupon_row(account: PaddleAccount, coupon: Coupon, at: float) -> dict[str, Any]:
    """A line of the table of coupons."""
    amount = f"{coupon.amount():f}"
    flat = f"{coupon.currency} {amount}"
    limit = coupon.allowed_uses
    return {
        "code": coupon.code,
        "description": coupon.description,
        "group": coupon.group,
        "discount": f"{amount} %" if coupon.discount_type == "percentage" else flat,
        "products": product_words(account, coupon),
        "used": coupon.times_used,
        "limit": "∞" if limit >= rules.WITHOUT_END else str(limit),
        "expires": coupon.expires,
        "is_valid": coupon.is_valid(at),
    }


def product_words(account: PaddleAccount, coupon: Coupon) -> str:
    if coupon.coupon_type == "checkout" and not coupon.product_ids:
        return "Whole checkout"
    known = account.products
    names = [known[i].name if i in known else str(i) for i in coupon.product_ids]
    return ", ".join(names) or "No product"


async def add_coupons(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)

    def work(form: dict[str, str]) -> str:
        codes = rules.create(book, account, only_given(form))
        return f"{codes[0]} is made." if len(codes) == 1 else f"{len(codes)} are made."

    return await tried(request, COUPONS, work)


def only_given(form: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in form.items() if text}


async def coupon_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    coupon = account.coupons.get(request.query.get("code", ""))
    if coupon is None:
        return back(request, COUPONS, error="There is no such coupon.")
    row = coupon_row(account, coupon, book.now())
    fields = asdict(coupon)
    fields["product_ids"] = ",".join(map(str, coupon.product_ids))
    return draw(request, "paddle/coupon.html", account, book, row=row, coupon=fields)


async def coupon_form(request: web.Request) -> web.StreamResponse:
    """The coupon's page: save it, or delete it."""
    book = book_of(request)
    account = account_of(request, book)
    code = request.query.get("code", "")

    def work(form: dict[str, str]) -> str:
        if form.get("do") == "delete":
            rules.delete(book, account, {"coupon_code": code})
            return f"{code} is deleted."
        rules.update(book, account, edited(account, code, form))
        return f"{form.get('new_coupon_code') or code} is saved."

    return await tried(request, COUPONS, work, again=COUPON, code=code)


def edited(account: PaddleAccount, code: str, form: dict[str, str]) -> dict[str, str]:
    """An update of all fields that the coupon's page has."""
    fields = {name: form.get(name, "") for name in EDITED}
    coupon = account.coupons.get(code)
    if coupon is not None and coupon.expires == fields["expires"]:
        del fields["expires"]  # one that is over may stay so
    return fields | {
        "coupon_code": code,
        "new_coupon_code": form.get("new_coupon_code", ""),
        "new_group": form.get("group", ""),
        "recurring": form.get("recurring", "0"),
        "currency": account.currency,
    }


# Checkout


async def checkout_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    newest = list(reversed(account.payments.values()))[:SHOWN]
    rows = [payment_row(account, p) for p in newest]
    code = request.query.get("code", "")
    wanted = product_for(account, code) if account.products else 0
    return draw(
        request,
        "paddle/checkout.html",
        account,
        book,
        rows=rows,
        code=code,
        wanted=wanted,
    )


def payment_row(account: PaddleAccount, payment: Payment) -> dict[str, Any]:
    product = account.products.get(payment.product_id)
    return {
        "payment": payment,
        "clock": f"{local(payment.at):%d %b %H:%M}",
        "product": product.name if product else str(payment.product_id),
        "sum": f"{account.currency} {payment.gross}",
        "alerts": [alert_row(fields) for fields in payment.alerts],
    }


def alert_row(fields: dict[str, str]) -> dict[str, str]:
    name = fields["alert_name"].replace("_", " ")
    return {"id": fields["alert_id"], "name": name}


async def pay(request: web.Request) -> web.StreamResponse:
    account = account_of(request, book_of(request))

    def work(form: dict[str, str]) -> str:
        payment = request.app[CHECKOUT].pay(
            account,
            number_in(form, "product_id"),
            code=form.get("coupon", ""),
            quantity=number_in(form, "quantity"),
            email=form.get("email") or "buyer@example.com",
        )
        return f"Paid: {account.currency} {payment.gross}."

    return await tried(request, CHECK, work)


def number_in(form: dict[str, str], name: str) -> int:
    text = form.get(name, "")
    if not rules.NUMBER.fullmatch(text):
        raise WorldError(f"{name} is a whole number.")
    return int(text)


async def payment_form(request: web.Request) -> web.StreamResponse:
    """One of the buttons beside a payment was pressed."""
    account = account_of(request, book_of(request))
    till = request.app[CHECKOUT]

    def work(form: dict[str, str]) -> str:
        does, order = form.get("do", ""), form.get("order", "")
        if does == "refund":
            till.refund(account, order)
            return "The money is given back."
        if does == "renew":
            payment = till.renew(account, order)
            return f"Renewed: {account.currency} {payment.gross}."
        till.resend(account, form.get("alert", ""))
        return "The alert is sent again."

    return await tried(request, CHECK, work)


# Account


async def account_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    return draw(
        request,
        "paddle/account.html",
        account,
        book,
        public_key=book.public_key(account),
    )


async def account_form(request: web.Request) -> web.StreamResponse:
    """Where alerts go, what is sold, and what no more."""
    book = book_of(request)
    account = account_of(request, book)

    def work(form: dict[str, str]) -> str:
        if form.get("do") == "product":
            book.put(account.name, products=with_product(account, form))
            return f"{form.get('name')} is on sale."
        if form.get("do") == "drop":
            book.drop_product(account, number_in(form, "id"))
            return f"Product {form['id']} is deleted."
        book.put(account.name, webhook_url=form.get("webhook_url", ""))
        return "Saved."

    return await tried(request, ACCOUNT, work)


def with_product(account: PaddleAccount, form: dict[str, str]) -> list[Any]:
    """What the account sells, and one product more."""
    new = {
        "id": number_in(form, "id"),
        "name": form.get("name", "")[:100],
        "price": form.get("price", ""),
        "is_plan": form.get("is_plan") == "1",
    }
    return [*(asdict(p) for p in account.products.values()), new]


def routes() -> list[web.AbstractRouteDef]:
    """All under /paddle."""
    return [
        web.get(COUPONS, coupons_page),
        web.post(COUPONS, add_coupons),
        web.get(COUPON, coupon_page),
        web.post(COUPON, coupon_form),
        web.get(CHECK, checkout_page),
        web.post(CHECK, pay),
        web.post("/paddle/payment", payment_form),
        web.get(ACCOUNT, account_page),
        web.post(ACCOUNT, account_form),
    ]
