"""Cursors on their way to MongoDB: grouped, at most two seconds behind."""

from __future__ import annotations

import threading
from datetime import timedelta

from webhookcron.storage.jobs import Cursor, JobStore

FLUSH_AFTER = timedelta(seconds=1)
"""How long a cursor may wait for others; well within the two seconds that the cursor may be behind."""


class CursorBook:
    """The furthest cursor of each job since the last flush. Losing it costs repeated inserts, never a fire."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._noted: dict[str, Cursor] = {}

    def note(self, cursor: Cursor) -> None:
        """Remember how far a job is; the last word of this process counts, as it handles fires in order."""
        with self._lock:
            self._noted[cursor.job_id] = cursor

    @property
    def pending(self) -> bool:
        """Whether something is noted that is not in MongoDB yet."""
        return bool(self._noted)

    def flush(self) -> None:
        """Write what was noted. Raises StoreUnavailable; then it stays noted."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            self._jobs.flush_cursors(list(noted.values()))
        except BaseException:
            with self._lock:
                self._noted = {**noted, **self._noted}
            raise
