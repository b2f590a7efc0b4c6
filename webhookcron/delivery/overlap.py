"""The overlap policies skip and queue: one execution of a job under way, at most one that waits for it.

The slots are in the job document and hold execution ids. They are taken at claim and released when the execution is
final; a slot whose execution ended without releasing it (its worker died) is taken over by whoever finds it so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum

import structlog

from webhookcron.core.errors import BrokerUnavailable
from webhookcron.core.executions import WAITING_RECHECK, ClaimedExecution, ExecutionStatus, Reason
from webhookcron.core.jobs import OverlapPolicy
from webhookcron.storage.executions import ExecutionStore, GuardedUpdate
from webhookcron.storage.jobs import ClaimState, JobStore

log = structlog.get_logger(__name__)


class Entry(Enum):
    """What an execution finds at the slots of its job."""

    RUN = "run"
    """It is the one under way now."""
    WAIT = "wait"
    """Another one is under way, and this is the one that waits."""
    SKIP = "skip"
    """Another one is under way, and nothing may wait, or another one does."""


class OverlapSlots:
    """Raises StoreUnavailable like the stores beneath it; each step may be repeated."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: ExecutionStore,
        enqueue: Callable[[Sequence[str]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._executions = executions
        self._enqueue = enqueue
        self._now = now

    def enter(self, execution: ClaimedExecution, state: ClaimState) -> Entry:
        """Whether the claimed execution may run now, has to wait (then `put_to_wait` it), or is to be skipped."""
        if self._take(execution, state.active):
            return Entry.RUN
        if state.overlap_policy is OverlapPolicy.SKIP or not self._wait(execution, state.waiting):
            return Entry.SKIP
        return Entry.WAIT

    def put_to_wait(self, execution: ClaimedExecution, token: str) -> None:
        """Put the execution, claimed under `token`, back to wait for the one under way."""
        self._executions.apply([_put_back(execution, token, self._now())])
        # Queued first, looked at then: if the slot became free meanwhile, its release may have missed this one.
        if self._jobs.take_slot(execution.job_id, execution.id):
            try:
                self._enqueue([execution.id])
            except BrokerUnavailable:
                # It is queued in MongoDB; the sweep pushes it when its checkAt has passed.
                log.warning("overlap.push_failed", execution_id=execution.id)

    def leave(self, execution_id: str, job_id: str) -> str | None:
        """The execution under way is final: the id of the one that waited, which the caller pushes, or None."""
        return self._jobs.release_slot(job_id, execution_id)

    def _take(self, execution: ClaimedExecution, active: str | None) -> bool:
        if self._jobs.take_slot(execution.job_id, execution.id):
            return True
        return self._ended(active) and self._jobs.take_slot(execution.job_id, execution.id, instead_of=active)

    def _wait(self, execution: ClaimedExecution, waiting: str | None) -> bool:
        if self._jobs.take_waiting_slot(execution.job_id, execution.id):
            return True
        return self._ended(waiting) and self._jobs.take_waiting_slot(
            execution.job_id, execution.id, instead_of=waiting
        )

    def _ended(self, execution_id: str | None) -> bool:
        if execution_id is None:
            return False
        status = self._executions.statuses([execution_id]).get(execution_id)
        return status is None or status.final


def _put_back(execution: ClaimedExecution, token: str, now: datetime) -> GuardedUpdate:
    return GuardedUpdate(
        execution.id,
        {"claim": token, "status": ExecutionStatus.RUNNING.value},
        {
            "$set": {
                "status": ExecutionStatus.QUEUED.value,
                "reason": Reason.WAITING.value,
                "checkAt": now + WAITING_RECHECK,
            },
            "$unset": {"claim": ""},
        },
    )
