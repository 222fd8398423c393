"""A running sandbox, a shop that takes webhooks, and LINE's own client."""

import http.server
import threading

import pytest

from sandbox.testing import start_sandbox
from sandbox.tests.pictures import Gallery

HANA = "U" + "a1" * 16
KEN = "U" + "b2" * 16
LIN = "U" + "c3" * 16
TOKEN, SECRET = "a-token", "a-secret"


class Shop:
    """A tiny server that keeps what it is sent; `statuses` are its next answers."""

    def __init__(self):
        self.received: list[tuple[bytes, str]] = []
        self.letters: list[tuple[bytes, dict[str, str]]] = []  # body and headers
        self.statuses: list[int] = []
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                shop.received.append((body, self.headers["X-Line-Signature"]))
                shop.letters.append((body, dict(self.headers)))
                self.send_response(shop.statuses.pop(0) if shop.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                """Keep the test output clean."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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
