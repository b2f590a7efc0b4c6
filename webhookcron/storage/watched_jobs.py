"""Jobs as far as alerts want to know them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.database import Database

from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import JobStatus
from webhookcron.storage.client import Document, driver_errors_translated

_READ_AT_ONCE = 1_000

_PROJECTION = dict.fromkeys(
    ("ownerId", "name", "version", "status", "statusReason", "alerts", "scheduleSince", "lastRunAt", "lastStatus"), 1
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WatchedJob:
    """One of them."""

    id: str
    owner_id: str
    name: str
    version: int
    status: JobStatus
    status_reason: str | None
    alerts: tuple[str, ...]
    """Ids of the alerts that it names."""
    schedule_since: datetime
    last_run_at: datetime | None
    last_status: str | None


class WatchedJobs:
    """Reads of jobs and of their successes. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database["jobs"]
        self._executions = database["executions"]

    def get(self, job_ids: Sequence[str]) -> list[WatchedJob]:
        """Those of `job_ids` that exist."""
        found: list[WatchedJob] = []
        for start in range(0, len(job_ids), _READ_AT_ONCE):
            filter_ = {"_id": {"$in": list(job_ids[start : start + _READ_AT_ONCE])}}
            with driver_errors_translated():
                found += map(_watched, self._jobs.find(filter_, _PROJECTION))
        return found

    def active(self, owner_id: str, alert_id: str | None) -> Iterator[WatchedJob]:
        """The owner's active jobs: all of them, or those that name an alert."""
        filter_: Document = {"ownerId": owner_id, "status": JobStatus.ACTIVE.value}
        if alert_id is not None:
            filter_["alerts"] = alert_id
        with driver_errors_translated():
            yield from map(_watched, self._jobs.find(filter_, _PROJECTION))

    def last_success_at(self, job_id: str) -> datetime | None:
        """When the job's successful execution of the latest fire time ended; None when it has none."""
        with driver_errors_translated():
            document = self._executions.find_one(
                {"jobId": job_id, "status": ExecutionStatus.SUCCESS.value},
                {"completedAt": 1},
                sort=[("scheduledAt", -1), ("_id", -1)],
            )
        return None if document is None else document.get("completedAt")


def _watched(document: Document) -> WatchedJob:
    get = document.get
    return WatchedJob(
        id=document["_id"],
        owner_id=document["ownerId"],
        name=get("name", ""),
        version=get("version", 0),
        status=JobStatus(document["status"]),
        status_reason=get("statusReason"),
        alerts=tuple(get("alerts") or ()),
        schedule_since=document["scheduleSince"],
        last_run_at=get("lastRunAt"),
        last_status=get("lastStatus"),
    )
