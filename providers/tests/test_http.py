import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from providers.errors import ProviderError, Unclear, Unreachable
from providers.http import MAX_BODY, Http, close_sessions, is_public
from providers.tests.servers import (
    cut,
    refused_port,
    reply,
    reset,
    serving,
    silence,
    trickle,
)

SOON = 0.5  # s
END_OF_TEST = 5  # s; only that it ends at all
TOKEN = "canary-token-6f1d"
OK = b"HTTP/1.1 200 OK\r\n"


def ask(server_url, *, path="/", method="POST", base=None, **options):
    http = Http(
        (base or server_url,), **({"allow_local": True, "deadline": SOON} | options)
    )
    return http.request(
        method,
        server_url + path,
        headers={"Authorization": f"Bearer {TOKEN}"},
        body=b"{}" if method == "POST" else None,
    )


def assert_says_no_secret(error):
    """Neither the error nor anything that hangs on it shows the token."""
    while error is not None:
        assert TOKEN not in str(error) + repr(error)
        error = error.__cause__ or error.__context__


def test_an_answer_comes_back_as_plain_values():
    with serving(reply(418, b"tea", X_Line_Request_Id="r1")) as server:
        answer = ask(server.url, path="/v2/x?y=1")

    assert (answer.status, answer.body) == (418, b"tea")
    assert answer.headers["x-line-request-id"] == "r1"
    assert server.requests[0].startswith(b"POST /v2/x?y=1 HTTP/1.1\r\n")
    assert b"accept-encoding: identity" in server.requests[0].lower()


def test_connections_are_kept_open():
    ports = []

    def answer(connection, request):
        ports.append(connection.getpeername()[1])
        reply(200)(connection, request)

    with serving(answer) as server:
        for _ in range(3):
            ask(server.url)

    assert len(ports) == 3
    assert len(set(ports)) == 1


def test_a_kept_connection_that_the_server_closed_is_replaced():
    last = cut(OK + b"Content-Length: 2\r\n\r\n{}")

    with serving(last) as server:
        ask(server.url)
        time.sleep(0.1)
        assert ask(server.url).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        silence,
        reset,
        cut(b""),
        cut(b"HTTP/1.1 200"),
        cut(OK + b"Content-Type: appl"),
        trickle(OK, b"X-Slow: 1\r\n"),
        trickle(b"HTTP/1.1 200 O", b"K"),
        trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickle(b"SSH-2.0\r\n", b"x"),
    ],
    ids="silence reset nothing cut cut_header header status continue garbage".split(),
)
def test_no_answer_after_the_request_is_unclear(answer):
    began = time.monotonic()
    with serving(answer) as server, pytest.raises(Unclear) as failure:
        ask(server.url)

    assert time.monotonic() - began < END_OF_TEST
    assert failure.value.answer is None
    assert len(server.requests) == 1
    assert_says_no_secret(failure.value)


@pytest.mark.parametrize(
    "answer",
    [
        trickle(OK + b"Content-Length: 500000\r\n\r\n", b"x"),
        trickle(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        trickle(OK + b"\r\n", b"x"),
        cut(OK + b"Content-Length: 10\r\n\r\n12345"),
        cut(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"),
    ],
    ids="length chunks close cut cut_chunks".split(),
)
def test_an_answer_without_its_end_is_unclear_but_its_status_is_told(answer):
    began = time.monotonic()
    with serving(answer) as server, pytest.raises(Unclear) as failure:
        ask(server.url)

    assert time.monotonic() - began < END_OF_TEST
    assert failure.value.answer is not None
    assert failure.value.answer.status == 200
    assert_says_no_secret(failure.value)


def test_reading_stops_after_a_megabyte():
    body = b"x" * (20 * MAX_BODY)

    with serving(reply(200, body)) as server, pytest.raises(Unclear) as failure:
        ask(server.url, deadline=END_OF_TEST)

    assert failure.value.answer is not None
    assert len(failure.value.answer.body) == MAX_BODY


def test_a_megabyte_is_read_whole():
    with serving(reply(200, b"x" * MAX_BODY)) as server:
        assert len(ask(server.url, deadline=END_OF_TEST).body) == MAX_BODY


def test_a_redirect_is_an_answer_and_not_followed():
    with serving(reply(200)) as other:
        with serving(reply(302, b"", Location=other.url)) as server:
            answer = ask(server.url)

        assert answer.status == 302
        assert other.requests == []


def test_the_endless_body_of_a_redirect_is_not_read_for_ever():
    start = b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"

    with serving(trickle(start, b"x" * 100)) as server, pytest.raises(Unclear):
        ask(server.url)


def test_a_compressed_answer_is_not_unpacked():
    with serving(reply(200, b"not gzip", Content_Encoding="gzip")) as server:
        assert ask(server.url).body == b"not gzip"


def test_cookies_are_not_kept():
    with serving(reply(200, Set_Cookie="a=b")) as server:
        ask(server.url)
        ask(server.url)

    assert b"cookie" not in server.requests[1].lower()


def test_a_refused_port_is_unreachable():
    with pytest.raises(Unreachable) as failure:
        ask(f"http://127.0.0.1:{refused_port()}")

    assert_says_no_secret(failure.value)


def test_an_unknown_name_is_unreachable():
    with pytest.raises(Unreachable):
        ask("http://no-such-host.invalid", deadline=END_OF_TEST)


def test_a_connection_that_nobody_accepts_is_unreachable():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # Fill the backlog; further connections are neither made nor refused.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        time.sleep(0.2)
        try:
            with pytest.raises(Unreachable):
                ask(f"http://127.0.0.1:{address[1]}", connect=0.3)
        finally:
            for one in waiting:
                one.close()


def test_a_server_that_does_not_read_ends_the_call_too():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        http = Http((url,), allow_local=True, deadline=SOON)
        began = time.monotonic()
        with pytest.raises(Unclear):
            http.request("POST", url, body=b"x" * 50_000_000)

    assert time.monotonic() - began < END_OF_TEST


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{other}",
        "http://localhost:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:{port}@127.0.0.1:{other}",
        "http://127.0.0.1:{other}\\@127.0.0.1:{port}",
        "http://127.0.0.1:{port}\t.example",
        "http://127.0.0.1:port",
        "ftp://127.0.0.1:{port}",
        "file:///etc/passwd",
        "//127.0.0.1:{port}",
        "",
    ],
)
def test_a_host_that_is_not_listed_is_never_asked(url):
    with serving(reply(200)) as server, serving(reply(200)) as other:
        with pytest.raises(Unreachable):
            ask(
                url.format(port=server.port, other=other.port), base=server.url, path=""
            )

        assert server.requests == other.requests == []


