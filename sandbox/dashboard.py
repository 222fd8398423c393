"""What the dashboards of Paddle and Vivoldi have in common."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from sandbox.book import Account, Book
from sandbox.calls import WORLD
from sandbox.errors import WorldError
from sandbox.pages import channel_of, form_of, frame, page

SHOWN = 100  # rows of a table; the search finds the others


def account_of(request: web.Request, book: Book[Account]) -> Account:
    """The account a page is about. Raises HTTPNotFound."""
    try:
        return book.account(request.query.get("account"))
    except WorldError as error:
        raise web.HTTPNotFound(text=str(error)) from None


def draw(
    request: web.Request, template: str, account: Any, book: Book[Any], **values: Any
) -> web.Response:
    """A page of a dashboard, with the tabs of the accounts if there are several."""
    several = len(book.accounts) > 1
    query = "?" + urlencode({"account": account.name}) if several else ""
    head = frame(request, channel_of(request)) | {
        "channels": [],
        "suffix": "",
        "account": account,
        "accounts": list(book.accounts) if several else [],
        "query": query,
        "place": request.path,
        "done": request.query.get("done", "")[:200],
        "now": request.app[WORLD].now(),
    }
    return page(request, template, **head | values)


def back(
    request: web.Request, path: str, *, error: str = "", done: str = "", **more: str
) -> web.StreamResponse:
    """To a page of the same account, with a sentence of what came of it."""
    query = {"account": request.query.get("account", ""), "error": error, "done": done}
    text = urlencode({name: v for name, v in (query | more).items() if v})
    location = f"{path}?{text}" if text else path
    return web.Response(status=303, headers={"Location": location})


async def tried(
    request: web.Request,
    path: str,
    work: Callable[[dict[str, str]], str],
    *,
    again: str = "",
    **more: str,
) -> web.StreamResponse:
    """Do what a form asks for; then to `path` with what `work` says.

    After its ValueError to `again`, with `more` in the query, if that is given.
    """
    form = {name: text.strip() for name, text in (await form_of(request)).items()}
    try:
        return back(request, path, done=work(form))
    except ValueError as error:
        return back(request, again or path, error=str(error), **more)


def found_in(text: str, *places: str) -> bool:
    """Whether the words of a search are in one of the places."""
    wanted = text.casefold().strip()
    return any(wanted in place.casefold() for place in places)
