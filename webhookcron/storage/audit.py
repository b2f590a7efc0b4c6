"""The collection `audit`: who did what, when, from where; kept apart from the log of executions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from webhookcron.storage.client import Document, driver_errors_translated


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that someone did."""

    id: str
    at: datetime
    user_id: str | None
    """None = nobody who was known: a login that failed."""
    key_id: str | None
    """The API key that was used; None for a login."""
    address: str | None
    action: str
    """`resource.verb`, such as job.create."""
    resource_id: str | None
    resource_name: str | None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries to list; None = all."""

    user_id: str | None = None
    resource_id: str | None = None
    action: str | None = None
    at_from: datetime | None = None
    at_to: datetime | None = None
    """Exclusive."""

    def document(self) -> Document:
        """The store's filter."""
        filter_: Document = {}
        for name, value in (
            ("userId", self.user_id),
            ("resourceId", self.resource_id),
            ("action", self.action),
        ):
            if value is not None:
                filter_[name] = value
        bounds = {
            operator: moment
            for operator, moment in (("$gte", self.at_from), ("$lt", self.at_to))
            if moment is not None
        }
        if bounds:
            filter_["at"] = bounds
        return filter_


AUDIT_ORDER = [("at", -1), ("_id", -1)]


class AuditStore:
    """Entries, kept until `expireAt`. Every method raises StoreUnavailable when MongoDB is away."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["audit"]

    def add(self, entry: AuditEntry, *, expire_at: datetime) -> None:
        """Store an entry."""
        document = {
            "_id": entry.id,
            "at": entry.at,
            "userId": entry.user_id,
            "keyId": entry.key_id,
            "address": entry.address,
            "action": entry.action,
            "resourceId": entry.resource_id,
            "resourceName": entry.resource_name,
            "details": entry.details or None,
            "expireAt": expire_at,
        }
        with driver_errors_translated():
            self._collection.insert_one({k: v for k, v in document.items() if v is not None})

    def list(self, which: AuditFilter, *, skip: int, limit: int) -> tuple[list[AuditEntry], int]:
        """A page of entries, the latest first, and how many there are in all."""
        filter_ = which.document()
        with driver_errors_translated():
            total = self._collection.count_documents(filter_)
            documents = list(self._collection.find(filter_).sort(AUDIT_ORDER).skip(skip).limit(limit))
        return [_entry(document) for document in documents], total


def new_entry_id() -> str:
    """24 hexadecimal digits."""
    return str(ObjectId())


def _entry(document: Document) -> AuditEntry:
    get = document.get
    return AuditEntry(
        id=document["_id"],
        at=document["at"],
        user_id=get("userId"),
        key_id=get("keyId"),
        address=get("address"),
        action=document["action"],
        resource_id=get("resourceId"),
        resource_name=get("resourceName"),
        details=get("details") or {},
    )
