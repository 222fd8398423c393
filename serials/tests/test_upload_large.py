"""A body that is too large, sent to the very server that people talk to."""

import socket
import threading
import time

import pytest
from django.conf import settings

from testing.house import free_port
from testing.processes import Processes, kill

pytestmark = pytest.mark.processes
SECONDS = 60
PIECE = b"A" * 65_536
END = b"\r\n0\r\n\r\n"  # of a page sent in chunks


@pytest.fixture
def port(tmp_path):
    """Where a web server of our own listens."""
    port = free_port()
    (tmp_path / "static").mkdir()
    processes = Processes(tmp_path, WEB_PORT=str(port), WEB_WORKERS="1")
    web = ("-m", "gunicorn", "--config", "gunicorn.conf.py", "couponadmin.wsgi")
    process = processes.start("web", *web)
    until = time.monotonic() + SECONDS
    while not listens(port):
        assert process.poll() is None, processes.logs()
        assert time.monotonic() < until, processes.logs()
        time.sleep(0.1)
    yield port
    kill(process)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def send(connection, size):
    """Send a body of so many bytes, or as much of it as is taken."""
    try:
        for _ in range(size // len(PIECE)):
            connection.sendall(PIECE)
    except OSError:
        pass  # the server has answered and hung up


def test_a_body_over_the_limit_gets_a_whole_page(port):
    size = 4 * settings.REQUEST_MAX_SIZE
    head = (
        "POST /admin/serials/batch/upload/ HTTP/1.1\r\nHost: testserver\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(head.encode())
        sender = threading.Thread(target=send, args=(connection, size))
        sender.start()
        answer = b""
        while not answer.endswith(END) and (data := connection.recv(65_536)):
            answer += data
        sender.join()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"The file is larger than 10 MB" in answer
    assert b"</html>" in answer
    assert answer.endswith(END)
