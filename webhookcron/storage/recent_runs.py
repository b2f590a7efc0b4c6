"""The latest executions in brief: of several jobs at once, for lists of jobs; of owners, for how late they started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.database import Database

from webhookcron.core.executions import ExecutionStatus, Trigger
from webhookcron.storage.client import Document, driver_errors_translated

_FIELDS = {"jobId": 1, "status": 1, "scheduledAt": 1, "durationMs": 1, "reason": 1}
_ORDER = [("scheduledAt", -1), ("_id", -1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRun:
    """What a list of jobs shows of one execution."""

    execution_id: str
    job_id: str
    status: ExecutionStatus
    reason: str | None
    scheduled_at: datetime
    duration_ms: int | None


class RecentRunStore:
    """Reads the collection `executions`. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["executions"]

    def latest(self, job_ids: Sequence[str], per_job: int) -> dict[str, list[RecentRun]]:
        """The latest `per_job` executions of each job, the latest first; jobs without any are left out.

        One query reads the latest of all jobs together, each job's part in the order of its index. Only where busy
        jobs leave no room in it for others are those asked for one by one.
        """
        if not job_ids:
            return {}
        room = per_job * len(job_ids)
        found = self._read({"jobId": {"$in": list(job_ids)}}, room)
        runs: dict[str, list[RecentRun]] = {}
        for run in found:
            of_job = runs.setdefault(run.job_id, [])
            if len(of_job) < per_job:
                of_job.append(run)
        if len(found) == room:
            for job_id in job_ids:
                if len(runs.get(job_id, ())) < per_job and (single := self._read({"jobId": job_id}, per_job)):
                    runs[job_id] = single
        return runs

    def delays(self, owner_ids: Sequence[str], limit: int) -> list[timedelta]:
        """How long after their fire times the latest executions of these owners were called.

        Of the latest `limit` executions those count that the schedule made and that needed one attempt only.
        """
        fields = {"scheduledAt": 1, "startedAt": 1, "trigger": 1, "attemptCount": 1}
        with driver_errors_translated():
            documents = list(
                self._collection.find({"ownerId": {"$in": list(owner_ids)}}, fields).sort(_ORDER).limit(limit)
            )
        return [
            document["startedAt"] - document["scheduledAt"]
            for document in documents
            if document.get("startedAt") is not None
            and document.get("trigger") == Trigger.SCHEDULE.value
            and document.get("attemptCount") == 1
        ]

    def _read(self, filter_: Document, limit: int) -> list[RecentRun]:
        with driver_errors_translated():
            documents = list(self._collection.find(filter_, _FIELDS).sort(_ORDER).limit(limit))
        return [
            RecentRun(
                execution_id=document["_id"],
                job_id=document["jobId"],
                status=ExecutionStatus(document["status"]),
                reason=document.get("reason"),
                scheduled_at=document["scheduledAt"],
                duration_ms=document.get("durationMs"),
            )
            for document in documents
        ]
