"""A job as the data that JobSchema writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from webhookcron.core.jobs import Job, JobStatus
from webhookcron.service.definition_fields import definition_fields

_STATE = (
    "id", "owner_id", "status_reason", "next_run_at", "last_run_at", "last_status", "total_runs", "successful_runs",
    "failed_runs", "consecutive_failures", "created_at", "updated_at", "version",
)  # fmt: skip


def job_resource(
    job: Job, *, with_secret: bool = False, circuit_open_until: datetime | None = None
) -> dict[str, Any]:
    """The fields of `job`, and until when its host is left alone; its signing secret only `with_secret`."""
    resource = {
        **{name: getattr(job, name) for name in _STATE},
        "status": job.status.value,
        "circuit_open_until": circuit_open_until,
        "is_active": job.status is not JobStatus.PAUSED,
        **definition_fields(job),
    }
    if with_secret and job.request.signing and job.request.signing_secrets:
        resource["signing_secret"] = job.request.signing_secrets[0].secret
    return resource
