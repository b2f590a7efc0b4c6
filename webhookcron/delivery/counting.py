"""Adding outcomes to the counters of their jobs and to the roll-ups: each exactly once, whoever dies in between.

The outcomes of a group carry a token. A job's counters take a group together with its token, and refuse a token that
they hold already, as the roll-ups do; only then are the executions marked as counted. Whatever stops in between is
repeated by the sweep.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from webhookcron.core.executions import COUNTED_STATUSES, EPOCH, EndedExecution, Execution, ExecutionStatus
from webhookcron.core.rollups import shares_of
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore, OutcomeCount
from webhookcron.storage.rollups import RollupStore


class OutcomeCounter:
    """Counts groups of final executions. Raises StoreUnavailable; calling again repeats nothing."""

    def __init__(self, jobs: JobStore, executions: ExecutionStore, rollups: RollupStore) -> None:
        self._jobs = jobs
        self._executions = executions
        self._rollups = rollups

    def count_group(self, executions: Sequence[EndedExecution], token: str) -> None:
        """Count the whole of a group whose outcomes were recorded with `token`."""
        if not executions:
            return
        self._jobs.count_outcomes(outcome_counts(executions), token)
        ended_at = max(execution.completed_at or EPOCH for execution in executions)
        self._rollups.add(token, shares_of(executions), check_at=executions[0].check_at, now=ended_at)
        self._executions.mark_counted([execution.id for execution in executions])

    def recover(self, executions: Sequence[Execution]) -> None:
        """Finish what a dead worker left: `executions` are some members of uncounted groups."""
        for check_at, token in {(e.check_at, e.count_token) for e in executions}:
            if check_at is None or token is None:
                continue
            # All of the group at once: its token is used up with the first call.
            self.count_group(self._executions.outcome_group(check_at, token), token)
        self._executions.mark_counted([e.id for e in executions if e.count_token is None])


def outcome_counts(executions: Sequence[EndedExecution]) -> list[OutcomeCount]:
    """What `executions` add to the counters of their jobs; those that never ran add nothing."""
    by_job: dict[str, list[EndedExecution]] = defaultdict(list)
    for execution in executions:
        if execution.status in COUNTED_STATUSES and execution.completed_at is not None:
            by_job[execution.job_id].append(execution)
    return [_outcome_count(job_id, group) for job_id, group in by_job.items()]


def _outcome_count(job_id: str, executions: list[EndedExecution]) -> OutcomeCount:
    if len(executions) > 1:
        executions.sort(key=_ended)
    successes = failures = in_a_row = 0
    for execution in executions:
        if execution.status is ExecutionStatus.SUCCESS:
            successes += 1
            in_a_row = 0
        else:
            failures += 1
            in_a_row += 1
    last = executions[-1]
    return OutcomeCount(
        job_id=job_id,
        successes=successes,
        failures=failures,
        failures_in_a_row=in_a_row,
        last_status=last.status,
        last_run_at=max(execution.started_at or execution.scheduled_at for execution in executions),
    )


def _ended(execution: EndedExecution) -> float:
    return 0.0 if execution.completed_at is None else execution.completed_at.timestamp()
