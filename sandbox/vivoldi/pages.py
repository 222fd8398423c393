"""Vivoldi's dashboard, and the page of a coupon that customers and staff see."""

import re
from datetime import timedelta
from typing import Any

from aiohttp import web

from sandbox.calls import WORLD
from sandbox.dashboard import SHOWN, account_of, back, draw, found_in, tried
from sandbox.errors import WorldError
from sandbox.pages import form_of, local, page
from sandbox.vivoldi import rules
from sandbox.vivoldi.book import (
    GROUP_FIELDS,
    VivoldiAccount,
    VivoldiBook,
    VivoldiCoupon,
)
from sandbox.vivoldi.rules import VivoldiError
from sandbox.vivoldi.uses import TELLER

COUPONS, ACCOUNT = "/vivoldi", "/vivoldi/account"
PUBLIC = "/vivoldi.com/coupon/{number}"
NUMBERS = frozenset({"disc", *rules.WHOLE})


def book_of(request: web.Request) -> VivoldiBook:
    return request.app[WORLD].vivoldi


# Coupons


async def coupons_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    text = request.query.get("q", "")[:100]
    found = [
        coupon
        for coupon in reversed(account.coupons.values())
        if found_in(text, coupon.cpnNo, coupon.data["nm"], coupon.data["userId"])
    ]
    start = account.today(book.now())
    return draw(
        request,
        "vivoldi/coupons.html",
        account,
        book,
        rows=[coupon_row(account, c, book.now()) for c in found[:SHOWN]],
        count=len(found),
        search=text,
        start=start.isoformat(),
        end=(start + timedelta(days=30)).isoformat(),
        currencies=list(rules.SYMBOLS),
    )


def coupon_row(
    account: VivoldiAccount, coupon: VivoldiCoupon, at: float
) -> dict[str, Any]:
    """A coupon as tables and pages show it."""
    shown = account.shown(coupon)
    group = account.group(int(coupon.data["grpIdx"]))
    return shown | {
        "number": coupon.cpnNo,
        "discount": rules.discount_words(coupon.data),
        "used": len(coupon.uses),
        "limit": coupon.limit or "∞",
        "group": group.name if group else "",
        "beats": group.beats if group else {},
        "problem": problem_of(account, coupon, at),
        "made": f"{local(coupon.made_at):%d %b %H:%M}",
    }


def problem_of(account: VivoldiAccount, coupon: VivoldiCoupon, at: float) -> str:
    """Why it cannot be used now; empty if it can."""
    try:
        rules.check_usable(account, coupon, at)
    except VivoldiError as error:
        return str(error)
    return ""


async def add_coupon(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)

    def work(form: dict[str, str]) -> str:
        return f"{rules.create(book, account, as_sent(form))} is made."

    return await tried(request, COUPONS, work)


def as_sent(form: dict[str, str]) -> dict[str, Any]:
    """A form's texts as the API would get them; what is empty is left out."""
    return {name: _value(name, text) for name, text in form.items() if text}


def _value(name: str, text: str) -> Any:
    if name not in NUMBERS:
        return text
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,4})?", text):
        raise rules.bad(f"{name} is a number.")
    return float(text) if name == "disc" else int(float(text))


def chosen(request: web.Request, account: VivoldiAccount) -> VivoldiCoupon:
    """The coupon that the address names. Raises VivoldiError."""
    return rules.found(account, request.match_info["number"])


async def coupon_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    try:
        coupon = chosen(request, account)
    except VivoldiError as error:
        return back(request, COUPONS, error=str(error))
    uses = [
        use
        | {"clock": f"{local(use['at']):%d %b %H:%M}", "words": rules.WAYS[use["way"]]}
        for use in reversed(coupon.uses)
    ]
    row = coupon_row(account, coupon, book.now())
    return draw(
        request,
        "vivoldi/coupon.html",
        account,
        book,
        row=row,
        coupon=coupon.data,
        uses=uses,
        public=PUBLIC.format(number=coupon.cpnNo),
    )


