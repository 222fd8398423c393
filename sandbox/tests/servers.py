"""A tiny web server in a thread of its own."""

import http.server
import threading
from typing import Any


class Server(http.server.ThreadingHTTPServer):
    """What handlers are given; its `owner` says what to answer and keeps what came."""

    owner: Any


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server

    def log_message(self, *arguments):
        """Keep the test output clean."""


class Listener:
    """Listens on a port of its own until it is closed; `handler` answers."""

    handler: type[Handler]

    def __init__(self):
        self._server = Server(("127.0.0.1", 0), self.handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
