"""Which of many sockets are ready: epoll where there is one, else what the standard library's selectors use.

A call to a webhook makes libcurl begin and cease to wait for its socket. The bookkeeping of `selectors` around each of
these costs more than the system calls; epoll itself needs none.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import sys
from collections.abc import Iterable
from typing import Protocol

READABLE = selectors.EVENT_READ
WRITABLE = selectors.EVENT_WRITE


class Watcher(Protocol):
    """Sockets by number, each with what is waited for. A broken connection is ready for all that is waited for."""

    def watch(self, fd: int, readiness: int) -> None:
        """Wait for the socket, which is not watched yet, to be READABLE, WRITABLE or either."""

    def change(self, fd: int, readiness: int) -> None:
        """Wait for something else of a socket that is watched."""

    def unwatch(self, fd: int) -> None:
        """Wait for the socket no more; it may be closed already."""

    def wait(self, seconds: float | None) -> Iterable[tuple[int, int]]:
        """(socket, what of it is ready) as soon as any is, at most after so many seconds; None = however long."""

    def close(self) -> None:
        """Give back what the system holds for it."""


class SelectorsWatcher:
    """Works everywhere."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int, readiness: int) -> None:
        self._selector.register(fd, readiness)

    def change(self, fd: int, readiness: int) -> None:
        self._selector.modify(fd, readiness)

    def unwatch(self, fd: int) -> None:
        self._selector.unregister(fd)

    def wait(self, seconds: float | None) -> Iterable[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(seconds)]

    def close(self) -> None:
        self._selector.close()


if sys.platform == "linux":
    _TO_EPOLL = {
        READABLE: select.EPOLLIN,
        WRITABLE: select.EPOLLOUT,
        READABLE | WRITABLE: select.EPOLLIN | select.EPOLLOUT,
    }

    class EpollWatcher:
        """For Linux."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._wanted: dict[int, int] = {}

        def watch(self, fd: int, readiness: int) -> None:
            self._epoll.register(fd, _TO_EPOLL[readiness])
            self._wanted[fd] = readiness

        def change(self, fd: int, readiness: int) -> None:
            self._epoll.modify(fd, _TO_EPOLL[readiness])
            self._wanted[fd] = readiness

        def unwatch(self, fd: int) -> None:
            del self._wanted[fd]
            # Where it was closed meanwhile, the system has forgotten it by that.
            with contextlib.suppress(OSError):
                self._epoll.unregister(fd)

        def wait(self, seconds: float | None) -> Iterable[tuple[int, int]]:
            most = max(len(self._wanted), 1)
            ready: list[tuple[int, int]] = []
            for fd, events in self._epoll.poll(seconds, most):
                # Whatever is no mere readability (an error, the end) makes it writable too, and the other way round.
                readiness = (READABLE if events & ~select.EPOLLOUT else 0) | (
                    WRITABLE if events & ~select.EPOLLIN else 0
                )
                readiness &= self._wanted.get(fd, 0)
                if readiness:
                    ready.append((fd, readiness))
            return ready

        def close(self) -> None:
            self._epoll.close()


def watcher() -> Watcher:
    """The best watcher that this system has."""
    return EpollWatcher() if sys.platform == "linux" else SelectorsWatcher()
