"""Reading and removing what the log of executions holds, in steps of bounded size, each served by an index."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from pymongo.collection import Collection

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.executions import FINAL_STATUSES, Execution
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.execution_documents import execution_from_document

log = structlog.get_logger(__name__)

Position = tuple[datetime, str]
"""(scheduledAt, id) of an execution in the order of the log; the id is empty for the place behind all of a moment."""

LOG_ORDER = [("scheduledAt", -1), ("_id", -1)]

LOOKED_AT = 5_000
"""Executions that one step looks at where no index knows all that is asked for."""

MOST_WALKS = 200
"""MongoDB merges so many walks in an index into one order (internalQueryMaxScansToExplode); beyond, it sorts."""

_FINAL = sorted(status.value for status in FINAL_STATUSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which executions. None and empty mean no restriction; a job or owners have to be named."""

    job_id: str | None = None
    owner_ids: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    host: str | None = None
    min_duration_ms: int | None = None
    error_text: str | None = None
    """Part of the last error's message, in any case of letters."""
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    """Exclusive."""

    def indexed(self, owner_ids: Sequence[str]) -> Document:
        """The part of the filter, for some of the owners, that leads an index which ends in `LOG_ORDER`."""
        filter_: Document = {}
        if self.job_id is not None:
            filter_["jobId"] = self.job_id
        else:
            filter_["ownerId"] = _one_or_many(owner_ids)
        if self.statuses:
            filter_["status"] = _one_or_many(self.statuses)
        return filter_

    def looked_up(self) -> Document:
        """The part of the filter that only the executions themselves can tell."""
        filter_: Document = {}
        if self.job_id is not None and self.owner_ids:
            filter_["ownerId"] = _one_or_many(self.owner_ids)
        if self.triggers:
            filter_["trigger"] = _one_or_many(self.triggers)
        if self.host is not None:
            filter_["host"] = self.host
        if self.min_duration_ms is not None:
            filter_["durationMs"] = {"$gte": self.min_duration_ms}
        if self.error_text is not None:
            filter_["error.message"] = {"$regex": _literal(self.error_text), "$options": "i"}
        return filter_

    def bounds(self) -> Document:
        """The range of fire times."""
        found = {"$gte": self.scheduled_from, "$lt": self.scheduled_to}
        return {operator: moment for operator, moment in found.items() if moment is not None}


@dataclass(frozen=True, slots=True)
class LogStep:
    """What one step through the log found, the latest fire time first."""

    items: list[Execution]
    next: Position | None
    """Where to go on; None at the end. There may be a next place although fewer items than wanted were found."""


