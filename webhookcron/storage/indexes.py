"""Every index the platform needs, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from webhookcron.storage.client import Document, driver_errors_translated


@dataclass(frozen=True, slots=True)
class Index:
    """One declared index; `why` names the query it serves."""

    collection: str
    keys: tuple[tuple[str, int], ...]
    why: str
    unique: bool = False
    partial: Mapping[str, Any] | None = None
    expire_after_seconds: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "_".join(f"{key}_{direction}" for key, direction in self.keys)

    def model(self) -> IndexModel:
        """The driver's form of it."""
        options: dict[str, Any] = {"name": self.name, **self.options}
        if self.unique:
            options["unique"] = True
        if self.partial is not None:
            options["partialFilterExpression"] = dict(self.partial)
        if self.expire_after_seconds is not None:
            options["expireAfterSeconds"] = self.expire_after_seconds
        return IndexModel(list(self.keys), **options)


_MADE_BY_ANOTHER = (85, 86)
"""IndexOptionsConflict, IndexKeySpecsConflict: another instance was quicker."""

_INDEX_NOT_FOUND = 27

_DATE = {"$type": "date"}
_UP, _DOWN = ASCENDING, DESCENDING

INDEXES: tuple[Index, ...] = (
    Index(
        "jobs",
        (("ownerId", _UP), ("key", _UP)),
        "one job per key",
        unique=True,
        partial={"key": {"$type": "string"}},
    ),
    Index("jobs", (("mirrorDue", _UP),), "sweep: jobs to mirror", partial={"mirrorDue": _DATE}),
    Index("jobs", (("deleteDue", _UP),), "sweep: completed jobs to remove", partial={"deleteDue": _DATE}),
    Index("jobs", (("ownerId", _UP), ("createdAt", _DOWN), ("_id", _DOWN)), "list, newest first"),
    Index("jobs", (("ownerId", _UP), ("updatedAt", _DOWN), ("_id", _DOWN)), "list by last change"),
    Index("jobs", (("ownerId", _UP), ("nextRunAt", _UP), ("_id", _UP)), "list by next run"),
    Index("jobs", (("ownerId", _UP), ("lastRunAt", _DOWN), ("_id", _DOWN)), "list by last run"),
    Index("jobs", (("ownerId", _UP), ("name", _UP), ("_id", _UP)), "list by name"),
    Index(
        "jobs", (("ownerId", _UP), ("status", _UP), ("createdAt", _DOWN), ("_id", _DOWN)), "list by status"
    ),
    Index("jobs", (("ownerId", _UP), ("tags", _UP), ("createdAt", _DOWN), ("_id", _DOWN)), "list by tag"),
    Index("jobs", (("ownerId", _UP), ("searchTerms", _UP)), "search by word beginnings"),
    Index("jobs", (("ownerId", _UP), ("host", _UP), ("createdAt", _DOWN), ("_id", _DOWN)), "list by host"),
    Index(
        "jobs",
        (("ownerId", _UP), ("scheduleType", _UP), ("createdAt", _DOWN), ("_id", _DOWN)),
        "list by kind of schedule",
    ),
    Index(
        "jobs",
        (("ownerId", _UP), ("lastStatus", _UP), ("createdAt", _DOWN), ("_id", _DOWN)),
        "list by last outcome: written only when the outcome is another one than before",
    ),
    Index("jobs", (("status", _UP), ("_id", _UP)), "full comparison: active jobs in order"),
    Index("executions", (("checkAt", _UP),), "sweep: executions to look at", partial={"checkAt": _DATE}),
    Index(
        "executions", (("expireAt", _UP),), "retention", partial={"expireAt": _DATE}, expire_after_seconds=0
    ),
    Index("executions", (("jobId", _UP), ("scheduledAt", _DOWN), ("_id", _DOWN)), "log of a job"),
    Index(
        "executions",
        (("jobId", _UP), ("status", _UP), ("scheduledAt", _DOWN), ("_id", _DOWN)),
        "log of a job by status",
    ),
    Index("executions", (("ownerId", _UP), ("scheduledAt", _DOWN), ("_id", _DOWN)), "log of an owner"),
    Index(
        "executions",
        (("ownerId", _UP), ("status", _UP), ("scheduledAt", _DOWN), ("_id", _DOWN)),
        "log of an owner by status",
    ),
    Index("rollupParts", (("addedAt", _UP),), "parts to merge", partial={"addedAt": _DATE}),
    Index(
        "rollupParts",
        (("expireAt", _UP),),
        "merged parts",
        partial={"expireAt": _DATE},
        expire_after_seconds=0,
    ),
    Index("rollupParts", (("unseenAt", _UP),), "parts for the alerts", partial={"unseenAt": _DATE}),
    Index("alerts", (("ownerId", _UP), ("createdAt", _DOWN), ("_id", _DOWN)), "list, newest first"),
    Index("alerts", (("digestAt", _UP),), "digests that are due", partial={"digestAt": _DATE}),
    Index("alertStates", (("alertId", _UP), ("jobId", _UP)), "states of an alert"),
    Index(
        "alertStates",
        (("expireAt", _UP),),
        "states with nothing to remember",
        partial={"expireAt": _DATE},
        expire_after_seconds=0,
    ),
    Index("alertDeliveries", (("checkAt", _UP),), "messages to send", partial={"checkAt": _DATE}),
    Index("alertDeliveries", (("alertId", _UP), ("createdAt", _DOWN)), "messages of an alert"),
    Index("alertDeliveries", (("expireAt", _UP),), "retention", expire_after_seconds=0),
    Index("rollups", (("ownerId", _UP), ("jobId", _UP), ("hourAt", _UP)), "hours of an owner"),
    Index("rollups", (("jobId", _UP), ("hourAt", _UP)), "hours of a job, or of all owners"),
    Index("rollups", (("expireAt", _UP),), "retention", expire_after_seconds=0),
    Index("apiKeys", (("hash", _UP),), "sign-in by key", unique=True),
    Index("apiKeys", (("ownerId", _UP), ("createdAt", _DOWN)), "list of an owner's keys"),
    Index("creations", (("expireAt", _UP),), "requests to forget", expire_after_seconds=0),
    Index("sessions", (("userId", _UP),), "logins of a user"),
    Index("sessions", (("expireAt", _UP),), "logins to forget", expire_after_seconds=0),
    Index("audit", (("at", _DOWN), ("_id", _DOWN)), "audit trail"),
    Index("audit", (("userId", _UP), ("at", _DOWN), ("_id", _DOWN)), "audit trail of a user"),
    Index("audit", (("resourceId", _UP), ("at", _DOWN), ("_id", _DOWN)), "audit trail of a job, user or key"),
    Index("audit", (("action", _UP), ("at", _DOWN), ("_id", _DOWN)), "audit trail of an action"),
    Index("audit", (("expireAt", _UP),), "audit trail to forget", expire_after_seconds=0),
    Index(
        "users",
        (("email", _UP),),
        "one account per address",
        unique=True,
        partial={"email": {"$type": "string"}},
    ),
)


