"""Lists of jobs, and changes of many jobs at once; secrets stay sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pymongo import DeleteOne, UpdateOne
from pymongo.collection import Collection

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.job_documents import job_from_document
from webhookcron.storage.job_mirroring import MIRROR_GRACE

log = structlog.get_logger(__name__)


class JobLists:
    """Many jobs. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    _collection: Collection[Document]

    def ids(self, filter_: Mapping[str, Any], *, limit: int) -> list[str]:
        """The ids of up to `limit` jobs that match, in the order of their ids."""
        with driver_errors_translated():
            cursor = self._collection.find(dict(filter_), {"_id": 1}).sort("_id", 1).limit(limit)
            return [document["_id"] for document in cursor]

    def load_sealed(self, job_ids: Sequence[str], filter_: Mapping[str, Any]) -> dict[str, Job]:
        """The jobs of `job_ids` that match, secrets sealed; a document that cannot be read is left out and logged."""
        with driver_errors_translated():
            documents = list(self._collection.find({**filter_, "_id": {"$in": list(job_ids)}}))
        return {job.id: job for job in _readable(documents)}

    def change_states(self, jobs: Sequence[Job]) -> list[Job]:
        """Write status, pause, cursor and next run of jobs read at `version`; those that were not changed meanwhile.

        They are returned with their new version, due to be mirrored. Definitions and secrets are not touched.
        """
        if not jobs:
            return []
        with driver_errors_translated():
            result = self._collection.bulk_write([_state_update(job) for job in jobs], ordered=False)
            if result.matched_count == len(jobs):
                written = {job.id for job in jobs}
            else:
                cursor = self._collection.find(
                    {"_id": {"$in": [job.id for job in jobs]}}, {"version": 1, "updatedAt": 1}
                )
                found = {document["_id"]: (document["version"], document["updatedAt"]) for document in cursor}
                written = {job.id for job in jobs if found.get(job.id) == (job.version + 1, job.updated_at)}
        return [job for job in jobs if job.id in written]

    def delete_many(self, versions: Sequence[tuple[str, int]]) -> set[str]:
        """Remove jobs that still have these versions; the ids of those that are gone now."""
        if not versions:
            return set()
        ids = [job_id for job_id, _ in versions]
        with driver_errors_translated():
            self._collection.bulk_write(
                [DeleteOne({"_id": job_id, "version": version}) for job_id, version in versions],
                ordered=False,
            )
            left = {document["_id"] for document in self._collection.find({"_id": {"$in": ids}}, {"_id": 1})}
        return set(ids) - left

    def count_by_state(self, owner_ids: Sequence[str]) -> dict[tuple[str, str], int]:
        """How many jobs of `owner_ids` there are, by (status, kind of schedule)."""
        with driver_errors_translated():
            groups = self._collection.aggregate(
                [
                    {"$match": {"ownerId": {"$in": list(owner_ids)}}},
                    {
                        "$group": {
                            "_id": {"status": "$status", "type": "$scheduleType"},
                            "count": {"$sum": 1},
                        }
                    },
                ]
            )
            return {(group["_id"]["status"], group["_id"]["type"]): group["count"] for group in groups}

    # Last: within the class, `list` means this method from here on.
    def list(
        self, filter_: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], skip: int, limit: int
    ) -> tuple[list[Job], int]:
        """One page of jobs and how many there are in all. `filter_` and `sort` name document fields.

        Secrets stay sealed. A document that cannot be read is left out of its page, with a line in the log.
        """
        with driver_errors_translated():
            total = self._collection.count_documents(dict(filter_))
            documents = list(self._collection.find(dict(filter_)).sort(list(sort)).skip(skip).limit(limit))
        return _readable(documents), total


def _state_update(job: Job) -> UpdateOne:
    values: Document = {
        "status": job.status.value,
        "statusReason": job.status_reason,
        "updatedAt": job.updated_at,
        "pausedFrom": job.paused_from,
        "pausedUntil": job.paused_until,
        "nextRunAt": job.next_run_at,
        "mirrorDue": job.updated_at + MIRROR_GRACE,
        "deleteDue": None,
    }
    if job.status is JobStatus.ACTIVE and job.consecutive_failures == 0:
        values["consecutiveFailures"] = 0
    change: Document = {
        "$inc": {"version": 1},
        "$max": {"handledThrough": job.handled_through},
        "$set": {name: value for name, value in values.items() if value is not None},
        "$unset": {name: "" for name, value in values.items() if value is None},
    }
    return UpdateOne({"_id": job.id, "version": job.version}, change)


def _readable(documents: Sequence[Document]) -> list[Job]:
    jobs: list[Job] = []
    for document in documents:
        try:
            jobs.append(job_from_document(document, None))
        except CorruptDocument as error:
            log.error("job.corrupt", job_id=error.document_id, reason=error.reason)
    return jobs
