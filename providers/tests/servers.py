"""Real servers on a port of their own that answer well, badly or never."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

END = b"\r\n\r\n"


class Server:
    """Runs `answer(connection, request)` for each connection, in a thread of its own."""

    def __init__(self, answer, tls: ssl.SSLContext | None = None):
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._answer: Callable[[socket.socket, bytes], None] = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        with self._listener:
            while not self.stopped.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                self._talk(connection)
            else:
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._talk(secure)

    def _talk(self, connection):
        while not self.stopped.is_set():
            try:
                request = read_request(connection, self.stopped)
            except TimeoutError:
                continue
            if not request:
                return
            self.requests.append(request)
            self._answer(connection, request)

    def stop(self):
        self.stopped.set()
        for thread in self._threads:
            thread.join(10)


def read_request(connection, stopped) -> bytes:
    """One whole request, or b"" when the client has gone."""
    connection.settimeout(0.02)
    data = b""
    while END not in data or len(data) < _length(data):
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            if stopped.is_set():
                return b""
            continue
        if not piece:
            return b""
        data += piece
    connection.settimeout(5)
    return data


def _length(data: bytes) -> int:
    head, _, _ = data.partition(END)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + len(END) + int(line.split(b":")[1])
    return len(head) + len(END)


@contextlib.contextmanager
def serving(answer, tls=None) -> Iterator[Server]:
    server = Server(answer, tls)
    try:
        yield server
    finally:
        server.stop()


def reply(status: int, body: bytes = b"{}", **headers: str):
    """An answer that keeps the connection open."""
    lines = [f"HTTP/1.1 {status} Something", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    whole = "\r\n".join(lines).encode("latin-1") + END + body

    def answer(connection, request):
        connection.sendall(whole)

    return answer


def trickle(start: bytes, drop: bytes):
    """`start`, then `drop` again and again for as long as anybody listens."""

    def answer(connection, request):
        connection.sendall(start)
        for _ in range(400):
            connection.sendall(drop)
            threading.Event().wait(0.05)

    answer.is_endless = True  # type: ignore[attr-defined]
    return answer


def cut(start: bytes):
    """`start`, then the connection ends."""

    def answer(connection, request):
        connection.sendall(start)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def reset(connection, request):
    """A reset instead of an answer."""
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()


def silence(connection, request):
    """No answer, for longer than any test waits."""
    with contextlib.suppress(OSError):
        connection.recv(1)


def patience(answer) -> float:
    """Seconds for a call: a busy machine may take long over an answer that does come."""
    return 0.5 if getattr(answer, "is_endless", answer is silence) else 5.0


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
