"""The readiness loop under libcurl's multi socket interface (libcurl-multi(3)).

libcurl says which sockets it waits for and until when; this asks the operating system and reports back. In contrast
to `curl_multi_perform`, the cost of a turn does not grow with the number of idle sockets, and unlike `select` it
has no limit of 1,024 of them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

import pycurl

from webhookcron.delivery.readiness import READABLE, WRITABLE, watcher

_TO_READINESS = {
    pycurl.POLL_IN: READABLE,
    pycurl.POLL_OUT: WRITABLE,
    pycurl.POLL_INOUT: READABLE | WRITABLE,
}
_TO_CURL = {
    READABLE: pycurl.CSELECT_IN,
    WRITABLE: pycurl.CSELECT_OUT,
    READABLE | WRITABLE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


class CurlPoller:
    """A CurlMulti with the selector that drives it. All methods but `wake` belong to one thread."""

    def __init__(self, *, idle_connections: int, on_watch: Callable[[int], None]) -> None:
        """`idle_connections` is how many kept-alive connections are held at most, those in use included.

        `on_watch` is told every socket that libcurl begins to wait for.
        """
        self.multi = pycurl.CurlMulti()
        self._watcher = watcher()
        self._on_watch = on_watch
        self._watched: set[int] = set()
        self._timer_at: float | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._watcher.watch(self._wake_reader, READABLE)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, idle_connections)

    def wake(self) -> None:
        """Make the present or next `turn` return at once; nothing after `close`. Any thread may call this."""
        # A closed pipe's number may be anything's by now: hence the lock. A full pipe makes the wake-up certain, too.
        with self._lock, contextlib.suppress(BlockingIOError):
            if not self._closed:
                os.write(self._wake_writer, b"\0")

    def turn(self, longest_wait: float | None) -> None:
        """Wait until something is ready, the wake-up comes or a timer is due, and let libcurl work on it.

        Waits at most `longest_wait` seconds; None = as long as it takes.
        """
        for fd, readiness in self._watcher.wait(self._wait(longest_wait)):
            if fd == self._wake_reader:
                os.read(self._wake_reader, 4096)
            else:
                self.multi.socket_action(fd, _TO_CURL[readiness])
        while self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def close(self) -> None:
        """Close connections, pipe and selector. No handle may be left in the multi."""
        self.multi.close()
        self._watcher.close()
        with self._lock:
            self._closed = True
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
        readiness = _TO_READINESS.get(what)
        if readiness is None:
            if fd in self._watched:
                self._watched.remove(fd)
                self._watcher.unwatch(fd)
        elif fd in self._watched:
            self._watcher.change(fd, readiness)
        else:
            self._watched.add(fd)
            self._watcher.watch(fd, readiness)
            self._on_watch(fd)
