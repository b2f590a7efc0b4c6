"""A deadline for the body of a request: who drips bytes must not keep a server thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

BODY_SECONDS = 20.0
"""For the whole body, which has 1 MiB at most."""

LOOK_EVERY_SECONDS = 1.0

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class BodyDeadline:
    """WSGI middleware that stops reading from a client whose body is not there in time.

    It needs the connection, which gunicorn hands over; under other servers it does nothing.
    """

    def __init__(self, app: WsgiApp, *, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._lock = threading.Lock()
        self._reading: dict[int, tuple[float, socket.socket]] = {}
        self._watched = False

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        has_body = environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ
        if connection is None or not has_body:
            return self._app(environ, start_response)
        key = id(environ)
        self._begin(key, connection)
        try:
            return self._app(environ, start_response)
        finally:
            with self._lock:
                self._reading.pop(key, None)

    def _begin(self, key: int, connection: socket.socket) -> None:
        with self._lock:
            self._reading[key] = (time.monotonic() + self._seconds, connection)
            if self._watched:
                return
            self._watched = True
        threading.Thread(target=self._watch, name="body-deadline", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(min(LOOK_EVERY_SECONDS, self._seconds))
            with self._lock:
                now = time.monotonic()
                for deadline, connection in self._reading.values():
                    if deadline <= now:
                        # Only the reading side: the answer can still be sent.
                        with suppress(OSError):
                            connection.shutdown(socket.SHUT_RD)
                if not self._reading:
                    self._watched = False
                    return
