"""The sweep: what is due to be looked at by index, every half second to two.

It pushes what nobody claimed, takes back what a dead worker held, brings retries due, completes counts, and mirrors
jobs whose writer did not. Every change is guarded by the state it was decided on, so several sweeps at once do no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import CorruptDocument, StoreUnavailable, VersionConflict
from webhookcron.core.executions import (
    MAX_LOST_ATTEMPTS,
    MILLISECOND,
    WAITING_RECHECK,
    Attempt,
    AttemptError,
    Execution,
    ExecutionStatus,
    Reason,
    recheck_after,
)
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.core.outcomes import FailureKind
from webhookcron.storage.execution_documents import attempt_document
from webhookcron.storage.executions import ExecutionStore, GuardedUpdate
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks.mirroring import mirror_entries
from webhookcron.ticks.pushing import Enqueue, push
from webhookcron.ticks.source import TickSource

log = structlog.get_logger(__name__)

BATCH = 500
"""Executions or jobs looked at in one go."""

REMOVED_EVERY = timedelta(seconds=2)
"""Completed jobs may wait for their removal; nothing else waits for it."""

LOOK_AGAIN_AT_COMPLETED = timedelta(seconds=5)
"""A completed job whose executions are still under way is looked at again after this."""

UNREADABLE_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    pushed: int = 0
    lost: int = 0
    mirrored: int = 0
    counted: int = 0
    more: bool = False
    """A batch was full: sweep again at once."""


class Sweep:
    """One look at everything whose time to be looked at has come.

    `count_final` adds executions that are final and not yet counted to their jobs' counters; `settle` accounts for the
    fire times of a job up to a moment.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: ExecutionStore,
        source: TickSource,
        enqueue: Enqueue,
        settle: Callable[[TickJob, datetime], object],
        count_final: Callable[[Sequence[Execution]], None],
        retention: timedelta,
        failures_kept: int = 1,
    ) -> None:
        self._jobs = jobs
        self._executions = executions
        self._source = source
        self._enqueue = enqueue
        self._settle = settle
        self._count_final = count_final
        self._failures_retention = retention * failures_kept
        self._removed_at: datetime | None = None
        """When completed jobs were looked for last."""

    def run(self, now: datetime) -> Swept:
        """Raises StoreUnavailable or TickSourceUnavailable; whatever was done until then is done."""
        mirrored, more_jobs = self._mirror(now)
        self._remove_completed(now)
        due = self._executions.to_check(now, BATCH)
        pushed, lost, counted = self._look_at(due, now)
        return Swept(pushed, lost, mirrored, counted, more=more_jobs or len(due) >= BATCH)

    # --- jobs

    def _mirror(self, now: datetime) -> tuple[int, bool]:
        due = self._jobs.mirror_due(now, BATCH)
        jobs = [job for job in due if isinstance(job, TickJob)]
        active = [job for job in jobs if job.status is JobStatus.ACTIVE]
        entries, over, corrupt = mirror_entries(active)
        corrupt += self._unsettled([job for job in jobs if job.status is JobStatus.DISABLED], now)
        for error in (*(job for job in due if isinstance(job, CorruptDocument)), *corrupt):
            log.error("job.corrupt", job_id=error.document_id, reason=error.reason)
            self._jobs.postpone_mirroring(str(error.document_id), now + UNREADABLE_AGAIN)
        self._source.put(entries)
        self._source.remove([(job.id, job.version) for job in jobs if job.status is not JobStatus.ACTIVE])
        left = {job.id for job in over if not self._complete(job, now)}
        left.update(str(error.document_id) for error in corrupt)
        self._jobs.mirrored([(job.id, job.version) for job in jobs if job.id not in left])
        return len(jobs), len(due) >= BATCH

    def _unsettled(self, disabled: Sequence[TickJob], now: datetime) -> list[CorruptDocument]:
        """Put on record what was due when the platform disabled jobs; those of which that cannot be said."""
        corrupt: list[CorruptDocument] = []
        for job in disabled:
            try:
                self._settle(job, now)
            except StoreUnavailable:
                raise
            except Exception as error:
                corrupt.append(CorruptDocument(job.id, f"{type(error).__name__}: {error}"))
        return corrupt

    def _complete(self, job: TickJob, now: datetime) -> bool:
        """An active job without a further fire time is completed; False when it was changed meanwhile."""
        version = self._jobs.complete(job, "schedule over", now=now)
        if version is None:
            return False
        self._source.remove([(job.id, version)])
        return True

    def _remove_completed(self, now: datetime) -> None:
        """Remove completed jobs that asked for it, once their last execution is final; their log stays."""
        if self._removed_at is not None and timedelta(0) <= now - self._removed_at < REMOVED_EVERY:
            return
        self._removed_at = now
        for job_id, version in self._jobs.deletions_due(now, BATCH):
            if self._executions.any_under_way(job_id):
                self._jobs.postpone_deletion(job_id, now + LOOK_AGAIN_AT_COMPLETED)
                continue
            try:
                self._jobs.delete(job_id, expected_version=version)
            except VersionConflict:
                continue  # It was given a new schedule just now.
            self._source.remove([(job_id, version)])
            log.info("job.removed", job_id=job_id, reason="completed, and deleteAfterCompletion is on")

    # --- executions

    def _look_at(self, due: Sequence[Execution], now: datetime) -> tuple[int, int, int]:
        updates: list[GuardedUpdate] = []
        waiting: list[str] = []
        uncounted: list[Execution] = []
        lost = 0
        for execution in due:
            match execution.status:
                case ExecutionStatus.QUEUED:
                    updates.append(_pushed_again(execution, now))
                    waiting.append(execution.id)
                case ExecutionStatus.RETRYING:
                    updates.append(_due_again(execution, now))
                    waiting.append(execution.id)
                case ExecutionStatus.RUNNING:
                    lost += 1
                    log.info("attempt.lost", job_id=execution.job_id, execution_id=execution.id)
                    update, again = self._lease_ran_out(execution, now)
                    updates.append(update)
                    if again:
                        waiting.append(execution.id)
                case _:
                    uncounted.append(execution)
        # The states first: what is pushed must be found queued. A kill in between costs one more look.
        self._executions.apply(updates)
        push(self._enqueue, waiting, failed="sweep.push_failed")
        if uncounted:
            self._count_final(uncounted)
        if lost:
            log.warning("sweep.leases_ran_out", executions=lost)
        return len(waiting), lost, len(uncounted)

    def _lease_ran_out(self, execution: Execution, now: datetime) -> tuple[GuardedUpdate, bool]:
        lost_count = execution.lost_count + 1
        started_at = execution.started_at or execution.check_at or now
        attempt = Attempt(
            number=execution.attempt_count + 1,
            started_at=started_at,
            duration_ms=0,
            lateness_ms=(started_at - execution.scheduled_at) // MILLISECOND,
            error=AttemptError(
                kind=FailureKind.LOST.value,
                message="The worker that held this attempt did not report; whether the target got it is not known.",
            ),
        )
        set_: dict[str, object] = {"lostCount": lost_count, "attemptCount": attempt.number}
        again = lost_count < MAX_LOST_ATTEMPTS
        if again:
            set_ |= {"status": ExecutionStatus.QUEUED.value, "checkAt": now + recheck_after(1), "pushes": 1}
        else:
            set_ |= {
                "status": ExecutionStatus.FAILED.value,
                "reason": Reason.LOST.value,
                "completedAt": now,
                "error": {
                    "kind": FailureKind.LOST.value,
                    "message": "Three workers were lost while they held it.",
                },
                "counted": False,
                "countToken": execution.id,
                "checkAt": now,
                "expireAt": now + self._failures_retention,
            }
        return (
            GuardedUpdate(
                execution.id,
                {
                    "status": ExecutionStatus.RUNNING.value,
                    "claim": execution.claim,
                    "checkAt": execution.check_at,
                },
                {"$set": set_, "$unset": {"claim": ""}, "$push": {"attempts": attempt_document(attempt)}},
            ),
            again,
        )


def _pushed_again(execution: Execution, now: datetime) -> GuardedUpdate:
    pushes = execution.pushes + 1
    wait = WAITING_RECHECK if execution.reason == Reason.WAITING.value else recheck_after(pushes)
    return GuardedUpdate(
        execution.id,
        {"status": ExecutionStatus.QUEUED.value, "checkAt": execution.check_at},
        {"$set": {"checkAt": now + wait, "pushes": pushes}},
    )


def _due_again(execution: Execution, now: datetime) -> GuardedUpdate:
    return GuardedUpdate(
        execution.id,
        {"status": ExecutionStatus.RETRYING.value, "checkAt": execution.check_at},
        {
            "$set": {"status": ExecutionStatus.QUEUED.value, "checkAt": now + recheck_after(1), "pushes": 1},
            "$unset": {"nextAttemptAt": ""},
        },
    )
