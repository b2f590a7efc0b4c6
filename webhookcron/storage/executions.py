"""The collection `executions`: what was to be run, what became of it, and every attempt."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from pymongo import DeleteMany, ReturnDocument, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from webhookcron.core.errors import CorruptDocument, NotFinal, NotFound, StoreUnavailable
from webhookcron.core.executions import (
    FINAL_STATUSES,
    ClaimedExecution,
    Execution,
    ExecutionStatus,
    Reason,
    Trigger,
)
from webhookcron.core.fires import DueRun
from webhookcron.storage.client import NAIVE, Document, driver_errors_translated
from webhookcron.storage.execution_documents import (
    CLAIM_PROJECTION,
    claimed_execution,
    execution_document,
    execution_from_document,
)
from webhookcron.storage.execution_logs import ExecutionLogs

log = structlog.get_logger(__name__)

Read = TypeVar("Read")

_DUPLICATE_KEY = 11000
_INSERTED_AT_ONCE = 500
_MOST_MADE = 1_000
_RECORDED = frozenset({Reason.MISFIRE.value, Reason.CATCH_UP_LIMIT.value})
_UNREADABLE_AGAIN = timedelta(minutes=10)
_FINAL = sorted(status.value for status in FINAL_STATUSES)
_QUEUED = ExecutionStatus.QUEUED.value
_RUNNING = ExecutionStatus.RUNNING.value
_RETRYING = ExecutionStatus.RETRYING.value
_WITHOUT_ATTEMPTS = {"attempts": 0}


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of a group of executions to create."""

    present: frozenset[str]
    """Ids that are in MongoDB now, whoever inserted them."""
    created: frozenset[str]
    """Those that this call inserted."""


@dataclass(slots=True)
class GuardedUpdate:
    """A change of one execution that happens only while `guard` holds."""

    execution_id: str
    guard: Mapping[str, Any]
    change: Mapping[str, Mapping[str, Any]]


