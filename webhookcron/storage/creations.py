"""The collection `creations`: which job a request with an Idempotency-Key made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.storage.client import Document, driver_errors_translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A request to create a job, as it was made first."""

    key: str
    """What stands for user and Idempotency-Key."""
    request: str
    """A digest of what was asked for."""
    job_id: str
    """The job that it makes, or made."""
    done: bool
    """Whether the job was stored; when it is gone all the same, it was deleted."""


class CreationStore:
    """Requests to create jobs; kept until `expireAt`. Every method raises StoreUnavailable when MongoDB is away."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["creations"]

    def find(self, key: str, now: datetime) -> Creation | None:
        """What `key` asked for; None when it did not, or it is too long ago."""
        with driver_errors_translated():
            document = self._collection.find_one({"_id": key, "expireAt": {"$gt": now}})
        return None if document is None else _creation(document)

    def begin(self, key: str, request: str, job_id: str, *, now: datetime, expire_at: datetime) -> Creation:
        """Remember that `key` asks for `request` and makes `job_id`; what was remembered before, when something was.

        One that has expired and is not removed yet counts as removed.
        """
        document = {"_id": key, "request": request, "jobId": job_id, "expireAt": expire_at}
        with driver_errors_translated():
            while True:
                try:
                    self._collection.insert_one(document)
                    return _creation(document)
                except DuplicateKeyError:
                    present = self._collection.find_one({"_id": key, "expireAt": {"$gt": now}})
                if present is not None:
                    return _creation(present)
                self._collection.delete_one({"_id": key, "expireAt": {"$lte": now}})

    def forget(self, key: str) -> None:
        """The job cannot be made as it was asked for: the key may ask for another."""
        with driver_errors_translated():
            self._collection.delete_one({"_id": key})

    def finish(self, key: str) -> None:
        """The job is stored."""
        with driver_errors_translated():
            self._collection.update_one({"_id": key}, {"$set": {"done": True}})


def _creation(document: Document) -> Creation:
    return Creation(
        key=document["_id"],
        request=document["request"],
        job_id=document["jobId"],
        done=document.get("done", False),
    )