def test_plain_http_and_local_addresses_are_refused_by_default(tls):
    with serving(reply(200)) as plain, serving(reply(200), tls) as secure:
        for url in (plain.url, secure.url, f"https://localhost:{secure.port}"):
            with pytest.raises(Unreachable):
                ask(url, allow_local=False)

        assert plain.requests == secure.requests == []


@pytest.mark.usefixtures("_trusted")
def test_a_connection_to_a_local_address_is_not_lent_to_a_call_that_may_not(tls):
    with serving(reply(200), tls) as server:
        ask(server.url)
        with pytest.raises(Unreachable) as failure:
            ask(server.url, allow_local=False)

        assert len(server.requests) == 1
    assert "not a public one" in str(failure.value)


def test_a_certificate_of_no_known_authority_is_unreachable(tls):
    with serving(reply(200), tls) as server, pytest.raises(Unreachable) as failure:
        ask(server.url, deadline=END_OF_TEST)

    assert "certificate" in str(failure.value)
    assert server.requests == []


@pytest.mark.usefixtures("_trusted")
def test_tls_works_with_a_trusted_certificate(tls):
    with serving(reply(200, b"secret"), tls) as server:
        assert ask(server.url, deadline=END_OF_TEST).body == b"secret"


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    "answer",
    [
        silence,
        trickle(OK, b"X-Slow: 1\r\n"),
        trickle(OK + b"Content-Length: 500000\r\n\r\n", b"x"),
    ],
    ids="silence header body".split(),
)
def test_the_deadline_holds_over_tls(tls, answer):
    began = time.monotonic()
    with serving(answer, tls) as server, pytest.raises(Unclear):
        ask(server.url, deadline=1)

    assert time.monotonic() - began < END_OF_TEST
    assert len(server.requests) == 1


@pytest.mark.usefixtures("_trusted")
def test_a_tls_handshake_that_never_ends_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(Unreachable):
            ask(url)

    assert time.monotonic() - began < END_OF_TEST


def test_a_header_that_cannot_be_sent_is_no_leak():
    for name in ("a\nb", "\u3042", " a"):
        http = Http(("http://127.0.0.1:1",), allow_local=True, deadline=SOON)
        with pytest.raises(ProviderError) as failure:
            http.request("GET", "http://127.0.0.1:1/", headers={"A": name + TOKEN})
        assert_says_no_secret(failure.value)


def test_32_threads_share_nothing_and_work():
    def answer(connection, request):
        body = request.partition(b" ")[2].partition(b" ")[0]
        reply(200, body)(connection, request)

    done = threading.Barrier(32)

    def work(number):
        try:
            return [
                ask(server.url, path=f"/{number}/{i}", deadline=10).body
                for i in range(10)
            ]
        finally:
            done.wait(30)
            close_sessions()

    with serving(answer) as server, ThreadPoolExecutor(32) as pool:
        found = list(pool.map(work, range(32)))

    assert found == [[b"/%d/%d" % (n, i) for i in range(10)] for n in range(32)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("64:ff9b::8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:8.8.8.8", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("2001:db8::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(address) is public
