"""How the jobs of a list fared lately."""

from __future__ import annotations

from collections.abc import Sequence

from webhookcron.core.jobs import Job
from webhookcron.service.platform import Platform
from webhookcron.storage.recent_runs import RecentRun, RecentRunStore

SHOWN = 20
"""Executions per job."""


class RecentRuns:
    """The latest executions of jobs that the caller was given, so that it needs no permission of its own."""

    def __init__(self, platform: Platform) -> None:
        self._store = RecentRunStore(platform.database)

    def of_jobs(self, jobs: Sequence[Job], per_job: int = SHOWN) -> dict[str, list[RecentRun]]:
        """Job id -> its latest executions, the latest first; empty for a job without any. Raises StoreUnavailable."""
        found = self._store.latest([job.id for job in jobs], per_job)
        return {job.id: found.get(job.id, []) for job in jobs}
