"""The overlap slots of jobs: which execution is under way, which one waits."""

from __future__ import annotations

from pymongo.collection import Collection

from webhookcron.storage.client import Document, driver_errors_translated


class JobSlots:
    """The overlap part of `JobStore`."""

    _collection: Collection[Document]

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
