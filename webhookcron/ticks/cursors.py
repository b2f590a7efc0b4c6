"""Cursors on their way to MongoDB: grouped, at most two seconds behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from webhookcron.storage.jobs import Cursor, JobStore

FLUSH_AFTER = timedelta(milliseconds=1500)
"""How long a cursor may wait for others and for later ones of its job; within the two seconds that it may be behind."""


class CursorBook:
    """The furthest cursor of each job since the last flush. Losing it costs repeated inserts, never a fire."""

    def __init__(self, jobs: JobStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._jobs = jobs
        self._monotonic = monotonic
        self._waiting_since: float | None = None
        self._lock = threading.Lock()
        self._noted: dict[str, Cursor] = {}

    def note(self, cursor: Cursor) -> None:
        """Remember how far a job is; the last word of this process counts, as it handles fires in order."""
        with self._lock:
            if self._waiting_since is None:
                self._waiting_since = self._monotonic()
            self._noted[cursor.job_id] = cursor

    @property
    def due_in_seconds(self) -> float | None:
        """How long the flush may still wait, 0 or less = not at all; None when there is nothing to write."""
        with self._lock:
            if self._waiting_since is None:
                return None
            return self._waiting_since + FLUSH_AFTER.total_seconds() - self._monotonic()

    def flush(self) -> None:
        """Write what was noted. Raises StoreUnavailable; then it stays noted."""
        with self._lock:
            noted, self._noted = self._noted, {}
            since, self._waiting_since = self._waiting_since, None
        if not noted:
            return
        try:
            self._jobs.flush_cursors(list(noted.values()))
        except BaseException:
            with self._lock:
                self._noted = {**noted, **self._noted}
                self._waiting_since = since
            raise
