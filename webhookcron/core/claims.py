"""What becomes of an execution that a worker has just claimed: pure judgement by the job as it is now."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from webhookcron.core.executions import ClaimedExecution, ExecutionStatus, Reason, Trigger
from webhookcron.core.jobs import JobStatus
from webhookcron.core.schedules import Schedule, is_fire_time


class JobNow(Protocol):
    """What the judgement needs to know of the job."""

    @property
    def status(self) -> JobStatus: ...
    @property
    def paused_from(self) -> datetime | None: ...
    @property
    def paused_until(self) -> datetime | None: ...
    @property
    def schedule_since(self) -> datetime: ...
    @property
    def handled_through(self) -> datetime: ...
    @property
    def max_runs(self) -> int | None: ...


class Ending(NamedTuple):
    """A final status without an attempt, and why."""

    status: ExecutionStatus
    reason: Reason


def judge_claim(execution: ClaimedExecution, job: JobNow | None, schedule: Schedule | None) -> Ending | None:
    """How a claimed execution ends without being run; None = it runs.

    `job` is None when the job is gone. Manual runs, backfills and replays go on while the job is paused, and so do
    retries; a disabled job stops its retries. `schedule` is the present rule; None when it cannot be read.
    """
    if job is None:
        return Ending(ExecutionStatus.CANCELLED, Reason.DELETED)
    asked_for = execution.trigger is not Trigger.SCHEDULE
    if asked_for:
        return None
    if job.status is JobStatus.DISABLED:
        return Ending(ExecutionStatus.SKIPPED, Reason.DISABLED)
    if execution.attempt_count > 0 or execution.interrupted:
        return None
    if job.status is JobStatus.PAUSED or _in_pause(execution.scheduled_at, job, schedule):
        return Ending(ExecutionStatus.SKIPPED, Reason.PAUSED)
    if _made_by_an_older_rule(execution.scheduled_at, job, schedule):
        return Ending(ExecutionStatus.SKIPPED, Reason.SUPERSEDED)
    if (
        job.status is JobStatus.COMPLETED
        and job.max_runs is not None
        and execution.scheduled_at > job.handled_through
    ):
        return Ending(ExecutionStatus.SKIPPED, Reason.COMPLETED)
    return None


def _in_pause(scheduled_at: datetime, job: JobNow, schedule: Schedule | None) -> bool:
    if job.paused_from is None or scheduled_at <= job.paused_from:
        return False
    if job.paused_until is None:
        return True
    # Only a single moment can be asked for when it has passed (within the grace): after the pause, it is meant to run.
    asked_for_since = (
        job.schedule_since >= job.paused_until and schedule is not None and schedule.run_at == scheduled_at
    )
    return scheduled_at <= job.paused_until and not asked_for_since


def _made_by_an_older_rule(scheduled_at: datetime, job: JobNow, schedule: Schedule | None) -> bool:
    return (
        scheduled_at > job.schedule_since
        and schedule is not None
        and not is_fire_time(schedule, scheduled_at)
    )
