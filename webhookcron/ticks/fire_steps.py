"""What every way of a fire does: insert, push, and end a schedule that is over.

Thought through for a kill between any two steps: an execution without push is pushed by the sweep (`checkAt`), a push
without cursor or advance is repeated by the next ticker, whose insert meets the unique `_id`, and a second push finds
the execution already claimed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from webhookcron.core.executions import Execution
from webhookcron.core.fires import DueRun, FirePlan, planned_executions
from webhookcron.core.jobs import TickJob
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks.mirroring import corrected
from webhookcron.ticks.pushing import Enqueue, push
from webhookcron.ticks.source import Advance, DueFire, TickSource

log = structlog.get_logger(__name__)

EXECUTIONS_AT_FIRST = 100
"""Created and pushed in one go: the first calls of a herd leave before the rest is looked at."""

EXECUTIONS_AT_ONCE = 200
"""So many in those that follow, so that they share what a group costs while workers have enough to do."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What one slice of due fires came to."""

    runs: int = 0
    """Executions present in MongoDB and handed to the broker."""
    skipped: int = 0
    """Fire times recorded as skipped (a summary counts once)."""
    failed: int = 0
    """Fires whose insert failed; they stay due."""


class Planned(NamedTuple):
    """A due job, and what its fire times become."""

    fire: DueFire
    job: TickJob
    plan: FirePlan
    records: Sequence[Execution]
    runs: Sequence[DueRun]


class FireSteps:
    """The steps, on the stores of one platform. They raise StoreUnavailable and TickSourceUnavailable."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: ExecutionStore,
        source: TickSource,
        enqueue: Enqueue,
        retention: timedelta,
    ) -> None:
        self._jobs = jobs
        self._executions = executions
        self._source = source
        self._enqueue = enqueue
        self._retention = retention

    def planned(self, fire: DueFire, job: TickJob, plan: FirePlan, now: datetime) -> Planned:
        """The plan with its executions."""
        return Planned(fire, job, plan, *self.executions_of(job, plan, now))

    def executions_of(
        self, job: TickJob, plan: FirePlan, now: datetime
    ) -> tuple[list[Execution], list[DueRun]]:
        """(records of skipped fire times, executions to run) of a plan."""
        return planned_executions(job, plan, now, self._retention)

    def create(self, records: Sequence[Execution], runs: Sequence[DueRun], now: datetime) -> frozenset[str]:
        """Insert the records of skipped fire times before the runs; the ids that are in MongoDB afterwards."""
        present: frozenset[str] = frozenset()
        if records:
            # The sweep counts them, all of a group at once.
            token = secrets.token_hex(6)
            uncounted = [replace(r, counted=False, count_token=token, check_at=now) for r in records]
            present = self._executions.insert(uncounted).present
        if runs:
            present |= self._executions.insert(runs).present
        return present

    def push(self, ids: Sequence[str]) -> None:
        """Hand executions that are in MongoDB to the workers; a broker that is away only delays them."""
        push(self._enqueue, ids, failed="tick.push_failed")

    def ended(self, fire: DueFire, job: TickJob, now: datetime) -> Advance:
        """The schedule of `job` is over: completed, unless it was changed meanwhile."""
        reason = over_reason(job, job.scheduled_runs)
        version = self._jobs.complete(job, reason, now=now)
        if version is None:
            return corrected(fire, self._jobs.tick_jobs([job.id]).get(job.id), now)
        self._source.remove([(job.id, version)])
        self._jobs.mirrored([(job.id, version)])
        log.info("job.completed", job_id=job.id, reason=reason)
        return Advance(fire, None)


def all_stored(records: Sequence[Execution], runs: Sequence[DueRun], present: frozenset[str]) -> bool:
    """Whether all of a plan is in MongoDB."""
    return all(record.id in present for record in records) and all(run.id in present for run in runs)


def over_reason(job: TickJob, runs: int) -> str:
    """Why a schedule is over that made so many runs: the `statusReason` of the completed job."""
    return "all runs made" if job.max_runs is not None and runs >= job.max_runs else "schedule over"


def in_groups(planned: Iterable[Planned]) -> Iterator[list[Planned]]:
    """Slices of about `EXECUTIONS_AT_ONCE` executions, the first one smaller."""
    group: list[Planned] = []
    executions, wanted = 0, EXECUTIONS_AT_FIRST
    for item in planned:
        group.append(item)
        executions += len(item.records) + len(item.runs)
        if executions >= wanted:
            yield group
            group, executions, wanted = [], 0, EXECUTIONS_AT_ONCE
    if group:
        yield group


def added(left: Fired, right: Fired) -> Fired:
    """What two parts of a slice came to together."""
    return Fired(left.runs + right.runs, left.skipped + right.skipped, left.failed + right.failed)
