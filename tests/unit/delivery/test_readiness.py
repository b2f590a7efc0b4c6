"""Which of many sockets are ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from webhookcron.delivery import readiness
from webhookcron.delivery.readiness import READABLE, WRITABLE, SelectorsWatcher, Watcher

KINDS = [SelectorsWatcher]
if sys.platform == "linux":
    KINDS.append(readiness.EpollWatcher)


@pytest.fixture(params=KINDS)
def watcher(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    watcher = request.param()
    yield watcher
    watcher.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


def test_a_socket_is_ready_for_what_is_waited_for_and_nothing_else(
    watcher: Watcher, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    watcher.watch(near.fileno(), READABLE)
    assert list(watcher.wait(0)) == []
    far.send(b"x")
    assert list(watcher.wait(5)) == [(near.fileno(), READABLE)]
    watcher.change(near.fileno(), WRITABLE)
    assert list(watcher.wait(5)) == [(near.fileno(), WRITABLE)]
    watcher.change(near.fileno(), READABLE | WRITABLE)
    assert list(watcher.wait(5)) == [(near.fileno(), READABLE | WRITABLE)]
    watcher.unwatch(near.fileno())
    assert list(watcher.wait(0)) == []


def test_the_end_of_a_connection_is_ready_for_what_is_waited_for(
    watcher: Watcher, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    watcher.watch(near.fileno(), WRITABLE)
    far.close()
    assert list(watcher.wait(5)) == [(near.fileno(), WRITABLE)]
    watcher.change(near.fileno(), READABLE)
    assert list(watcher.wait(5)) == [(near.fileno(), READABLE)]


def test_a_socket_that_was_closed_meanwhile_can_be_given_up_and_its_number_used_again(
    watcher: Watcher,
) -> None:
    near, far = socket.socketpair()
    number = near.fileno()
    watcher.watch(number, READABLE)
    near.close()
    watcher.unwatch(number)
    again, other = socket.socketpair()
    with far, again, other:
        watcher.watch(again.fileno(), READABLE)
        other.send(b"x")
        assert list(watcher.wait(5)) == [(again.fileno(), READABLE)]
        watcher.unwatch(again.fileno())