async def coupon_form(request: web.Request) -> web.StreamResponse:
    """The coupon's page: save it, use it by hand, or delete it."""
    book = book_of(request)
    account = account_of(request, book)
    number = request.match_info["number"]

    def work(form: dict[str, str]) -> str:
        does = form.pop("do", "")
        if does == "delete":
            rules.delete(book, account, number)
            return f"{number} is deleted."
        sent: dict[str, Any] = {"cpnNo": number}
        if does == "use":
            sent["memo"] = form.get("memo", "")
            request.app[TELLER].redeem(account, sent, way="dashboard")
            return f"{number} is used."
        rules.update(book, account, sent | saved(form))
        return f"{number} is saved."

    is_going = (await form_of(request)).get("do") == "delete"
    path = COUPONS if is_going else request.path
    return await tried(request, path, work, again=request.path)


def saved(form: dict[str, str]) -> dict[str, Any]:
    """What the page of a coupon sends; there an empty field empties it."""
    return {
        name: _value(name, text) if name in NUMBERS else text
        for name, text in form.items()
    }


# Account


async def account_page(request: web.Request) -> web.StreamResponse:
    book = book_of(request)
    account = account_of(request, book)
    fields = sorted(GROUP_FIELDS)
    return draw(request, "vivoldi/account.html", account, book, fields=fields)


async def account_form(request: web.Request) -> web.StreamResponse:
    """Where webhooks go, and a group more."""
    book = book_of(request)
    account = account_of(request, book)

    def work(form: dict[str, str]) -> str:
        if form.get("do") == "group":
            book.put(account.name, groups=[*account.groups, new_group(account, form)])
            return "The group is made."
        book.put(account.name, webhook_url=form.get("webhook_url", ""))
        return "Saved."

    return await tried(request, ACCOUNT, work)


def new_group(account: VivoldiAccount, form: dict[str, str]) -> dict[str, Any]:
    """A group of the form's name, which overrules one field if one is given."""
    name, field = form.get("name", "")[:100], form.get("field", "")
    if not name:
        raise WorldError("A group needs a name.")
    numbers = [group["grpIdx"] for group in account.groups]
    beats = {field: form.get("value", "")} if field else {}
    return {"grpIdx": max(numbers, default=300) + 1, "name": name, "beats": beats}


# The public page


async def public_page(request: web.Request) -> web.StreamResponse:
    """What a customer sees of a coupon, with a button for store staff if it has one."""
    return show_public(request)


def show_public(
    request: web.Request, error: str = "", *, is_done: bool = False
) -> web.Response:
    book, number = book_of(request), request.match_info["number"]
    for account in book.accounts.values():
        if number in account.coupons:
            row = coupon_row(account, account.coupons[number], book.now())
            look = f"color: {row['color']}; background-color: {row['background']}"
            return page(
                request,
                "vivoldi/public.html",
                row=row,
                look=look,
                template=account.templates.get(str(row["tmplIdx"]), ""),
                link=row["url"] if re.match(r"https?://", row["url"]) else "",
                error=error,
                is_done=is_done,
            )
    raise web.HTTPNotFound(text="There is no such coupon.")


async def redeem(request: web.Request) -> web.StreamResponse:
    """Staff typed the on-site password on a customer's page."""
    book, number = book_of(request), request.match_info["number"]
    password = (await form_of(request)).get("password", "")
    for account in book.accounts.values():
        if number in account.coupons:
            try:
                use_on_site(request, account, number, password)
            except VivoldiError as error:
                return show_public(request, str(error))
            return show_public(request, is_done=True)
    raise web.HTTPNotFound(text="There is no such coupon.")


def use_on_site(
    request: web.Request, account: VivoldiAccount, number: str, password: str
) -> None:
    """Raises VivoldiError."""
    if account.shown(account.coupons[number])["onsiteYn"] != "Y":
        raise rules.bad("This coupon cannot be redeemed on its page.")
    sent = {"cpnNo": number, "onsitePwd": password, "memo": "On site"}
    request.app[TELLER].redeem(account, sent, way="page")


def routes() -> list[web.AbstractRouteDef]:
    """All under /vivoldi, and the public page."""
    return [
        web.get(COUPONS, coupons_page),
        web.post(COUPONS, add_coupon),
        web.get("/vivoldi/coupons/{number}", coupon_page),
        web.post("/vivoldi/coupons/{number}", coupon_form),
        web.get(ACCOUNT, account_page),
        web.post(ACCOUNT, account_form),
        web.get(PUBLIC, public_page),
        web.post(PUBLIC, redeem),
    ]
