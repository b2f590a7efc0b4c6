"""What fires next, for workers that read ahead: a share of it, since any worker may get any fire."""

from __future__ import annotations

from datetime import datetime, timedelta

from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.instances import Instances
from webhookcron.ticks.source import TickSource

READ_AHEAD = timedelta(seconds=2)
"""Longer than the time between two looks of an idle worker, with enough left to read some thousands of jobs."""

COUNT_EVERY = timedelta(seconds=15)


class UpcomingJobs:
    """The jobs to read ahead, as often as it is called. Used by one thread.

    All workers together read about `most` of them, so that a herd does not become one of readers: each reads the first
    `most` / (number of workers).
    """

    def __init__(self, source: TickSource, instances: Instances, clock: PlatformClock, *, most: int) -> None:
        self._source = source
        self._instances = instances
        self._clock = clock
        self._most = most
        self._workers = 1
        self._count_at: datetime | None = None

    def __call__(self) -> dict[str, int]:
        """Id and version of jobs that act by `READ_AHEAD` from now. Raises TickSourceUnavailable."""
        now = self._clock.now()
        if self._count_at is None or now >= self._count_at:
            self._workers = sum(instance.role == "worker" for instance in self._instances.seen()) or 1
            self._count_at = now + COUNT_EVERY
        found = self._source.upcoming(now + READ_AHEAD, self._most // self._workers)
        return {job_id: version for job_id, version in found if version is not None}
