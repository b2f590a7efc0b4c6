"""Clients that drip their bodies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from webhookcron.api.slow_bodies import BodyDeadline


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    server, client = socket.socketpair()
    with server, client:
        server.settimeout(20)
        yield server, client


def read_all(environ: dict[str, Any], _start: Any) -> list[bytes]:
    """An application that reads its body to the end."""
    received = b""
    while part := environ["gunicorn.socket"].recv(100):
        received += part
    return [received]


def test_reading_ends_when_the_time_is_over(connection: tuple[socket.socket, socket.socket]) -> None:
    server, client = connection
    client.sendall(b"begin")
    app = BodyDeadline(read_all, seconds=0.05)
    assert list(app({"gunicorn.socket": server, "CONTENT_LENGTH": "1000"}, lambda: None)) == [b"begin"]


def test_an_answer_can_still_be_sent(connection: tuple[socket.socket, socket.socket]) -> None:
    server, client = connection
    app = BodyDeadline(read_all, seconds=0.05)
    list(app({"gunicorn.socket": server, "HTTP_TRANSFER_ENCODING": "chunked"}, lambda: None))
    server.sendall(b"408")
    assert client.recv(3) == b"408"


@pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": "0"}, {"CONTENT_LENGTH": ""}])
def test_requests_without_body_are_left_alone(
    connection: tuple[socket.socket, socket.socket], length: dict[str, str]
) -> None:
    server, client = connection
    app = BodyDeadline(lambda environ, _start: [b"done"], seconds=0.01)
    assert list(app({"gunicorn.socket": server, **length}, lambda: None)) == [b"done"]
    client.sendall(b"next")
    assert server.recv(4) == b"next"


def test_without_a_connection_it_does_nothing() -> None:
    app = BodyDeadline(lambda environ, _start: [b"done"], seconds=0.01)
    assert list(app({"CONTENT_LENGTH": "5"}, lambda: None)) == [b"done"]
