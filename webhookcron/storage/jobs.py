"""The collection `jobs`: definitions and lists here, the other duties in their own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from webhookcron.core.errors import CorruptDocument, KeyTaken, NotFound, SecretUnreadable, VersionConflict
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.storage.client import NAIVE, Document, driver_errors_translated
from webhookcron.storage.job_cursors import Cursor, CursorMove, JobCursors
from webhookcron.storage.job_documents import (
    definition_document,
    job_from_document,
    new_job_document,
    read_by_id,
)
from webhookcron.storage.job_lists import JobLists
from webhookcron.storage.job_mirroring import MIRROR_GRACE, JobMirroring
from webhookcron.storage.job_outcomes import COUNT_TOKENS, ClaimState, JobOutcomes, OutcomeCount
from webhookcron.storage.job_slots import JobSlots
from webhookcron.storage.request_documents import Sealer

log = structlog.get_logger(__name__)

__all__ = ["COUNT_TOKENS", "MIRROR_GRACE", "ClaimState", "Cursor", "CursorMove", "JobStore", "OutcomeCount"]


class JobStore(JobCursors, JobMirroring, JobOutcomes, JobSlots, JobLists):
    """Jobs in MongoDB. Every method raises StoreUnavailable when MongoDB is away or too slow."""

    def __init__(self, database: Database[Document], sealer: Sealer) -> None:
        self._collection = database["jobs"]
        self._naive = self._collection.with_options(codec_options=NAIVE)
        self._sealer = sealer

    def create(self, job: Job) -> None:
        """Store a new job, due to be mirrored. Raises KeyTaken."""
        document = new_job_document(job, self._sealer)
        document["mirrorDue"] = job.updated_at + MIRROR_GRACE
        try:
            with driver_errors_translated():
                self._collection.insert_one(document)
        except DuplicateKeyError as error:
            if (error.details or {}).get("keyPattern") == {"_id": 1}:
                # The driver repeated an insert whose reply was lost: it is this very job.
                return
            raise KeyTaken(job.key or "") from error

    def create_many(self, jobs: Sequence[Job]) -> None:
        """Store new jobs in one round trip, due to be mirrored; for jobs with ids and keys known to be new."""
        documents = [new_job_document(job, self._sealer) for job in jobs]
        for document, job in zip(documents, jobs, strict=True):
            document["mirrorDue"] = job.updated_at + MIRROR_GRACE
        with driver_errors_translated():
            self._collection.insert_many(documents, ordered=False)

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
        return read_by_id(documents, lambda document: job_from_document(document, self._sealer))

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
