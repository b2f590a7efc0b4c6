"""How far the fire times of jobs are accounted for, and when a job is over: the ticker's side of `jobs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.collection import Collection

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.job_documents import TICK_PROJECTION, tick_job_or_error
from webhookcron.storage.job_mirroring import MIRROR_GRACE

_WRITTEN_AT_ONCE = 1_000


class Cursor(NamedTuple):
    """How far the fire times of a job are accounted for."""

    job_id: str
    schedule_since: datetime
    """The schedule that the cursor belongs to; a newer schedule has set its own."""
    handled_through: datetime
    next_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class CursorMove:
    """A cursor to move exactly, from what `job` was read with."""

    job: TickJob
    handled_through: datetime
    runs: int
    """Executions that the schedule made in this step."""
    next_run_at: datetime | None
    completes: str | None
    """Why the schedule is over with this step; None when it goes on."""


class JobCursors:
    """The ticker's part of `JobStore`."""

    _collection: Collection[Document]

    def tick_jobs(self, job_ids: Sequence[str]) -> dict[str, TickJob | CorruptDocument]:
        """What decides about the fire times of `job_ids`; missing ids do not exist."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, TICK_PROJECTION))
        return {document["_id"]: tick_job_or_error(document) for document in documents}

    def active_jobs(self, batch: int) -> Iterator[list[TickJob | CorruptDocument]]:
        """All active jobs in order of their ids, `batch` at a time: each batch is a query of its own."""
        after = ""
        while True:
            with driver_errors_translated():
                documents = list(
                    self._collection.find(
                        {"status": JobStatus.ACTIVE.value, "_id": {"$gt": after}}, TICK_PROJECTION
                    )
                    .sort("_id", 1)
                    .limit(batch)
                )
            if not documents:
                return
            yield [tick_job_or_error(document) for document in documents]
            after = documents[-1]["_id"]

    def flush_cursors(self, cursors: Sequence[Cursor]) -> None:
        """Move cursors forward, never back; one whose schedule was replaced meanwhile changes nothing."""
        if not cursors:
            return
        updates = []
        for cursor in cursors:
            furthest: Document = {"handledThrough": cursor.handled_through}
            if cursor.next_run_at is not None:
                furthest["nextRunAt"] = cursor.next_run_at
            updates.append(
                UpdateOne(
                    {
                        "_id": cursor.job_id,
                        "scheduleSince": cursor.schedule_since,
                        "status": JobStatus.ACTIVE.value,
                    },
                    {"$max": furthest},
                )
            )
        # Each slice has the deadline of one operation.
        for start in range(0, len(updates), _WRITTEN_AT_ONCE):
            with driver_errors_translated():
                self._collection.bulk_write(updates[start : start + _WRITTEN_AT_ONCE], ordered=False)

    def move_cursor(
        self, job: TickJob, handled_through: datetime, runs: int, next_run_at: datetime | None
    ) -> bool:
        """Account for fire times exactly: only from the cursor and run count that `job` was read with.

        False when another ticker has moved it: what it decided counts.
        """
        change: Document = {
            "$set": {"handledThrough": handled_through, "scheduledRuns": job.scheduled_runs + runs}
        }
        if next_run_at is None:
            change["$unset"] = {"nextRunAt": ""}
        else:
            change["$set"]["nextRunAt"] = next_run_at
        with driver_errors_translated():
            result = self._collection.update_one(
                {
                    "_id": job.id,
                    "scheduleSince": job.schedule_since,
                    "handledThrough": job.handled_through,
                    "scheduledRuns": job.scheduled_runs,
                    "status": job.status.value,
                },
                change,
            )
        return result.matched_count == 1

    def move_cursors(self, moves: Sequence[CursorMove], *, now: datetime) -> set[str]:
        """`move_cursor` for many jobs in one round trip, completing those whose schedule is over with it.

        Returns the ids of the jobs whose cursor is where it was to go, whoever moved it there.
        """
        if not moves:
            return set()
        with driver_errors_translated():
            result = self._collection.bulk_write([_cursor_update(move, now) for move in moves], ordered=False)
            if result.matched_count == len(moves):
                return {move.job.id for move in moves}
            documents = list(
                self._collection.find(
                    {"_id": {"$in": [move.job.id for move in moves]}},
                    {"handledThrough": 1, "scheduledRuns": 1},
                )
            )
        found = {
            document["_id"]: (document["handledThrough"], document["scheduledRuns"]) for document in documents
        }
        return {
            move.job.id
            for move in moves
            if found.get(move.job.id) == (move.handled_through, move.job.scheduled_runs + move.runs)
        }

    def complete(self, job: TickJob, reason: str, *, now: datetime) -> int | None:
        """The schedule is over: completed. The new version, or None when the job was changed meanwhile."""
        extra = {"deleteDue": now} if job.delete_after_completion else {}
        return self._end(job.id, job.version, JobStatus.COMPLETED, reason, now, extra)

    def disable(self, job_id: str, version: int, reason: str, *, now: datetime) -> int | None:
        """The platform stops the job. The new version, or None when the job was changed meanwhile."""
        return self._end(job_id, version, JobStatus.DISABLED, reason, now)

    def disabled_at(self, job_id: str) -> datetime | None:
        """When the job was disabled, or changed since; None when it is not disabled (any more)."""
        with driver_errors_translated():
            document = self._collection.find_one(
                {"_id": job_id, "status": JobStatus.DISABLED.value}, {"updatedAt": 1}
            )
        return None if document is None else document["updatedAt"]

    def disable_any_version(self, job_id: str, reason: str, *, now: datetime) -> bool:
        """The platform stops the job, whatever was changed meanwhile; False when it is not active."""
        with driver_errors_translated():
            while True:
                document = self._collection.find_one(
                    {"_id": job_id, "status": JobStatus.ACTIVE.value}, {"version": 1}
                )
                if document is None:
                    return False
                if self.disable(job_id, document["version"], reason, now=now) is not None:
                    return True

    def _end(
        self,
        job_id: str,
        version: int,
        status: JobStatus,
        reason: str,
        now: datetime,
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> int | None:
        with driver_errors_translated():
            result = self._collection.update_one(
                {"_id": job_id, "version": version, "status": JobStatus.ACTIVE.value},
                {
                    "$set": {
                        "status": status.value,
                        "statusReason": reason,
                        "updatedAt": now,
                        "mirrorDue": now + MIRROR_GRACE,
                        **extra,
                    },
                    "$unset": {"nextRunAt": ""},
                    "$inc": {"version": 1},
                },
            )
        return version + 1 if result.matched_count else None


def _cursor_update(move: CursorMove, now: datetime) -> UpdateOne:
    job = move.job
    set_: Document = {"handledThrough": move.handled_through, "scheduledRuns": job.scheduled_runs + move.runs}
    change: Document = {"$set": set_}
    if move.next_run_at is not None:
        set_["nextRunAt"] = move.next_run_at
    else:
        change["$unset"] = {"nextRunAt": ""}
    if move.completes is not None:
        set_ |= {
            "status": JobStatus.COMPLETED.value,
            "statusReason": move.completes,
            "updatedAt": now,
            "mirrorDue": now + MIRROR_GRACE,
        }
        if job.delete_after_completion:
            set_["deleteDue"] = now
        change["$inc"] = {"version": 1}
    guard = {
        "_id": job.id,
        "version": job.version,
        "scheduleSince": job.schedule_since,
        "handledThrough": job.handled_through,
        "scheduledRuns": job.scheduled_runs,
        "status": JobStatus.ACTIVE.value,
    }
    return UpdateOne(guard, change)
