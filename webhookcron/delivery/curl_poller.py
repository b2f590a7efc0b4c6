"""The readiness loop under libcurl's multi socket interface (libcurl-multi(3)).

libcurl says which sockets it waits for and until when; this asks the operating system and reports back. In contrast
to `curl_multi_perform`, the cost of a turn does not grow with the number of idle sockets, and unlike `select` it
has no limit of 1,024 of them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Callable

import pycurl

_TO_SELECTORS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
_TO_CURL = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class CurlPoller:
    """A CurlMulti with the selector that drives it. All methods but `wake` belong to one thread."""

    def __init__(self, *, idle_connections: int, on_watch: Callable[[int], None]) -> None:
        """`idle_connections` is how many kept-alive connections are held at most, those in use included.

        `on_watch` is told every socket that libcurl begins to wait for.
        """
        self.multi = pycurl.CurlMulti()
        self._selector = selectors.DefaultSelector()
        self._on_watch = on_watch
        self._watched: set[int] = set()
        self._timer_at: float | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, idle_connections)

    def wake(self) -> None:
        """Make the present or next `turn` return at once. Any thread may call this."""
        # A full pipe makes the wake-up certain as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def turn(self, longest_wait: float | None) -> None:
        """Wait until something is ready, the wake-up comes or a timer is due, and let libcurl work on it.

        Waits at most `longest_wait` seconds; None = as long as it takes.
        """
        for key, events in self._selector.select(self._wait(longest_wait)):
            if key.fd == self._wake_reader:
                os.read(self._wake_reader, 4096)
            else:
                self.multi.socket_action(key.fd, _TO_CURL[events])
        while self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def close(self) -> None:
        """Close connections, pipe and selector. No handle may be left in the multi."""
        self.multi.close()
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _wait(self, longest_wait: float | None) -> float | None:
        if self._timer_at is None:
            return longest_wait
        until_timer = max(self._timer_at - time.monotonic(), 0.0)
        return until_timer if longest_wait is None else min(until_timer, longest_wait)

    def _on_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        events = _TO_SELECTORS.get(what)
        if events is None:
            if fd in self._watched:
                self._watched.remove(fd)
                self._selector.unregister(fd)
        elif fd in self._watched:
            self._selector.modify(fd, events)
        else:
            self._watched.add(fd)
            self._selector.register(fd, events)
            self._on_watch(fd)
