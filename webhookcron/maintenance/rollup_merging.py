"""When to merge what the workers counted into the hourly roll-ups."""

from __future__ import annotations

from datetime import datetime, timedelta

from webhookcron.storage.rollups import RollupStore

MERGE_AFTER = timedelta(seconds=30)
"""Under load one merge takes what came in so long, so that a job's hour is written once for many fires."""

FEW_SHARES = 20
"""So few jobs' hours are written at once: small installations see their statistics move."""


class RollupMerging:
    """A chore: merges when it pays."""

    def __init__(self, rollups: RollupStore, *, retention: timedelta) -> None:
        self._rollups = rollups
        self._retention = retention

    def __call__(self, now: datetime) -> bool:
        """Merge what waits, unless it is worth waiting; True when there is more. Raises StoreUnavailable."""
        oldest_at = self._rollups.oldest_part_at()
        if oldest_at is None:
            return False
        if now - oldest_at < MERGE_AFTER and self._rollups.waiting(FEW_SHARES + 1) > FEW_SHARES:
            return False
        return self._rollups.merge(now=now, retention=self._retention).more