class ExecutionStore(ExecutionLogs):
    """Executions in MongoDB. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["executions"]
        self._naive = self._collection.with_options(codec_options=NAIVE)

    # --- creating

    def insert(self, executions: Sequence[Execution | DueRun]) -> Inserted:
        """Create what is not there yet; the unique `_id` makes one execution of each, whoever else tries.

        Only a duplicate key on `_id` means "present": an execution with any other write error is in neither set.
        A record of many missed fire times that is there already grows to what the new one says.
        Raises StoreUnavailable when MongoDB is away or the write concern was not met; some may be there by then.
        """
        present: frozenset[str] = frozenset()
        created: frozenset[str] = frozenset()
        # Each slice has the deadline of one operation: however many there are, every call gets on.
        for start in range(0, len(executions), _INSERTED_AT_ONCE):
            inserted = self._insert(executions[start : start + _INSERTED_AT_ONCE])
            present |= inserted.present
            created |= inserted.created
        if len(present) > len(created):
            known = present - created
            self._extend([e for e in executions if isinstance(e, Execution) and e.id in known])
        return Inserted(present, created)

    def _insert(self, executions: Sequence[Execution | DueRun]) -> Inserted:
        ids = [execution.id for execution in executions]
        with driver_errors_translated():
            try:
                self._collection.insert_many([execution_document(e) for e in executions], ordered=False)
            except BulkWriteError as error:
                return _sort_out(ids, error)
        everything = frozenset(ids)
        return Inserted(everything, everything)

    def _extend(self, known: Sequence[Execution]) -> None:
        for summary in known:
            if summary.skipped_count is None:
                continue
            with driver_errors_translated():
                self._collection.update_one(
                    {"_id": summary.id, "status": ExecutionStatus.SKIPPED.value},
                    {
                        "$max": {
                            "skippedUntil": summary.skipped_until,
                            "skippedCount": summary.skipped_count,
                            "completedAt": summary.completed_at,
                            "expireAt": summary.expire_at,
                        }
                    },
                )

    def made_by_schedule(self, job_id: str, first: datetime, last: datetime) -> list[datetime]:
        """The fire times of the job in [`first`, `last`] that have an execution which was made to run, in order.

        Records of missed fire times are left out. At most 1,000.
        """
        filter_: Document = {"jobId": job_id, "scheduledAt": {"$gte": first, "$lte": last}}
        with driver_errors_translated():
            documents = list(
                self._collection.find(filter_, {"scheduledAt": 1, "trigger": 1, "reason": 1})
                .sort([("scheduledAt", -1), ("_id", -1)])
                .limit(_MOST_MADE)
            )
        made = [
            document["scheduledAt"]
            for document in documents
            if document.get("trigger") == Trigger.SCHEDULE.value and document.get("reason") not in _RECORDED
        ]
        return made[::-1]

    # --- claiming and recording

    def claim(self, ids: Sequence[str], token: str, *, now: datetime, lease_until: datetime) -> None:
        """Take those of `ids` that are queued: running, under `token`, until `lease_until`. Safe to repeat."""
        with driver_errors_translated():
            self._collection.update_many(
                {"_id": {"$in": list(ids)}, "status": _QUEUED}, _claim(token, now, lease_until)
            )

    def claim_one(
        self, execution_id: str, token: str, *, now: datetime, lease_until: datetime
    ) -> list[ClaimedExecution]:
        """`claim` and `claimed` of one execution in one round trip.

        Not to be repeated when the reply is lost: it may be claimed by then, and is not queued any more.
        """
        with driver_errors_translated():
            document = self._naive.find_one_and_update(
                {"_id": execution_id, "status": _QUEUED},
                _claim(token, now, lease_until),
                projection=CLAIM_PROJECTION,
                return_document=ReturnDocument.AFTER,
            )
        return [] if document is None else _readable([document], claimed_execution)[0]

    def extend(self, ids: Sequence[str], token: str, lease_until: datetime) -> None:
        """Hold those of `ids` that `token` holds until `lease_until`. Safe to repeat."""
        with driver_errors_translated():
            self._collection.update_many(
                {"_id": {"$in": list(ids)}, "status": _RUNNING, "claim": token},
                {"$set": {"checkAt": lease_until}},
            )

    def claimed(self, ids: Sequence[str], token: str) -> list[ClaimedExecution]:
        """Those of `ids` that `token` holds."""
        with driver_errors_translated():
            documents = list(self._naive.find({"_id": {"$in": list(ids)}, "claim": token}, CLAIM_PROJECTION))
        running = [document for document in documents if document.get("status") == _RUNNING]
        return _readable(running, claimed_execution)[0]

    def put_off(self, ids: Sequence[str], reason: Reason, until: datetime) -> None:
        """Those of `ids` that are queued stay so, and are looked at again at `until`."""
        with driver_errors_translated():
            self._collection.update_many(
                {"_id": {"$in": list(ids)}, "status": _QUEUED},
                {"$set": {"checkAt": until, "reason": reason.value}},
            )

    def apply(self, updates: Sequence[GuardedUpdate]) -> int:
        """Make each change whose guard still holds, in one round trip; how many did."""
        if not updates:
            return 0
        with driver_errors_translated():
            result = self._collection.bulk_write(
                [UpdateOne({"_id": u.execution_id, **u.guard}, dict(u.change)) for u in updates],
                ordered=False,
            )
        return result.matched_count

    def with_outcome(self, ids: Sequence[str], count_token: str) -> set[str]:
        """Those of `ids` whose outcome was recorded with this token and is not counted yet."""
        filter_ = {"_id": {"$in": list(ids)}, "countToken": count_token, "counted": False}
        with driver_errors_translated():
            return {document["_id"] for document in self._collection.find(filter_, {"_id": 1})}

    def outcome_group(self, check_at: datetime, count_token: str) -> list[Execution]:
        """The executions whose outcome was recorded as one group and is not counted yet, without attempts."""
        filter_ = {"checkAt": check_at, "countToken": count_token, "counted": False}
        with driver_errors_translated():
            documents = list(self._collection.find(filter_, _WITHOUT_ATTEMPTS))
        return _readable(documents, execution_from_document)[0]

    def mark_counted(self, ids: Sequence[str]) -> None:
        """The counters of the jobs hold these executions: the sweep need not look at them again."""
        if not ids:
            return
        with driver_errors_translated():
            self._collection.update_many(
                {"_id": {"$in": list(ids)}, "counted": False},
                {"$unset": {"counted": "", "checkAt": "", "countToken": ""}},
            )

    # --- reading

    def present(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that exist."""
        with driver_errors_translated():
            return {
                document["_id"] for document in self._collection.find({"_id": {"$in": list(ids)}}, {"_id": 1})
            }

    def statuses(self, ids: Sequence[str]) -> dict[str, ExecutionStatus]:
        """The status of those of `ids` that exist."""
        with driver_errors_translated():
            cursor = self._collection.find({"_id": {"$in": list(ids)}}, {"status": 1})
            return {document["_id"]: ExecutionStatus(document["status"]) for document in cursor}

    def get_many(self, ids: Sequence[str]) -> list[Execution]:
        """Those of `ids` that exist, without their attempts."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(ids)}}, _WITHOUT_ATTEMPTS))
        return [execution_from_document(document) for document in documents]

    def get(self, execution_id: str, *, owner_id: str | None) -> Execution:
        """The execution with all its attempts; NotFound when there is none or it is another owner's."""
        filter_: Document = {"_id": execution_id}
        if owner_id is not None:
            filter_["ownerId"] = owner_id
        with driver_errors_translated():
            document = self._collection.find_one(filter_)
        if document is None:
            raise NotFound(execution_id)
        return execution_from_document(document)

    def to_check(self, now: datetime, limit: int) -> list[Execution]:
        """Up to `limit` executions whose `checkAt` has passed, the longest waiting first, without attempts.

        One that cannot be read is set aside for ten minutes with a line in the log.
        """
        with driver_errors_translated():
            cursor = (
                self._collection.find({"checkAt": {"$lte": now}}, _WITHOUT_ATTEMPTS)
                .sort("checkAt", 1)
                .limit(limit)
            )
            executions, unreadable = _readable(list(cursor), execution_from_document)
            if unreadable:
                self._collection.update_many(
                    {"_id": {"$in": unreadable}}, {"$set": {"checkAt": now + _UNREADABLE_AGAIN}}
                )
        return executions

    def unfinished_by_status(self, *, limit: int) -> dict[str, int]:
        """How many executions that are not final there are, by status; looked at up to `limit`."""
        statuses = [_QUEUED, _RUNNING, _RETRYING]
        with driver_errors_translated():
            groups = self._collection.aggregate(
                [
                    {"$match": {"checkAt": {"$type": "date"}, "status": {"$in": statuses}}},
                    {"$limit": limit},
                    {"$group": {"_id": "$status", "count": {"$sum": 1}}},
                ]
            )
            return {group["_id"]: group["count"] for group in groups}

    def any_under_way(self, job_id: str) -> bool:
        """Whether the job has an execution that is not final."""
        under_way = [_QUEUED, _RUNNING, _RETRYING]
        with driver_errors_translated():
            return (
                self._collection.find_one({"jobId": job_id, "status": {"$in": under_way}}, {"_id": 1})
                is not None
            )

    # --- ending from outside

    def cancel(self, job_id: str, reason: Reason, *, now: datetime, expire_at: datetime) -> int:
        """End the job's queued and retrying executions as cancelled; those running finish first. How many."""
        return self.cancel_many([job_id], reason, now=now, expire_at=expire_at)

    def cancel_many(
        self, job_ids: Sequence[str], reason: Reason, *, now: datetime, expire_at: datetime
    ) -> int:
        """As `cancel`, for several jobs in one round trip."""
        with driver_errors_translated():
            result = self._collection.update_many(
                {"jobId": {"$in": list(job_ids)}, "status": {"$in": [_QUEUED, _RETRYING]}},
                {
                    "$set": {
                        "status": ExecutionStatus.CANCELLED.value,
                        "reason": reason.value,
                        **_ended_from_outside(now, expire_at),
                    },
                    "$unset": {"nextAttemptAt": ""},
                },
            )
        return result.modified_count

    def cancel_one(self, execution_id: str, reason: Reason, *, now: datetime, expire_at: datetime) -> bool:
        """End one queued or retrying execution as cancelled; False when it is neither (any more)."""
        with driver_errors_translated():
            result = self._collection.update_one(
                {"_id": execution_id, "status": {"$in": [_QUEUED, _RETRYING]}},
                {
                    "$set": {
                        "status": ExecutionStatus.CANCELLED.value,
                        "reason": reason.value,
                        **_ended_from_outside(now, expire_at),
                    },
                    "$unset": {"nextAttemptAt": ""},
                },
            )
        return result.matched_count == 1

    def delete(self, execution_id: str, *, owner_id: str | None, handled_through: datetime | None) -> None:
        """Remove one finished execution.

        Raises NotFound, or NotFinal when it is under way or its fire time lies after the job's stored cursor
        `handled_through` (the ticker could make it again; None = the job is gone, nothing makes it again).
        """
        execution = self.get(execution_id, owner_id=owner_id)
        if not execution.status.final or (
            handled_through is not None and execution.scheduled_at > handled_through
        ):
            raise NotFinal(execution_id)
        with driver_errors_translated():
            self._collection.delete_one({"_id": execution_id, "status": {"$in": _FINAL}})

    def delete_final(self, job_id: str) -> int:
        """Remove all finished executions of a deleted job; how many."""
        with driver_errors_translated():
            result = self._collection.bulk_write([DeleteMany({"jobId": job_id, "status": {"$in": _FINAL}})])
        return result.deleted_count

    def count(self, filter_: Mapping[str, Any]) -> int:
        """How many executions match an equality filter on indexed fields."""
        with driver_errors_translated():
            return self._collection.count_documents(dict(filter_))


