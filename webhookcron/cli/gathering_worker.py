"""A gunicorn worker whose threads get whole requests only: who sends slowly occupies none of them.

And who does not read its answer occupies one for a while only.

gunicorn's own worker of threads hands a connection to a thread as soon as its first bytes are there, and the thread
waits for the rest: as many silent connections as there are threads would stop the API.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

HEAD_SECONDS = 10.0
"""For the request line and the headers, from the moment that the connection is there or wakes up."""

BODY_SECONDS = 20.0
"""For the body, from the end of the headers on."""

SEND_SECONDS = 5
"""How long a thread waits for a client that does not read its answer; begins anew with whatever it reads."""

LINGER_SECONDS = 2.0
"""How long a connection that is over stays, so that the client gets the last of its answer (RFC 9112 section 9.6)."""

MOST_HEAD_BYTES = 64 * 1024
"""More are not gathered: gunicorn refuses them."""

MOST_BODY_BYTES = 1024 * 1024
"""More are not gathered: the API refuses them."""

MOST_GATHERED_BYTES = 64 * 1024 * 1024
"""Of all connections of a process; beyond it requests go to the threads as they are."""

AT_ONCE_BYTES = 64 * 1024

LOOK_EVERY_SECONDS = 0.5

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*(?=\r\n|$)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n|$)", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_TOO_SLOW = json.dumps(
    {
        "code": 408,
        "status": "Request Timeout",
        "message": f"the request did not arrive in time: headers have {HEAD_SECONDS:g} seconds, "
        f"bodies {BODY_SECONDS:g}",
        "errors": {},
    }
).encode()
TIMEOUT_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_TOO_SLOW), _TOO_SLOW)
)


@dataclass(slots=True)
class Gathering:
    """What came of a request so far. It only guesses when that is all: gunicorn's parser judges what it means."""

    deadline: float
    """By the monotonic clock."""
    data: bytearray = field(default_factory=bytearray)
    head_bytes: int | None = None
    """Length of request line and headers; None while they have not ended."""
    body_bytes: int | None = 0
    """Length of the body; None = it comes in chunks."""
    wants_continue: bool = False
    """The client waits for a word before it sends the body (RFC 9110 section 10.1.1)."""

    def add(self, data: bytes, now: float) -> None:
        """Take what came."""
        self.data += data
        if self.head_bytes is None and (end := self.data.find(_END)) >= 0:
            self._read_head(bytes(self.data[:end]))
            self.deadline = now + BODY_SECONDS

    @property
    def whole(self) -> bool:
        """Whether it can go to a thread: all of it is here, or it is one that will be refused."""
        if self.head_bytes is None:
            return len(self.data) > MOST_HEAD_BYTES
        gathered = len(self.data) - self.head_bytes
        if self.body_bytes is None:
            return gathered > MOST_BODY_BYTES or self.data.endswith(_LAST_CHUNK)
        return self.body_bytes > MOST_BODY_BYTES or gathered >= self.body_bytes

    def _read_head(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self.body_bytes = None
        elif length is not None:
            self.body_bytes = int(length[1])
        if self.body_bytes != 0 and (self.body_bytes or 0) <= MOST_BODY_BYTES and _EXPECT.search(head):
            # The word is given here, so the request goes on as one that did not ask for it.
            self.wants_continue = True
            self.data[: len(head)] = head = _EXPECT.sub(b"", head)
        self.head_bytes = len(head) + len(_END)


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gathers requests in its loop, and closes connections whose request does not come in time."""

    monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gathering: dict[Any, Gathering] = {}
        self._lingering: dict[Any, float] = {}
        self._gathered_bytes = 0
        self._look_at = 0.0

    def enqueue_req(self, conn: Any) -> None:
        """Called in the loop, when a connection is new, or wakes up, or has sent more than one request."""
        if self.cfg.is_ssl or conn.is_http2:
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
        conn.init()
        conn.sock.setblocking(False)
        gathering = Gathering(self.monotonic() + HEAD_SECONDS)
        self._gathering[conn] = gathering
        self._take(conn, gathering, conn.parser.unreader.take_buffered())
        if conn in self._gathering:
            self.poller.register(conn.sock, EVENT_READ, partial(self._readable, conn))
            # It may all be here already, which a poller would tell a turn later.
            self._readable(conn, conn.sock)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Called in a thread."""
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            # What a blocking socket says after SO_SNDTIMEO. gunicorn knows clients that are gone, and closes.
            raise BrokenPipeError(errno.EPIPE, "the client does not read its answer") from None

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Called in the loop when a thread is done with a request."""
        try:
            is_over = fs.cancelled() or not fs.result()
        except Exception:
            is_over = False  # Not for this connection alone: closed at once.
        if not is_over:
            super().finish_request(conn, fs)
            return
        # gunicorn waits for the client here, and all others wait with it.
        self._lingering[conn] = self.monotonic() + LINGER_SECONDS
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):
            self._close_lingering(conn)

    def murder_pending(self) -> None:
        """Called in each turn of the loop."""
        super().murder_pending()
        now = self.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_SECONDS
        for conn, gathering in list(self._gathering.items()):
            if not self.alive:
                gathering.deadline = min(gathering.deadline, now + STOP_KEEPALIVE_LINGER)
            if gathering.deadline <= now:
                if gathering.data:
                    self._send(conn, TIMEOUT_ANSWER)
                self._close(conn)
        for conn in [conn for conn, until in self._lingering.items() if until <= now]:
            self._close_lingering(conn)

    def _readable(self, conn: Any, sock: Any) -> None:
        try:
            data = sock.recv(AT_ONCE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(conn, self._gathering[conn], data)
        else:
            self._close(conn)

    def _take(self, conn: Any, gathering: Gathering, data: bytes) -> None:
        if not data:
            return
        before = len(gathering.data)
        gathering.add(data, self.monotonic())
        self._gathered_bytes += len(gathering.data) - before
        if gathering.whole or self._gathered_bytes > MOST_GATHERED_BYTES:
            self._forget(conn)
            conn.parser.unreader.unread(bytes(gathering.data))
            conn.data_ready = True
            super().enqueue_req(conn)
        elif gathering.wants_continue:
            gathering.wants_continue = False
            self._send(conn, _CONTINUE)

    def _send(self, conn: Any, data: bytes) -> None:
        # A few bytes to a client that reads fit into its buffer; one that does not read gets nothing.
        with suppress(OSError):
            conn.sock.send(data)

    def _drain(self, conn: Any, sock: Any) -> None:
        try:
            if sock.recv(AT_ONCE_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close_lingering(conn)

    def _close_lingering(self, conn: Any) -> None:
        del self._lingering[conn]
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: Any) -> None:
        gathering = self._gathering.pop(conn)
        self._gathered_bytes -= len(gathering.data)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)

    def _close(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()
