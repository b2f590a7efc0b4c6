"""Jobs as the ticker needs them, kept by version: a job that fires often is read once per change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.jobs import TickJob
from webhookcron.storage.jobs import JobStore

MOST_JOBS = 20_000
"""About 30 MB; beyond it the least recently due ones are read again when they are."""


class TickJobCache:
    """The least recently used `TickJob`s are dropped. Not for fields that change without the version."""

    def __init__(self, jobs: JobStore, *, size: int = MOST_JOBS) -> None:
        self._jobs = jobs
        self._size = size
        self._kept: OrderedDict[str, TickJob] = OrderedDict()

    def get(self, wanted: Sequence[tuple[str, int | None]]) -> dict[str, TickJob | CorruptDocument]:
        """The jobs of (id, version); one of another version is what MongoDB holds now, a missing one is gone."""
        found: dict[str, TickJob | CorruptDocument] = {}
        unknown: list[str] = []
        for job_id, version in wanted:
            job = self._kept.get(job_id)
            if job is not None and job.version == version:
                self._kept.move_to_end(job_id)
                found[job_id] = job
            else:
                unknown.append(job_id)
        if unknown:
            for job_id, job_or_error in self._jobs.tick_jobs(unknown).items():
                found[job_id] = job_or_error
                if isinstance(job_or_error, TickJob):
                    self._kept[job_id] = job_or_error
                    self._kept.move_to_end(job_id)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return found
