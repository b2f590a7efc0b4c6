"""The collection `jobs`: definitions, cursors, counters and overlap slots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import structlog
from pymongo import ReturnDocument, UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.core.errors import CorruptDocument, KeyTaken, NotFound, SecretUnreadable, VersionConflict
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import Job, JobStatus, OverlapPolicy, TickJob
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.fields import integer, integer_or_none, moment, moment_or_none
from webhookcron.storage.job_documents import (
    TICK_FIELDS,
    Sealer,
    definition_document,
    job_from_document,
    state_document,
    tick_job_from_document,
)

log = structlog.get_logger(__name__)

MIRROR_GRACE = timedelta(seconds=1)
"""Whoever writes a job mirrors it at once; the sweep does it when that has not happened after so long."""

COUNT_TOKENS = 64
"""A job remembers so many groups of outcomes that its counters hold, to count none of them twice."""

_WRITTEN_AT_ONCE = 1_000

_TICK_PROJECTION = dict.fromkeys(TICK_FIELDS, 1)
_CLAIM_PROJECTION = dict.fromkeys(
    ("version", "status", "statusReason", "pausedFrom", "pausedUntil", "scheduleSince", "handledThrough", "maxRuns",
     "overlapPolicy", "active", "waiting"), 1,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
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


@dataclass(frozen=True, slots=True)
class ClaimState:
    """A job as it is now, as far as the claim of its executions needs to know."""

    job_id: str
    version: int
    status: JobStatus
    status_reason: str | None
    paused_from: datetime | None
    paused_until: datetime | None
    schedule_since: datetime
    handled_through: datetime
    max_runs: int | None
    overlap_policy: OverlapPolicy
    active: str | None
    waiting: str | None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """What a group of final executions of one job adds to its counters."""

    job_id: str
    successes: int
    failures: int
    """Executions that ended failed or timeout."""
    failures_in_a_row: int
    """Of those, the ones after the last success of the group; all of them when it has no success."""
    last_status: ExecutionStatus
    last_run_at: datetime


class JobStore:
    """Jobs in MongoDB. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._collection = database["jobs"]
        self._sealer = sealer

    # --- definitions

    def create(self, job: Job) -> None:
        """Store a new job, due to be mirrored. Raises KeyTaken."""
        document = {**state_document(job), **definition_document(job, self._sealer)}
        document["mirrorDue"] = job.updated_at + MIRROR_GRACE
        try:
            with driver_errors_translated():
                self._collection.insert_one(
                    {key: value for key, value in document.items() if value is not None}
                )
        except DuplicateKeyError as error:
            if (error.details or {}).get("keyPattern") == {"_id": 1}:
                # The driver repeated an insert whose reply was lost: it is this very job.
                return
            raise KeyTaken(job.key or "") from error

    def create_many(self, jobs: Sequence[Job]) -> None:
        """Store new jobs in one round trip, due to be mirrored; for jobs with ids and keys known to be new."""
        documents = [{**state_document(job), **definition_document(job, self._sealer)} for job in jobs]
        for document, job in zip(documents, jobs, strict=True):
            document["mirrorDue"] = job.updated_at + MIRROR_GRACE
        with driver_errors_translated():
            self._collection.insert_many(
                [{k: v for k, v in document.items() if v is not None} for document in documents],
                ordered=False,
            )

    def get(self, job_id: str, *, owner_id: str | None) -> Job:
        """The job; NotFound when there is none or it is another owner's (None = any owner's)."""
        return self._one({"_id": job_id}, owner_id)

    def get_by_key(self, key: str, *, owner_id: str) -> Job:
        """The owner's job with this key; NotFound when there is none."""
        return self._one({"key": key}, owner_id)

    def _one(self, filter_: Document, owner_id: str | None) -> Job:
        if owner_id is not None:
            filter_["ownerId"] = owner_id
        with driver_errors_translated():
            document = self._collection.find_one(filter_)
        if document is None:
            raise NotFound
        return job_from_document(document, self._sealer)

    def load(self, job_ids: Sequence[str]) -> dict[str, Job | CorruptDocument | SecretUnreadable]:
        """The jobs of `job_ids` that exist; a document that cannot be read comes as its error."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}))
        jobs: dict[str, Job | CorruptDocument | SecretUnreadable] = {}
        for document in documents:
            try:
                jobs[document["_id"]] = job_from_document(document, self._sealer)
            except (CorruptDocument, SecretUnreadable) as error:
                jobs[document["_id"]] = error
        return jobs

    def update(self, job: Job, *, expected_version: int) -> Job:
        """Replace definition, status and cursor by those of `job`, whose version is set to the next one.

        A schedule that comes into force with this change (`schedule_since` is `updated_at`) brings its cursor and its
        count of runs; else a ticker may have moved them since `job` was read, so the count stays and the cursor only
        moves forward. Counters and slots stay as they are, but an active job without failures in a row gets none.
        The job as stored then is returned, due to be mirrored.
        Raises VersionConflict when the stored version is not `expected_version`, NotFound, or KeyTaken.
        """
        values = {
            **definition_document(job, self._sealer),
            "status": job.status.value,
            "statusReason": job.status_reason,
            "updatedAt": job.updated_at,
            "scheduleSince": job.schedule_since,
            "pausedFrom": job.paused_from,
            "pausedUntil": job.paused_until,
            "nextRunAt": job.next_run_at,
            "mirrorDue": job.updated_at + MIRROR_GRACE,
            "deleteDue": None,
        }
        if job.status is JobStatus.ACTIVE and job.consecutive_failures == 0:
            values["consecutiveFailures"] = 0
        change: Document = {"$inc": {"version": 1}}
        if job.schedule_since == job.updated_at:
            values |= {"handledThrough": job.handled_through, "scheduledRuns": job.scheduled_runs}
        else:
            change["$max"] = {"handledThrough": job.handled_through}
        change["$set"] = {k: v for k, v in values.items() if v is not None}
        if removed := {key: "" for key, value in values.items() if value is None}:
            change["$unset"] = removed
        return self._guarded(job, change, expected_version)

    def update_definition(self, job: Job, *, expected_version: int) -> Job:
        """Replace the definition by that of `job`, whose fire times are the same as before.

        Status, cursor and next run stay as they are, also where a ticker has moved them since `job` was read. Else as
        `update`.
        """
        values = {
            **definition_document(job, self._sealer),
            "updatedAt": job.updated_at,
            "mirrorDue": job.updated_at + MIRROR_GRACE,
        }
        change: Document = {
            "$set": {k: v for k, v in values.items() if v is not None},
            "$inc": {"version": 1},
        }
        if removed := {key: "" for key, value in values.items() if value is None}:
            change["$unset"] = removed
        return self._guarded(job, change, expected_version)

    def _guarded(self, job: Job, change: Document, expected_version: int) -> Job:
        try:
            with driver_errors_translated():
                document = self._collection.find_one_and_update(
                    {"_id": job.id, "version": expected_version}, change, return_document=ReturnDocument.AFTER
                )
                if document is None:
                    current = self._collection.find_one({"_id": job.id}, {"version": 1})
        except DuplicateKeyError as error:
            raise KeyTaken(job.key or "") from error
        if document is None:
            if current is None:
                raise NotFound(job.id)
            raise VersionConflict(current["version"])
        return job_from_document(document, self._sealer)

    def delete(self, job_id: str, *, expected_version: int) -> None:
        """Remove the job. Raises VersionConflict when it was changed meanwhile; one already gone is no error."""
        with driver_errors_translated():
            if self._collection.delete_one({"_id": job_id, "version": expected_version}).deleted_count:
                return
            current = self._collection.find_one({"_id": job_id}, {"version": 1})
        if current is not None:
            raise VersionConflict(current["version"])

    def count(self, filter_: Mapping[str, Any]) -> int:
        """How many jobs match."""
        with driver_errors_translated():
            return self._collection.count_documents(dict(filter_))

    def server_info(self) -> Document:
        """What the server says about itself (`buildInfo`).

        The embedded store adds `webhookcronEmbedded` and `maxFinishedExecutions`.
        """
        with driver_errors_translated():
            return self._collection.database.command("buildInfo")

    # --- the ticker's side

    def tick_jobs(self, job_ids: Sequence[str]) -> dict[str, TickJob | CorruptDocument]:
        """What decides about the fire times of `job_ids`; missing ids do not exist."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, _TICK_PROJECTION))
        return {document["_id"]: _tick_job(document) for document in documents}

    def active_jobs(self, batch: int) -> Iterator[list[TickJob | CorruptDocument]]:
        """All active jobs in order of their ids, `batch` at a time: each batch is a query of its own."""
        after = ""
        while True:
            with driver_errors_translated():
                documents = list(
                    self._collection.find(
                        {"status": JobStatus.ACTIVE.value, "_id": {"$gt": after}}, _TICK_PROJECTION
                    )
                    .sort("_id", 1)
                    .limit(batch)
                )
            if not documents:
                return
            yield [_tick_job(document) for document in documents]
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
                    "status": JobStatus.ACTIVE.value,
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

    # --- mirroring

    def mirror_due(self, now: datetime, limit: int) -> list[TickJob | CorruptDocument]:
        """Jobs that were changed and are not mirrored yet."""
        with driver_errors_translated():
            cursor = self._collection.find({"mirrorDue": {"$lte": now}}, _TICK_PROJECTION).sort(
                "mirrorDue", 1
            )
            return [_tick_job(document) for document in cursor.limit(limit)]

    def mirrored(self, versions: Sequence[tuple[str, int]]) -> None:
        """These versions are mirrored; a job changed again meanwhile stays due."""
        if not versions:
            return
        with driver_errors_translated():
            self._collection.bulk_write(
                [
                    UpdateOne({"_id": job_id, "version": version}, {"$unset": {"mirrorDue": ""}})
                    for job_id, version in versions
                ],
                ordered=False,
            )

    def postpone_mirroring(self, job_id: str, until: datetime) -> None:
        """Look at a job that cannot be mirrored again later, so that it holds up no other."""
        with driver_errors_translated():
            self._collection.update_one(
                {"_id": job_id, "mirrorDue": {"$lt": until}}, {"$set": {"mirrorDue": until}}
            )

    def reset_next_run_at(self, jobs: Sequence[tuple[TickJob, datetime]]) -> None:
        """Set the next run of jobs whose fire times were computed anew (other time zone data)."""
        if not jobs:
            return
        with driver_errors_translated():
            self._collection.bulk_write(
                [
                    UpdateOne({"_id": job.id, "version": job.version}, {"$set": {"nextRunAt": next_run_at}})
                    for job, next_run_at in jobs
                ],
                ordered=False,
            )

    # --- removal after completion

    def deletions_due(self, now: datetime, limit: int) -> list[tuple[str, int]]:
        """(id, version) of completed jobs that are to be removed once their executions are final."""
        with driver_errors_translated():
            cursor = self._collection.find({"deleteDue": {"$lte": now}}, {"version": 1}).sort("deleteDue", 1)
            return [(document["_id"], document["version"]) for document in cursor.limit(limit)]

    def postpone_deletion(self, job_id: str, until: datetime) -> None:
        """Look at a job to be removed again at `until`."""
        with driver_errors_translated():
            self._collection.update_one(
                {"_id": job_id, "deleteDue": {"$lt": until}}, {"$set": {"deleteDue": until}}
            )

    # --- the worker's side

    def claim_states(self, job_ids: Sequence[str]) -> dict[str, ClaimState | CorruptDocument]:
        """The jobs of `job_ids` as they are now; missing ids are gone."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, _CLAIM_PROJECTION))
        return {document["_id"]: _claim_state(document) for document in documents}

    def hosts(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The host that each of `job_ids` calls; missing ids are gone."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, {"host": 1}))
        return {document["_id"]: str(document.get("host", "")) for document in documents}

    def count_outcomes(self, counts: Sequence[OutcomeCount], token: str) -> None:
        """Add a group of outcomes to the counters, each job's once however often this is called with `token`."""
        if not counts:
            return
        updates: list[UpdateOne] = []
        for count in counts:
            increments = {"totalRuns": count.successes + count.failures}
            if count.successes:
                increments["successfulRuns"] = count.successes
            if count.failures:
                increments["failedRuns"] = count.failures
            latest: Document = {"lastStatus": count.last_status.value}
            if count.successes:
                latest["consecutiveFailures"] = count.failures_in_a_row
            else:
                increments["consecutiveFailures"] = count.failures_in_a_row
            updates.append(
                UpdateOne(
                    {"_id": count.job_id, "countTokens": {"$ne": token}},
                    {
                        "$inc": increments,
                        "$set": latest,
                        "$max": {"lastRunAt": count.last_run_at},
                        "$push": {"countTokens": {"$each": [token], "$slice": -COUNT_TOKENS}},
                    },
                )
            )
        with driver_errors_translated():
            self._collection.bulk_write(updates, ordered=False)

    def has_counted(self, job_ids: Sequence[str], token: str) -> set[str]:
        """Those of `job_ids` whose counters hold the group `token`, and those that are gone."""
        with driver_errors_translated():
            cursor = self._collection.find(
                {"_id": {"$in": list(job_ids)}, "countTokens": {"$ne": token}}, {"_id": 1}
            )
            return set(job_ids) - {document["_id"] for document in cursor}

    def failing(self, job_ids: Sequence[str]) -> list[tuple[str, int, int]]:
        """(id, version, failures in a row) of those of `job_ids` that are active and reached their bound."""
        with driver_errors_translated():
            cursor = self._collection.find(
                {
                    "_id": {"$in": list(job_ids)},
                    "status": JobStatus.ACTIVE.value,
                    "disableAfterFailures": {"$gt": 0},
                },
                {"version": 1, "disableAfterFailures": 1, "consecutiveFailures": 1},
            )
            return [
                (document["_id"], document["version"], document["consecutiveFailures"])
                for document in cursor
                if document["consecutiveFailures"] >= document["disableAfterFailures"]
            ]

    # --- overlap slots

    def take_slot(self, job_id: str, execution_id: str, *, instead_of: str | None = None) -> bool:
        """Make `execution_id` the job's execution under way, if none is (or `instead_of` is, which has ended)."""
        free: list[str | None] = [None, execution_id]
        if instead_of is not None:
            free.append(instead_of)
        with driver_errors_translated():
            result = self._collection.update_one(
                {"_id": job_id, "active": {"$in": free}}, {"$set": {"active": execution_id}}
            )
            if result.matched_count:
                # It may have waited until now.
                self._collection.update_one(
                    {"_id": job_id, "waiting": execution_id}, {"$unset": {"waiting": ""}}
                )
        return result.matched_count == 1

    def take_waiting_slot(self, job_id: str, execution_id: str, *, instead_of: str | None = None) -> bool:
        """Make `execution_id` the one that waits, if none does (or `instead_of` does, which has ended)."""
        free: list[str | None] = [None, execution_id]
        if instead_of is not None:
            free.append(instead_of)
        with driver_errors_translated():
            result = self._collection.update_one(
                {"_id": job_id, "waiting": {"$in": free}}, {"$set": {"waiting": execution_id}}
            )
        return result.matched_count == 1

    def release_slot(self, job_id: str, execution_id: str) -> str | None:
        """The job's execution under way has ended: the id of the one that waited and now may run, or None."""
        with driver_errors_translated():
            while True:
                document = self._collection.find_one({"_id": job_id, "active": execution_id}, {"waiting": 1})
                if document is None:
                    return None
                waiting = document.get("waiting")
                change: Document = (
                    {"$unset": {"active": "", "waiting": ""}}
                    if waiting is None
                    else {"$set": {"active": waiting}, "$unset": {"waiting": ""}}
                )
                guard = {"_id": job_id, "active": execution_id, "waiting": waiting}
                if self._collection.update_one(guard, change).matched_count:
                    return waiting

    # --- lists (last: within the class, `list` means this method from here on)

    def list(
        self, filter_: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], skip: int, limit: int
    ) -> tuple[list[Job], int]:
        """One page of jobs and how many there are in all. `filter_` and `sort` name document fields.

        A document that cannot be read is left out of its page, with a line in the log.
        """
        with driver_errors_translated():
            total = self._collection.count_documents(dict(filter_))
            documents = list(self._collection.find(dict(filter_)).sort(list(sort)).skip(skip).limit(limit))
        jobs: list[Job] = []
        for document in documents:
            try:
                jobs.append(job_from_document(document, self._sealer))
            except CorruptDocument as error:
                log.error("job.corrupt", job_id=error.document_id, reason=error.reason)
        return jobs, total


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


def _tick_job(document: Document) -> TickJob | CorruptDocument:
    try:
        return tick_job_from_document(document)
    except CorruptDocument as error:
        return error


def _claim_state(document: Document) -> ClaimState | CorruptDocument:
    get = document.get
    try:
        return ClaimState(
            job_id=document["_id"],
            version=integer(document, "version"),
            status=JobStatus(document["status"]),
            status_reason=get("statusReason"),
            paused_from=moment_or_none(document, "pausedFrom"),
            paused_until=moment_or_none(document, "pausedUntil"),
            schedule_since=moment(document, "scheduleSince"),
            handled_through=moment(document, "handledThrough"),
            max_runs=integer_or_none(document, "maxRuns"),
            overlap_policy=OverlapPolicy(document["overlapPolicy"]),
            active=get("active"),
            waiting=get("waiting"),
        )
    except (KeyError, ValueError, TypeError) as error:
        return CorruptDocument(document.get("_id"), f"{type(error).__name__}: {error}")
