"""Stands before a server, passes everything on, and keeps what was said."""

import contextlib
import http.server
import threading
from dataclasses import dataclass, field

import requests

PASSED_ON = ("Authorization", "Content-Type", "X-Line-Retry-Key", "User-Agent")


@dataclass
class Exchange:
    """One request and its answer. `is_ours`: one of our own clients sent it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    is_ours: bool
    status: int = 0
    answer: bytes = b""


@dataclass
class Recorder:
    """A server at `url` that stands for the one at `target`."""

    target: str
    exchanges: list[Exchange] = field(default_factory=list)
    is_ours: bool = True

    def __enter__(self):
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                recorder.pass_on(self)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *arguments):
                """Keep the test output clean."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextlib.contextmanager
    def of_others(self):
        """What is sent meanwhile is not by our clients, and may be wrong."""
        self.is_ours = False
        yield
        self.is_ours = True

    def pass_on(self, handler):
        """Ask the server behind, keep both, and give its answer back."""
        size = int(handler.headers.get("Content-Length") or 0)
        path, _, query = handler.path.partition("?")
        said = {n: handler.headers[n] for n in PASSED_ON if n in handler.headers}
        kept = Exchange(
            handler.command, path, query, said, handler.rfile.read(size), self.is_ours
        )
        answer = requests.request(
            kept.method,
            self.target + handler.path,
            data=kept.body,
            headers=said,
            allow_redirects=False,
            timeout=10,
        )
        kept.status, kept.answer = answer.status_code, answer.content
        self.exchanges.append(kept)
        handler.send_response(answer.status_code)
        handler.send_header("Content-Type", answer.headers["Content-Type"])
        handler.send_header("Content-Length", str(len(answer.content)))
        handler.end_headers()
        handler.wfile.write(answer.content)