def _claim(token: str, now: datetime, lease_until: datetime) -> Document:
    return {
        "$set": {"status": _RUNNING, "claim": token, "checkAt": lease_until, "claimedAt": now},
        "$unset": {"reason": ""},
    }


def _ended_from_outside(now: datetime, expire_at: datetime) -> Document:
    """The sweep counts what ends without a worker: at once, and all that ended together as one group."""
    return {
        "completedAt": now,
        "expireAt": expire_at,
        "counted": False,
        "countToken": secrets.token_hex(6),
        "checkAt": now,
    }


def _readable(
    documents: Sequence[Document], reading: Callable[[Document], Read]
) -> tuple[list[Read], list[Any]]:
    """The executions of `documents`, and the ids of those that cannot be read, which are logged."""
    executions: list[Read] = []
    unreadable: list[Any] = []
    for document in documents:
        try:
            executions.append(reading(document))
        except CorruptDocument as error:
            log.error("execution.corrupt", execution_id=error.document_id, reason=error.reason)
            unreadable.append(error.document_id)
    return executions, unreadable


def _sort_out(ids: Iterable[str], error: BulkWriteError) -> Inserted:
    details = error.details or {}
    if details.get("writeConcernErrors"):
        raise StoreUnavailable("MongoDB did not acknowledge the inserts") from error
    failed: set[str] = set()
    duplicates: set[str] = set()
    for write_error in details.get("writeErrors", []):
        document_id = write_error.get("op", {}).get("_id")
        pattern = write_error.get("keyPattern")
        # Old servers leave keyPattern out; the only unique key of this collection is `_id`.
        if write_error.get("code") == _DUPLICATE_KEY and pattern in (None, {"_id": 1}):
            duplicates.add(document_id)
        else:
            failed.add(document_id)
    present = frozenset(ids) - failed
    return Inserted(present, present - duplicates)
