"""What has to be done about jobs after a change: mirroring them in Redis, removing completed ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import UpdateMany, UpdateOne
from pymongo.collection import Collection

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.jobs import TickJob
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.job_documents import TICK_PROJECTION, tick_job_or_error

MIRROR_GRACE = timedelta(seconds=1)
"""Whoever writes a job mirrors it at once; the sweep does it when that has not happened after so long."""


class JobMirroring:
    """The reconciler's part of `JobStore`."""

    _collection: Collection[Document]

    def mirror_due(self, now: datetime, limit: int) -> list[TickJob | CorruptDocument]:
        """Jobs that were changed and are not mirrored yet."""
        with driver_errors_translated():
            cursor = self._collection.find({"mirrorDue": {"$lte": now}}, TICK_PROJECTION).sort("mirrorDue", 1)
            return [tick_job_or_error(document) for document in cursor.limit(limit)]

    def mirrored(self, versions: Sequence[tuple[str, int]]) -> None:
        """These versions are mirrored; a job changed again meanwhile stays due."""
        if not versions:
            return
        by_version: dict[int, list[str]] = defaultdict(list)
        for job_id, version in versions:
            by_version[version].append(job_id)
        with driver_errors_translated():
            self._collection.bulk_write(
                [
                    UpdateMany({"_id": {"$in": ids}, "version": version}, {"$unset": {"mirrorDue": ""}})
                    for version, ids in by_version.items()
                ],
                ordered=False,
            )

    def postpone_mirroring(self, job_id: str, until: datetime) -> None:
        """Look at a job that cannot be mirrored again later, so that it holds up no other."""
        with driver_errors_translated():
            self._collection.update_one(
                {"_id": job_id, "mirrorDue": {"$lt": until}}, {"$set": {"mirrorDue": until}}
            )

    def reset_next_run_at(self, jobs: Sequence[tuple[TickJob, datetime]]) -> None:
        """Set the next run of jobs whose fire times were computed anew, where it is what it was when they were read."""
        if not jobs:
            return
        with driver_errors_translated():
            self._collection.bulk_write(
                [
                    UpdateOne(
                        {"_id": job.id, "version": job.version, "nextRunAt": job.next_run_at},
                        {"$set": {"nextRunAt": next_run_at}},
                    )
                    for job, next_run_at in jobs
                ],
                ordered=False,
            )

    # --- removal after completion

    def deletions_due(self, now: datetime, limit: int) -> list[tuple[str, int]]:
        """(id, version) of completed jobs that are to be removed once their executions are final."""
        with driver_errors_translated():
            cursor = self._collection.find({"deleteDue": {"$lte": now}}, {"version": 1}).sort("deleteDue", 1)
            return [(document["_id"], document["version"]) for document in cursor.limit(limit)]

    def postpone_deletion(self, job_id: str, until: datetime) -> None:
        """Look at a job to be removed again at `until`."""
        with driver_errors_translated():
            self._collection.update_one(
                {"_id": job_id, "deleteDue": {"$lt": until}}, {"$set": {"deleteDue": until}}
            )
