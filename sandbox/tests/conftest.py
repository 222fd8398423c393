"""A running sandbox, a shop that takes webhooks, and LINE's own client."""

import pytest

from sandbox.testing import start_sandbox
from sandbox.tests.pictures import Gallery
from sandbox.tests.servers import Handler, Listener

HANA = "U" + "a1" * 16
KEN = "U" + "b2" * 16
LIN = "U" + "c3" * 16
TOKEN, SECRET = "a-token", "a-secret"


class HookHandler(Handler):
    def do_POST(self):
        shop = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        shop.received.append((body, self.headers["X-Line-Signature"]))
        shop.letters.append((body, dict(self.headers)))
        self.send_response(shop.statuses.pop(0) if shop.statuses else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Shop(Listener):
    """Keeps what it is sent; `statuses` are its next answers."""

    handler = HookHandler

    def __init__(self):
        self.received: list[tuple[bytes, str]] = []
        self.letters: list[tuple[bytes, dict[str, str]]] = []  # body and headers
        self.statuses: list[int] = []
        super().__init__()
        self.url += "/hook"


@pytest.fixture
def shop():
    server = Shop()
    yield server
    server.close()


@pytest.fixture
def gallery():
    server = Gallery()
    yield server
    server.close()


@pytest.fixture
def line():
    with start_sandbox(token=TOKEN, secret=SECRET) as sandbox:
        sandbox.add_friend(HANA, "Hana")
        sandbox.add_friend(KEN, "Ken")
        yield sandbox


@pytest.fixture
def open_page(browser):
    """Opens pages in contexts of their own; nothing at all may complain meanwhile."""
    from testing import browsing

    opened = []

    def open_page(**options):
        opened.append(page := browsing.open_page(browser, **options))
        return page

    yield open_page
    for page in opened:
        page.context.close()
    complaints = [page.complaints for page in opened]  # type: ignore[attr-defined]
    assert not any(complaints), complaints


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(request, open_page):
    return open_page(java_script_enabled=request.param)
