"""HTTP for all provider clients: few hosts, no redirects, and an end to every call.

`requests` bounds each read, and urllib3's total is checked between reads only, so a
server that sends a byte a second could hold a worker for ever. Here every socket
operation gets the time that is left of the whole call as its timeout: plain sockets
and TLS sockets alike, from the name's look-up to the last byte of the body.

What the sockets need to know of the call lies in a thread-local, because a call is made
by one thread from beginning to end.
"""

import functools
import ipaddress
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from providers.answers import Answer
from providers.errors import Unclear, Unreachable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

DEADLINE = 15.0  # s, wall clock, for everything
CONNECT = 3.0  # s of it: name, TCP and TLS
MAX_BODY = 1_000_000  # bytes
_PIECE = 65_536  # bytes
_USER_AGENT = "coupon-back-office"

_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Http:
    """Calls to the hosts of `base_urls`, and to nobody else.

    https to public addresses only, unless `allow_local`. `deadline` and `connect` are
    seconds.
    """

    base_urls: tuple[str, ...]
    allow_local: bool = False
    deadline: float = DEADLINE
    connect: float = CONNECT

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Ask once and give the answer, whatever its status.

        Raises Unreachable (nothing was sent) or Unclear (something may have been).
        """
        if not self._is_allowed(url):
            raise Unreachable("This address is not one of the provider's.")
        call = _Call(self.deadline, self.connect, self.allow_local)
        answer, problem = _ask(call, method, url, headers or {}, body)
        # Raised out here so that no `__context__` leads to a request and its token.
        if problem is None and answer is not None:
            return answer
        if not call.is_sent:
            raise Unreachable(f"Could not be reached: {problem}.")
        raise Unclear(f"No whole answer: {problem}.", answer)

    def _is_allowed(self, url: str) -> bool:
        origin = _origin(url)
        if origin is None or (origin[0] != "https" and not self.allow_local):
            return False
        return any(_origin(base) == origin for base in self.base_urls)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet and hides no other."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        tunnels = ip.ipv4_mapped or ip.sixtofour or ip.teredo
        return ip in _GLOBAL_V6 and ip.is_global and tunnels is None
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def close_sessions() -> None:
    """Close this thread's connections; the next call opens new ones."""
    kept = _thread.sessions
    _thread.sessions = {}
    for session in kept.values():
        session.close()


class _Call:
    """The clock of one call, and what its sockets saw of it."""

    def __init__(self, deadline: float, connect: float, allow_local: bool) -> None:
        began = time.monotonic()
        self.allow_local = allow_local
        self.is_sent = False
        self.is_ended = False  # the other side has closed the connection
        self._ends = began + deadline
        self._connect_ends = min(began + connect, self._ends)

    def left(self) -> float:
        return _until(self._ends)

    def connect_left(self) -> float:
        return _until(self._connect_ends)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.call = _Call(0, 0, False)
        self.sessions: dict[tuple[int, bool], requests.Session] = {}


_thread = _Thread()


class _NotPublic(OSError):
    """The name leads to an address that is not on the public Internet."""


class _TooLong(OSError):
    """The body is longer than MAX_BODY."""


class _Socket(socket.socket):
    """A plain socket that no operation holds longer than the call may last."""

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0
    ) -> int:
        self.settimeout(_thread.call.left())
        return _noted(super().recv_into(buffer, nbytes, flags))

    def sendall(self, data: "ReadableBuffer", flags: int = 0) -> None:
        self.settimeout(_thread.call.left())
        _thread.call.is_sent = True
        super().sendall(data, flags)


class _TLSSocket(ssl.SSLSocket):
    """The same over TLS; the handshake is not `send`, so it does not count as sent."""

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        self.settimeout(_thread.call.left())
        return _noted(super().recv_into(buffer, nbytes, flags))

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        self.settimeout(_thread.call.left())
        _thread.call.is_sent = True
        return super().send(data, flags)