class ExecutionLogs:
    """The log. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    _collection: Collection[Document]

    def step(
        self, which: LogFilter, *, after: Position | None, limit: int, looked_at: int = LOOKED_AT
    ) -> LogStep:
        """Up to `limit` executions behind `after`, equal fire times by descending id.

        New executions do not shift later steps. A document that cannot be read is left out, with a line in the log.
        """
        found: list[Document] = []
        placeless: list[Document] = []
        reached: datetime | None = None
        for owner_ids in _groups(which):
            documents, stop_at = self._look(which, owner_ids, after, limit + 1, looked_at)
            for document in documents:
                # One whose fire time is no date has no place; MongoDB puts it behind all that have.
                (found if isinstance(document["scheduledAt"], datetime) else placeless).append(document)
            reached = _later(reached, stop_at)
        _readable(placeless)
        if reached is not None:
            # Where one group of owners was not looked at any further, the others' are for the next step.
            found = [document for document in found if document["scheduledAt"] >= reached]
        found.sort(key=_place, reverse=True)
        if len(found) > limit:
            found = found[:limit]
            return LogStep(_readable(found), _place(found[-1]))
        return LogStep(_readable(found), None if reached is None else (reached, ""))

    def _look(
        self,
        which: LogFilter,
        owner_ids: Sequence[str],
        after: Position | None,
        limit: int,
        looked_at: int,
    ) -> tuple[list[Document], datetime | None]:
        indexed, rest, bounds = which.indexed(owner_ids), which.looked_up(), which.bounds()
        found: list[Document] = []
        stop_at: datetime | None = None
        with driver_errors_translated():
            if after is not None:
                moment, last_id = after
                if last_id and not _outside(moment, bounds):
                    tie = {**indexed, **rest, "scheduledAt": moment, "_id": {"$lt": last_id}}
                    found = list(self._collection.find(tie).sort("_id", -1).limit(limit))
                upper = bounds.get("$lt")
                bounds["$lt"] = moment if upper is None or moment < upper else upper
            if len(found) >= limit:
                return found, None
            if rest:
                stop_at = self._stop_at(indexed, bounds, looked_at)
            if stop_at is not None:
                bounds["$gte"] = stop_at
            filter_ = {**indexed, **rest, **({"scheduledAt": bounds} if bounds else {})}
            found += self._collection.find(filter_).sort(LOG_ORDER).limit(limit - len(found))
        return found, None if len(found) >= limit else stop_at

    def _stop_at(self, indexed: Document, bounds: Document, looked_at: int) -> datetime | None:
        """The fire time at which `looked_at` executions are passed, found in the index alone; None = not that many."""
        filter_ = {**indexed, **({"scheduledAt": bounds} if bounds else {})}
        places = (
            self._collection.find(filter_, {"scheduledAt": 1}).sort(LOG_ORDER).skip(looked_at - 1).limit(1)
        )
        return next((place["scheduledAt"] for place in places), None)

    def remove_final(self, ids: Sequence[str]) -> int:
        """Remove those of `ids` that are finished and counted; how many."""
        with driver_errors_translated():
            return self._collection.delete_many(
                {"_id": {"$in": list(ids)}, "status": {"$in": _FINAL}, "counted": {"$ne": False}}
            ).deleted_count

    # Last: within the class, `list` means this method from here on.
    def list(
        self,
        *,
        owner_id: str | None,
        job_id: str | None = None,
        statuses: Sequence[str] = (),
        triggers: Sequence[str] = (),
        scheduled_from: datetime | None = None,
        scheduled_to: datetime | None = None,
        after: Position | None = None,
        limit: int,
    ) -> list[Execution]:
        """The executions of one step that looks at however many it takes; one of job and owner has to be named."""
        which = LogFilter(
            job_id=job_id,
            owner_ids=() if owner_id is None else (owner_id,),
            statuses=tuple(statuses),
            triggers=tuple(triggers),
            scheduled_from=scheduled_from,
            scheduled_to=scheduled_to,
        )
        return self.step(which, after=after, limit=limit, looked_at=2**31 - 1).items


def _groups(which: LogFilter) -> list[tuple[str, ...]]:
    """The owners, so many at a time that MongoDB walks an index for each of them."""
    if which.job_id is not None:
        return [()]
    size = max(1, MOST_WALKS // max(1, len(which.statuses)))
    owners = which.owner_ids
    return [owners[start : start + size] for start in range(0, len(owners), size)]


def _one_or_many(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}


def _literal(text: str) -> str:
    """A pattern that matches `text` and nothing else, in the dialects of PCRE and RE2."""
    return re.sub(r"([^\w\s\x80-\U0010ffff])", r"\\\1", text, flags=re.ASCII)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _place(document: Document) -> Position:
    return document["scheduledAt"], document["_id"]


def _outside(moment: datetime, bounds: Mapping[str, datetime]) -> bool:
    return ("$gte" in bounds and moment < bounds["$gte"]) or ("$lt" in bounds and moment >= bounds["$lt"])


def _readable(documents: Sequence[Document]) -> list[Execution]:
    executions: list[Execution] = []
    for document in documents:
        try:
            executions.append(execution_from_document(document))
        except CorruptDocument as error:
            log.error("execution.corrupt", execution_id=error.document_id, reason=error.reason)
    return executions