def ensure_indexes(database: Database[Document]) -> list[str]:
    """Create what is missing and replace what is declared otherwise; safe to repeat and to run side by side.

    Returns the names of the indexes created or replaced, as `collection.name`.
    Raises StoreUnavailable when MongoDB is away.
    """
    changed: list[str] = []
    with driver_errors_translated():
        for collection_name in dict.fromkeys(index.collection for index in INDEXES):
            collection = database[collection_name]
            existing = collection.index_information()
            for index in INDEXES:
                if index.collection != collection_name:
                    continue
                if index.name in existing and _same(index, existing[index.name]):
                    continue
                for name, stored in existing.items():
                    # MongoDB takes no second index on the same keys, whatever its name.
                    if name == index.name or _keys(stored) == index.keys:
                        _drop(collection, name)
                try:
                    collection.create_indexes([index.model()])
                except OperationFailure as error:
                    if error.code not in _MADE_BY_ANOTHER:
                        raise
                changed.append(f"{collection_name}.{index.name}")
    return changed


def missing_indexes(database: Database[Document]) -> list[str]:
    """Names, as `collection.name`, of declared indexes that are missing or other than declared; changes nothing."""
    missing: list[str] = []
    with driver_errors_translated():
        for collection_name in dict.fromkeys(index.collection for index in INDEXES):
            existing = database[collection_name].index_information()
            missing += [
                f"{collection_name}.{index.name}"
                for index in INDEXES
                if index.collection == collection_name
                and (index.name not in existing or not _same(index, existing[index.name]))
            ]
    return missing


def _drop(collection: Collection[Document], name: str) -> None:
    try:
        collection.drop_index(name)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise


def _keys(stored: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, direction) for key, direction in stored["key"])


def _same(index: Index, stored: Mapping[str, Any]) -> bool:
    return (
        _keys(stored) == index.keys
        and bool(stored.get("unique")) == index.unique
        and stored.get("expireAfterSeconds") == index.expire_after_seconds
        and dict(stored.get("partialFilterExpression") or {}) == dict(index.partial or {})
    )