def _noted(received: int) -> int:
    if received == 0:
        _thread.call.is_ended = True
    return received


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _TLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self._dns_host, self.port)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=_tls())
        self.poolmanager.pool_classes_by_scheme = {
            "http": _PlainPool,
            "https": _TLSPool,
        }

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the context alone: it trusts the system's CAs, not those of certifi."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: Any) -> None:
        """None: even when not following, requests would read a 302's body whole."""


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """One context for all threads; reading the system's CAs takes a while."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TLSSocket
    return context


def _session(allow_local: bool) -> requests.Session:
    """This thread's session: never one from before a fork, nor of the other rule.

    A connection to a local address must not serve a call that may not go there.
    """
    key = (os.getpid(), allow_local)
    if key not in _thread.sessions:
        session = _Session()
        session.trust_env = False
        session.headers.clear()
        session.headers["User-Agent"] = _USER_AGENT
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # 32 threads share nothing: each has a session, which needs one connection a
        # host. The pool is wider only so that no connection is ever thrown away.
        adapter = _Adapter(pool_connections=8, pool_maxsize=32, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        _thread.sessions[key] = session
    return _thread.sessions[key]


def _ask(
    call: _Call,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> tuple[Answer | None, str | None]:
    """The answer as far as it came, and what went wrong with it or None."""
    _thread.call = call
    status = None
    received = bytearray()
    found: dict[str, str] = {}
    problem = None
    try:
        session = _session(call.allow_local)
        question = session.prepare_request(
            requests.Request(method, url, headers=dict(headers), data=body)
        )
        with session.send(
            question, stream=True, timeout=call.left(), allow_redirects=False
        ) as response:
            if call.is_ended:  # http.client takes that for the end of the headers
                raise ConnectionError
            found = {name.lower(): text for name, text in response.headers.items()}
            status = response.status_code
            while piece := response.raw.read(_PIECE, decode_content=False):
                received += piece
                if len(received) > MAX_BODY:
                    raise _TooLong
    # requests and urllib3 each let some errors of the layers below through; a header
    # that cannot be encoded is a ValueError whose text would quote the token.
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        problem = _in_words(error)
    if status is None:
        return None, problem
    return Answer(status, found, bytes(received[:MAX_BODY])), problem


def _connect(host: str, port: int) -> socket.socket:
    call = _thread.call
    addresses = _resolve(host.strip("[]"), port, call.connect_left())
    problem: OSError = _NotPublic()
    for tried, (family, address) in enumerate(addresses):
        if not call.allow_local and not is_public(str(address[0])):
            continue
        sock = _Socket(family, socket.SOCK_STREAM)
        try:
            # Shared out, so that a dead first address leaves time for the next.
            sock.settimeout(call.connect_left() / (len(addresses) - tried))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
            sock.settimeout(call.connect_left())  # for the TLS handshake
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _resolve(host: str, port: int, seconds: float) -> list[tuple[int, Any]]:
    """Look a name up; getaddrinfo knows no timeout, so it waits in its own thread."""
    answers: queue.SimpleQueue[list[tuple[int, Any]] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, address) for family, _, _, _, address in found])
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else socket.gaierror())

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _until(instant: float) -> float:
    left = instant - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for anything that two parsers might read in two ways.

    Userinfo, backslashes, blanks and control characters are how a URL looks like one
    host and leads to another.
    """
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\"):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return None
    default = 443 if parts.scheme == "https" else 80
    host = parts.hostname
    return (parts.scheme, host, default if port is None else port) if host else None


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (_NotPublic, "the address is not a public one"),
    (_TooLong, f"it is longer than {MAX_BODY} bytes"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (socket.gaierror, "no such host name"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection lost"),
    (TimeoutError, "out of time"),
    (ssl.SSLError, "TLS failed"),
)


def _in_words(error: BaseException) -> str:
    """Our own words for the first known cause: others' may quote what was sent."""
    chain: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and cause not in chain:
            chain.append(cause)
            reason = getattr(cause, "reason", None)
            waiting += [cause.__context__, cause.__cause__, reason, *cause.args]
    for kind, words in _WORDS:
        if any(isinstance(cause, kind) for cause in chain):
            return words
    return type(error).__name__
