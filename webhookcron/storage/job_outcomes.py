"""What workers read of jobs when they claim, and write when executions end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import structlog
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from webhookcron.core.errors import CorruptDocument, SecretUnreadable
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import DeliveryJob, JobStatus, OverlapPolicy, origin_of
from webhookcron.storage.client import Document, driver_errors_translated
from webhookcron.storage.fields import integer, integer_or_none, naive_moment, naive_moment_or_none
from webhookcron.storage.job_documents import DELIVERY_PROJECTION, delivery_job_from_document, read_by_id
from webhookcron.storage.request_documents import Sealer

log = structlog.get_logger(__name__)

COUNT_TOKENS = 64
"""A job remembers so many groups of outcomes that its counters hold, to count none of them twice."""

_CLAIM_PROJECTION = dict.fromkeys(
    ("version", "status", "statusReason", "pausedFrom", "pausedUntil", "scheduleSince", "handledThrough", "maxRuns",
     "overlapPolicy", "active", "waiting"), 1,
)  # fmt: skip


_STATUSES = {status.value: status for status in JobStatus}
_OVERLAP_POLICIES = {policy.value: policy for policy in OverlapPolicy}


class ClaimState(NamedTuple):
    """A job as it is now, as far as the claim of its executions needs to know."""

    job_id: str
    version: int
    status: JobStatus
    status_reason: str | None
    paused_from: datetime | None
    paused_until: datetime | None
    schedule_since: datetime
    handled_through: datetime
    max_runs: int | None
    overlap_policy: OverlapPolicy
    active: str | None
    waiting: str | None


@dataclass(slots=True)
class OutcomeCount:
    """What a group of final executions of one job adds to its counters."""

    job_id: str
    successes: int
    failures: int
    """Executions that ended failed or timeout."""
    failures_in_a_row: int
    """Of those, the ones after the last success of the group; all of them when it has no success."""
    last_status: ExecutionStatus
    last_run_at: datetime


class JobOutcomes:
    """The worker's part of `JobStore`."""

    _collection: Collection[Document]
    _naive: Collection[Document]
    """The same, read with naive moments."""
    _sealer: Sealer

    def claim_states(self, job_ids: Sequence[str]) -> dict[str, ClaimState | CorruptDocument]:
        """The jobs of `job_ids` as they are now; missing ids are gone."""
        with driver_errors_translated():
            documents = list(self._naive.find({"_id": {"$in": list(job_ids)}}, _CLAIM_PROJECTION))
        return {document["_id"]: _claim_state(document) for document in documents}

    def delivery_jobs(
        self, job_ids: Sequence[str]
    ) -> dict[str, DeliveryJob | CorruptDocument | SecretUnreadable]:
        """What workers deliver `job_ids` by; missing ids are gone, and what cannot be read comes as its error."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, DELIVERY_PROJECTION))
        return read_by_id(documents, lambda document: delivery_job_from_document(document, self._sealer))

    def origins(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Scheme, host and port that each of `job_ids` calls (`origin_of`); missing ids are gone."""
        with driver_errors_translated():
            documents = list(self._collection.find({"_id": {"$in": list(job_ids)}}, {"webhookUrl": 1}))
        return {document["_id"]: origin_of(str(document.get("webhookUrl", ""))) for document in documents}

    def count_outcomes(self, counts: Sequence[OutcomeCount], token: str) -> None:
        """Add a group of outcomes to the counters, each job's once however often this is called with `token`.

        A job whose counters are no numbers is left out, with a line in the log.
        """
        if not counts:
            return
        updates: list[UpdateOne] = []
        for count in counts:
            increments = {"totalRuns": count.successes + count.failures}
            if count.successes:
                increments["successfulRuns"] = count.successes
            if count.failures:
                increments["failedRuns"] = count.failures
            latest: Document = {"lastStatus": count.last_status.value}
            if count.successes:
                latest["consecutiveFailures"] = count.failures_in_a_row
            else:
                increments["consecutiveFailures"] = count.failures_in_a_row
            updates.append(
                UpdateOne(
                    {"_id": count.job_id, "countTokens": {"$ne": token}},
                    {
                        "$inc": increments,
                        "$set": latest,
                        "$max": {"lastRunAt": count.last_run_at},
                        "$push": {"countTokens": {"$each": [token], "$slice": -COUNT_TOKENS}},
                    },
                )
            )
        try:
            with driver_errors_translated():
                self._collection.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            # What is no number cannot be added to. The others are counted; no try after this one would do more.
            for failed in (error.details or {}).get("writeErrors", ()):
                job_id = failed.get("op", {}).get("q", {}).get("_id")
                log.error("job.counters_corrupt", job_id=job_id, reason=failed.get("errmsg"))

    def has_counted(self, job_ids: Sequence[str], token: str) -> set[str]:
        """Those of `job_ids` whose counters hold the group `token`, and those that are gone."""
        with driver_errors_translated():
            cursor = self._collection.find(
                {"_id": {"$in": list(job_ids)}, "countTokens": {"$ne": token}}, {"_id": 1}
            )
            return set(job_ids) - {document["_id"] for document in cursor}

    def failing(self, job_ids: Sequence[str]) -> list[tuple[str, int, int]]:
        """(id, version, failures in a row) of those of `job_ids` that are active and reached their bound."""
        with driver_errors_translated():
            cursor = self._collection.find(
                {
                    "_id": {"$in": list(job_ids)},
                    "status": JobStatus.ACTIVE.value,
                    "disableAfterFailures": {"$gt": 0},
                },
                {"version": 1, "disableAfterFailures": 1, "consecutiveFailures": 1},
            )
            return [
                (document["_id"], document["version"], document["consecutiveFailures"])
                for document in cursor
                if document["consecutiveFailures"] >= document["disableAfterFailures"]
            ]


def _claim_state(document: Document) -> ClaimState | CorruptDocument:
    get = document.get
    try:
        return ClaimState(
            document["_id"],
            integer(document, "version"),
            _STATUSES[document["status"]],
            get("statusReason"),
            naive_moment_or_none(document, "pausedFrom"),
            naive_moment_or_none(document, "pausedUntil"),
            naive_moment(document, "scheduleSince"),
            naive_moment(document, "handledThrough"),
            integer_or_none(document, "maxRuns"),
            _OVERLAP_POLICIES[document["overlapPolicy"]],
            get("active"),
            get("waiting"),
        )
    except (KeyError, ValueError, TypeError) as error:
        return CorruptDocument(document.get("_id"), f"{type(error).__name__}: {error}")
