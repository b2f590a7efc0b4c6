"""Showing a changed job to the tick source at once."""

from __future__ import annotations

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
        entry = mirror_entry(tick_job_of(job)) if job.status is JobStatus.ACTIVE else None
        try:
            if entry is None:
                self._source.remove([(job.id, job.version)])
            else:
                self._source.put([entry])
            self._jobs.mirrored([(job.id, job.version)])
        except (TickSourceUnavailable, StoreUnavailable) as error:
            log.warning("api.mirror_later", job_id=job.id, version=job.version, error=str(error))

    def forget(self, job: Job) -> None:
        """Take a deleted job out."""
        try:
            self._source.remove([(job.id, job.version + 1)])
        except TickSourceUnavailable as error:
            log.warning("api.mirror_later", job_id=job.id, error=str(error))
