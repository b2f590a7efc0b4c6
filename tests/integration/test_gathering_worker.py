"""The server in front of the API: slow clients against its few threads."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

THREADS = 2

SERVER = f"""
import sys
from gunicorn.app.base import BaseApplication
from webhookcron.cli import gathering_worker
from webhookcron.cli.gunicorn_server import server_options

gathering_worker.HEAD_SECONDS = gathering_worker.BODY_SECONDS = float(sys.argv[2])
gathering_worker.SEND_SECONDS = 1

def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/large":
        body = bytes(50_000_000)
    if environ["PATH_INFO"] == "/told":
        body = repr([environ["wsgi.url_scheme"], environ["SCRIPT_NAME"]]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

class Server(BaseApplication):
    def load_config(self):
        options = server_options("fd://" + sys.argv[1], workers=1, threads={THREADS})
        for name, value in {{**options, "keepalive": 30}}.items():
            self.cfg.set(name, value)

    def load(self):
        return echo

Server().run()
"""


class Server:
    """A server of `THREADS` threads that answers with the body it got."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is how long heads and bodies may take."""
        self._stack = ExitStack()
        listener = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._address = listener.getsockname()
        self.process = self._stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", SERVER, str(listener.fileno()), str(seconds)],
                pass_fds=[listener.fileno()],
                stderr=subprocess.DEVNULL,
            )
        )

    def connect(self) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(self._address, timeout=30))

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._stack.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(seconds=60)
    yield running
    running.close()


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answer(connection: socket.socket) -> bytes:
    """The body of the next answer."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        if end:
            length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
            assert len(body) <= length
            if len(body) == length:
                return body
        part = connection.recv(65536)
        assert part, received
        received += part


@pytest.mark.parametrize("begun", [b"", b"P", b"POST / HTTP/1.1\r\nHost: a\r\n", post(b"abc")[:-1]])
def test_clients_that_send_nothing_more_hold_up_nobody(server: Server, begun: bytes) -> None:
    slow = [server.connect() for _ in range(5 * THREADS)]
    for connection in slow:
        connection.sendall(begun)
    quick = server.connect()
    for number in range(3):
        quick.sendall(post(b"%d" % number))
        assert answer(quick) == b"%d" % number
    slow[0].sendall(post(b"abc")[len(begun) :])
    assert answer(slow[0]) == b"abc"


def test_so_it_is_behind_a_first_request(server: Server) -> None:
    slow = [server.connect() for _ in range(5 * THREADS)]
    for connection in slow:
        connection.sendall(post(b"first") + post(b"second")[:-1])
        assert answer(connection) == b"first"
    quick = server.connect()
    quick.sendall(post(b"quick"))
    assert answer(quick) == b"quick"
    for connection in slow:
        connection.sendall(b"d")
        assert answer(connection) == b"second"


def test_who_is_too_slow_is_told_so_and_closed() -> None:
    server = Server(seconds=0.3)
    try:
        connection = server.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost")
        assert json.loads(answer(connection))["code"] == 408
        assert connection.recv(1) == b""
        silent = server.connect()
        assert silent.recv(1) == b""
    finally:
        server.close()


def test_clients_that_do_not_read_hold_up_others_for_a_while_only(server: Server) -> None:
    deaf = [server.connect() for _ in range(2 * THREADS)]
    for connection in deaf:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    quick = server.connect()
    quick.sendall(post(b"quick"))
    assert answer(quick) == b"quick"


def test_clients_that_do_not_hang_up_hold_up_nobody(server: Server) -> None:
    for _ in range(20):
        connection = server.connect()
        connection.sendall(post(b"abc", b"Connection: close"))
        assert answer(connection) == b"abc"
    quick = server.connect()
    quick.settimeout(10)
    quick.sendall(post(b"quick"))
    assert answer(quick) == b"quick"
    connection.settimeout(20)
    assert connection.recv(1) == b""


def test_bodies_in_chunks_and_bodies_that_wait_for_a_word_arrive(server: Server) -> None:
    connection = server.connect()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    connection.sendall(b"2\r\nde\r\n0\r\n\r\n")
    assert answer(connection) == b"abcde"
    head, _, body = post(b"x" * 300_000, b"Expect: 100-continue").partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert answer(connection) == body


def test_what_is_no_request_is_refused(server: Server) -> None:
    connection = server.connect()
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_who_calls_from_loopback_is_not_believed(server: Server) -> None:
    for made_up in (
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Ssl: on",
        b"SCRIPT_NAME: /told",
        b"PATH_INFO: /",
    ):
        connection = server.connect()
        connection.sendall(b"GET /told HTTP/1.1\r\nHost: a\r\n" + made_up + b"\r\n\r\n")
        assert answer(connection) == b"['http', '']"


def test_it_stops_although_requests_are_begun(server: Server) -> None:
    for _ in range(5 * THREADS):
        server.connect().sendall(b"POST / HTTP/1.1\r\n")
    quick = server.connect()
    quick.sendall(post(b"x"))
    assert answer(quick) == b"x"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
