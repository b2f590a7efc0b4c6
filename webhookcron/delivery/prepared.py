"""Jobs ready to be called: loaded, decrypted and prepared once per version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from webhookcron.core.errors import CorruptDocument, SecretUnreadable
from webhookcron.core.jobs import DeliveryJob
from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.request import RequestTemplate
from webhookcron.storage.jobs import JobStore

log = structlog.get_logger(__name__)

MOST_JOBS = 10_000
"""A prepared job takes some four kilobytes beside its payload."""

MOST_PAYLOAD_BYTES = 64 * 1024 * 1024
"""Payloads of prepared jobs, in all."""

MISSING_LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job at one version; `template` is None when it cannot be called, and `failure` says why."""

    job: DeliveryJob | None
    version: int
    template: RequestTemplate | None
    failure: Failure | None = None

    @property
    def timeout(self) -> timedelta:
        """The deadline of one attempt."""
        return MISSING_LEASE if self.job is None else timedelta(milliseconds=self.job.request.timeout_ms)

    @property
    def origin(self) -> str:
        """What it calls (`origin_of`); empty when that cannot be told."""
        return "" if self.job is None else self.job.origin

    @property
    def payload_bytes(self) -> int:
        """How large the payload is that it holds."""
        return 0 if self.template is None else self.template.payload_bytes


class PreparedJobs:
    """The most recently called jobs, and those read ahead. Used by one thread."""

    def __init__(
        self, jobs: JobStore, *, size: int = MOST_JOBS, payload_bytes: int = MOST_PAYLOAD_BYTES
    ) -> None:
        self._jobs = jobs
        self._size = size
        self._most_bytes = payload_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, PreparedJob] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, versions: Mapping[str, int]) -> dict[str, PreparedJob]:
        """The jobs of `versions` (id → version at least). Raises StoreUnavailable.

        A job that was changed once more meanwhile comes in its newer version; one that is gone is left out.
        """
        unknown = self.unknown(versions)
        found = {job_id: self._kept[job_id] for job_id in versions if job_id not in unknown}
        for job_id in found:
            self._kept.move_to_end(job_id)
        if unknown:
            for job_id, job in self._jobs.delivery_jobs(list(unknown)).items():
                found[job_id] = prepared = _prepare(job, versions[job_id])
                self._keep(job_id, prepared)
        return found

    def unknown(self, versions: Mapping[str, int]) -> dict[str, int]:
        """Those of `versions` that `get` would have to read."""
        kept = self._kept
        return {
            job_id: version
            for job_id, version in versions.items()
            if job_id not in kept or kept[job_id].version < version
        }

    def _keep(self, job_id: str, prepared: PreparedJob) -> None:
        former = self._kept.pop(job_id, None)
        if former is not None:
            self._bytes -= former.payload_bytes
        self._kept[job_id] = prepared
        self._bytes += prepared.payload_bytes
        while len(self._kept) > self._size or (self._bytes > self._most_bytes and len(self._kept) > 1):
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.payload_bytes


def _prepare(job: DeliveryJob | CorruptDocument | SecretUnreadable, version: int) -> PreparedJob:
    if isinstance(job, DeliveryJob):
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
