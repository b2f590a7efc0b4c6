"""Showing a changed job to the tick source at once."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.service.platform import Platform
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.ticks.mirroring import mirror_entry

log = structlog.get_logger(__name__)


class Mirror:
    """Mirrors single jobs. Nothing here fails: MongoDB holds that the job is to be mirrored, and the sweep will."""

    def __init__(self, platform: Platform) -> None:
        self._source = platform.source
        self._jobs = platform.jobs

    def show(self, job: Job) -> None:
        """Mirror `job` as it was just stored."""
        self.show_many([job])

    def show_many(self, jobs: Sequence[Job]) -> None:
        """Mirror jobs as they were just stored, in a few round trips."""
        if not jobs:
            return
        entries = {
            job.id: mirror_entry(tick_job_of(job)) if job.status is JobStatus.ACTIVE else None for job in jobs
        }
        try:
            self._source.remove([(job.id, job.version) for job in jobs if entries[job.id] is None])
            self._source.put([entry for entry in entries.values() if entry is not None])
            self._jobs.mirrored([(job.id, job.version) for job in jobs])
        except (TickSourceUnavailable, StoreUnavailable) as error:
            log.warning(
                "api.mirror_later", jobs=[job.id for job in jobs[:10]], count=len(jobs), error=str(error)
            )

    def forget(self, job: Job) -> None:
        """Take a deleted job out."""
        self.forget_many([job])

    def forget_many(self, jobs: Sequence[Job]) -> None:
        """Take deleted jobs out."""
        try:
            self._source.remove([(job.id, job.version + 1) for job in jobs])
        except TickSourceUnavailable as error:
            log.warning(
                "api.mirror_later", jobs=[job.id for job in jobs[:10]], count=len(jobs), error=str(error)
            )
