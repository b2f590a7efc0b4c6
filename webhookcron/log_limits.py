"""Quiet at scale: an event that comes more often than anybody reads is told in part, with the number of the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from structlog.typing import EventDict, WrappedLogger

LINES = 100
SECONDS = 10.0
"""Of one event, at info or warning, so many lines in so long; above, a thousand jobs that end at once are one story."""

_LIMITED = frozenset({"info", "warning", "warn"})


class Calm:
    """A structlog processor that drops what is too much. Errors are always told, and debug was asked for.

    The next line of the event that is told carries `suppressed`: how many were not. Thread-safe.
    """

    def __init__(
        self,
        *,
        lines: int = LINES,
        seconds: float = SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines = lines
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}
        """Event → (beginning of its window, lines in it)."""

    def __call__(self, logger: WrappedLogger, method_name: str, event: EventDict) -> EventDict:
        if method_name not in _LIMITED:
            return event
        action, now = str(event.get("event")), self._monotonic()
        with self._lock:
            begun_at, lines = self._windows.get(action, (now, 0))
            suppressed = 0
            if now - begun_at >= self._seconds:
                suppressed = max(0, lines - self._lines)
                begun_at, lines = now, 0
            self._windows[action] = (begun_at, lines + 1)
        if lines >= self._lines:
            raise structlog.DropEvent
        if suppressed:
            event["suppressed"] = suppressed
        return event
