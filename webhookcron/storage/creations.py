"""The collection `creations`: what requests with an Idempotency-Key asked for, and what they made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.storage.client import Document, driver_errors_translated


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A request, as it was made first."""

    key: str
    """What stands for user and Idempotency-Key."""
    request: str
    """A digest of what was asked for."""
    job_id: str
    """The job that it makes, or made; empty when it makes executions."""
    done: bool
    """Whether what it makes was stored; when that is gone all the same, it was deleted."""
    made: tuple[str, ...]
    """The ids of the executions that it made."""


class CreationStore:
    """Requests; kept until `expireAt`. Every method raises StoreUnavailable when MongoDB is away."""

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
        """What was asked for cannot be made: the key may ask for something else."""
        with driver_errors_translated():
            self._collection.delete_one({"_id": key})

    def finish(self, key: str, made: Sequence[str] = ()) -> None:
        """What was asked for is stored; `made` are the ids of executions."""
        with driver_errors_translated():
            self._collection.update_one({"_id": key}, {"$set": {"done": True, "made": list(made)}})


def _creation(document: Document) -> Creation:
    return Creation(
        key=document["_id"],
        request=document["request"],
        job_id=document["jobId"],
        done=document.get("done", False),
        made=tuple(document.get("made", ())),
    )
