"""Jobs ready to be called: loaded, decrypted and prepared once per version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from webhookcron.core.errors import CorruptDocument, SecretUnreadable
from webhookcron.core.jobs import Job
from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.request import RequestTemplate
from webhookcron.storage.jobs import JobStore

log = structlog.get_logger(__name__)

MOST_JOBS = 5_000
"""A prepared job takes some kilobytes, more with a large payload."""

MISSING_LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job at one version; `template` is None when it cannot be called, and `failure` says why."""

    job: Job | None
    version: int
    template: RequestTemplate | None
    failure: Failure | None = None

    @property
    def timeout(self) -> timedelta:
        """The deadline of one attempt."""
        return MISSING_LEASE if self.job is None else timedelta(milliseconds=self.job.request.timeout_ms)


class PreparedJobs:
    """The most recently called jobs. Used by one thread."""

    def __init__(self, jobs: JobStore, *, size: int = MOST_JOBS) -> None:
        self._jobs = jobs
        self._size = size
        self._kept: OrderedDict[str, PreparedJob] = OrderedDict()

    def get(self, versions: Mapping[str, int]) -> dict[str, PreparedJob]:
        """The jobs of `versions` (id → version at least). Raises StoreUnavailable.

        A job that was changed once more meanwhile comes in its newer version; one that is gone is left out.
        """
        found: dict[str, PreparedJob] = {}
        unknown: list[str] = []
        for job_id, version in versions.items():
            kept = self._kept.get(job_id)
            if kept is not None and kept.version >= version:
                self._kept.move_to_end(job_id)
                found[job_id] = kept
            else:
                unknown.append(job_id)
        if unknown:
            for job_id, job in self._jobs.load(unknown).items():
                prepared = _prepare(job, versions[job_id])
                found[job_id] = self._kept[job_id] = prepared
                self._kept.move_to_end(job_id)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return found


def _prepare(job: Job | CorruptDocument | SecretUnreadable, version: int) -> PreparedJob:
    if isinstance(job, Job):
        try:
            return PreparedJob(job, job.version, RequestTemplate.of(job.request))
        except ValueError as error:
            return PreparedJob(job, job.version, None, Failure(FailureKind.INVALID_REQUEST, str(error)))
        except Exception as error:
            # Nothing is known to raise anything else. One job must not keep from being called those claimed with it.
            log.exception("job.not_prepared", job_id=job.id)
            failure = Failure(FailureKind.INVALID_REQUEST, f"its request cannot be made: {error}")
            return PreparedJob(job, job.version, None, failure)
    if isinstance(job, SecretUnreadable):
        return PreparedJob(None, version, None, Failure(FailureKind.SECRET_UNREADABLE, str(job)))
    log.error("job.corrupt", job_id=job.document_id, reason=job.reason)
    return PreparedJob(
        None, version, None, Failure(FailureKind.INVALID_REQUEST, "the stored job cannot be read")
    )
