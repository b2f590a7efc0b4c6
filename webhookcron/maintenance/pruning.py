"""Removing old executions at once: for those who shortened retention, which holds for new executions only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.database import Database

from webhookcron.core.executions import FINAL_STATUSES, ExecutionStatus, job_id_of
from webhookcron.storage.client import Document, driver_errors_translated

_AT_ONCE = 1_000
_FINAL = frozenset(status.value for status in FINAL_STATUSES)
_FAILED = frozenset({ExecutionStatus.FAILED.value, ExecutionStatus.TIMEOUT.value})
_FIELDS = {"status": 1, "completedAt": 1, "scheduledAt": 1, "counted": 1}


@dataclass(slots=True)
class Pruned:
    """What was done, or would be."""

    looked_at: int = 0
    removed: int = 0


def prune(
    database: Database[Document],
    *,
    now: datetime,
    older_than: timedelta,
    failures_kept: int,
    of_jobs: bool = False,
    job_id: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _looked_at, _removed: None,
) -> Pruned:
    """Remove finished executions that ended more than `older_than` ago, failed ones `failures_kept` times later.

    With `of_jobs`, a job's own retention takes the place of `older_than`, where it has one.

    Kept are those that their job's counters do not hold yet, and those after the job's cursor, whose fire times a
    ticker could handle again. Goes through all executions once, in batches. Raises StoreUnavailable.
    """
    pruned = Pruned()
    for batch in _batches(database, job_id):
        pruned.looked_at += len(batch)
        jobs = _jobs(database, {job_id_of(document["_id"]) for document in batch})
        ids = []
        for document in batch:
            job = jobs.get(job_id_of(document["_id"]), {})
            days = job.get("retentionDays") if of_jobs else None
            kept = older_than if days is None else timedelta(days=days)
            cursor = job.get("handledThrough")
            if _is_old(document, now, kept, failures_kept) and (
                cursor is None or document["scheduledAt"] <= cursor
            ):
                ids.append(document["_id"])
        if ids and not dry_run:
            with driver_errors_translated():
                # Looked at again: a final execution stays final, and one that is counted stays counted.
                filter_ = {"_id": {"$in": ids}, "status": {"$in": sorted(_FINAL)}, "counted": None}
                pruned.removed += database["executions"].delete_many(filter_).deleted_count
        elif ids:
            pruned.removed += len(ids)
        progress(pruned.looked_at, pruned.removed)
    return pruned


def _batches(database: Database[Document], job_id: str | None) -> Iterator[list[Document]]:
    after = ""
    while True:
        filter_: Document = {"_id": {"$gt": after}}
        if job_id is not None:
            # The ids of a job's executions begin with its own.
            filter_ = {"_id": {"$gt": max(after, f"{job_id}:"), "$lt": f"{job_id};"}}
        with driver_errors_translated():
            batch = list(database["executions"].find(filter_, _FIELDS).sort("_id", 1).limit(_AT_ONCE))
        if batch:
            yield batch
        if len(batch) < _AT_ONCE:
            return
        after = batch[-1]["_id"]


def _is_old(document: Document, now: datetime, older_than: timedelta, failures_kept: int) -> bool:
    ended_at = document.get("completedAt")
    if document["status"] not in _FINAL or ended_at is None or "counted" in document:
        return False
    kept = older_than * (failures_kept if document["status"] in _FAILED else 1)
    return bool(now - ended_at > kept)


def _jobs(database: Database[Document], job_ids: set[str]) -> dict[str, Document]:
    with driver_errors_translated():
        found = database["jobs"].find(
            {"_id": {"$in": sorted(job_ids)}}, {"handledThrough": 1, "retentionDays": 1}
        )
        return {document["_id"]: document for document in found}
