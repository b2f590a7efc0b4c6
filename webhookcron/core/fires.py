"""What a job's due fire times become: executions to run, records of skipped ones, the new cursor, the next look.

Pure decisions: the ticker and `settle` both call `plan_fires`, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from webhookcron.core.executions import (
    MILLISECOND,
    Execution,
    ExecutionStatus,
    Reason,
    Trigger,
    missed_summary_id,
    recheck_after,
    schedule_execution_id,
)
from webhookcron.core.jobs import MisfirePolicy, TickJob
from webhookcron.core.schedules import (
    Schedule,
    ScheduleType,
    count_fire_times,
    fire_times_between,
    jittered,
    latest_fire_time,
    next_fire_time,
    previous_fire_time,
)

MOST_AT_ONCE = 100
"""Live fire times of one job handled in one step; the rest is due at once again."""

SINGLE_RECORDS = 100
"""Missed fire times recorded one by one in a step, under their own ids; beyond them one summary stands for the rest.

These are the earliest ones: a ticker that stalled before the outage holds at most `MOST_AT_ONCE` fire times from
there on, so whatever it still inserts meets a record.
"""

CURSOR_BEHIND = timedelta(seconds=2)
"""A cursor in MongoDB is at most so far behind: what is later than that and not accounted for there was not handled."""

_ANY_NUMBER = 10**9
"""No bound: fire times are counted by arithmetic wherever there can be many."""

CATCH_UP_LOOK = timedelta(milliseconds=500)
"""fireAll looks again after this whether the previous execution is final."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A fire time that is recorded and not run."""

    fire_time: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class MissedSummary:
    """Many fire times that are not run, recorded as one."""

    first: datetime
    last: datetime
    count: int
    reason: Reason


class DueRun(NamedTuple):
    """A fire time that becomes a queued execution: what is new about it, as most of it is its job's.

    A tuple, and no `Execution`, because every fire makes one.
    """

    id: str
    job: TickJob
    fire_time: datetime
    queued_at: datetime
    check_at: datetime

    @property
    def job_id(self) -> str:
        """As an execution has it."""
        return self.job.id

    def as_execution(self) -> Execution:
        """The execution that it becomes."""
        return Execution(
            id=self.id,
            job_id=self.job.id,
            owner_id=self.job.owner_id,
            job_name=self.job.name,
            host=self.job.host,
            trigger=Trigger.SCHEDULE,
            status=ExecutionStatus.QUEUED,
            scheduled_at=self.fire_time,
            queued_at=self.queued_at,
            check_at=self.check_at,
        )


class FirePlan(NamedTuple):
    """What to do about the due fire times of one job, in this order: skips and summary, runs, cursor, next look."""

    runs: tuple[datetime, ...]
    """Fire times to create as queued executions, in order."""
    skips: tuple[Skip, ...]
    summary: MissedSummary | None
    handled_through: datetime | None
    """The new cursor; None when nothing was due and it stays."""
    next_fire_time: datetime | None
    """The first fire time after those handled; None when the schedule is over."""
    next_act_at: datetime | None
    """When to look again; None exactly when `next_fire_time` is."""


def act_at(job_id: str, fire_time: datetime, jitter_ms: int) -> datetime:
    """When a ticker acts on a fire time: its jitter later."""
    return jittered(job_id, fire_time, jitter_ms) if jitter_ms else fire_time


def first_pending(
    schedule: Schedule, handled_through: datetime, scheduled_runs: int, max_runs: int | None
) -> datetime | None:
    """The first fire time that is not accounted for; None when the schedule is over."""
    if max_runs is not None and scheduled_runs >= max_runs:
        return None
    return next_fire_time(schedule, handled_through)


def needs_exact_cursor(job: TickJob) -> bool:
    """Whether the cursor has to be in MongoDB before the push: what may run depends on it."""
    return (
        job.max_runs is not None
        or job.schedule.type is ScheduleType.ONCE
        or job.misfire_policy is MisfirePolicy.FIRE_ALL
    )


def waits_for_previous(job: TickJob, fire_time: datetime, now: datetime) -> bool:
    """Whether `fire_time` may be created only when the job's previous execution is final (fireAll catching up)."""
    return job.misfire_policy is MisfirePolicy.FIRE_ALL and is_missed(job, fire_time, now)


def is_missed(job: TickJob, fire_time: datetime, now: datetime) -> bool:
    """Whether `now` is later than the job's grace allows, counted from fire time + the longest jitter.

    Fire times act in order, so one with a short jitter may have to wait for one before it with a long jitter: that is
    no outage.
    """
    return fire_time < _missed_before(job, now)


def is_by_cursor(job: TickJob, fire_time: datetime, now: datetime) -> bool:
    """Whether it is so late that the cursor has to say if `fire_time` is still to be made, not the mirror.

    A mirror that comes back with old data (a Redis that lost its last writes, or was restored) shows fire times that
    were handled already, whose executions may be deleted by now.
    """
    return fire_time < now - CURSOR_BEHIND - _milliseconds(job.jitter_ms)


def _missed_before(job: TickJob, now: datetime) -> datetime:
    return now - _milliseconds(job.misfire_grace_ms + job.jitter_ms)


@lru_cache(maxsize=1_000)
def _milliseconds(count: int) -> timedelta:
    """Kept, since nearly all jobs have one of few graces."""
    return timedelta(milliseconds=count)


def plan_fires(job: TickJob, fire_time: datetime, now: datetime, *, at_once: bool = False) -> FirePlan:
    """Decide about `fire_time`, the first one of `job` not accounted for, and those due after it.

    The caller has checked that fireAll may go on (`waits_for_previous`). `now` is platform time. With `at_once` neither
    the jitter nor, for fireAll, the previous execution is waited for.
    """
    runs_left = None if job.max_runs is None else max(0, job.max_runs - job.scheduled_runs)
    if runs_left == 0:
        return FirePlan((), (), None, None, None, None)
    if _acts_after(job, fire_time, now, at_once):
        return _planned(job, (), (), None, handled=None, upcoming=fire_time)
    if is_missed(job, fire_time, now):
        return _plan_missed(job, fire_time, now, at_once)
    runs = [fire_time]
    limit = MOST_AT_ONCE if runs_left is None else min(runs_left, MOST_AT_ONCE)
    upcoming = next_fire_time(job.schedule, fire_time)
    while len(runs) < limit and upcoming is not None and not _acts_after(job, upcoming, now, at_once):
        runs.append(upcoming)
        upcoming = next_fire_time(job.schedule, upcoming)
    if runs_left is not None and len(runs) >= runs_left:
        upcoming = None
    return _planned(job, tuple(runs), (), None, handled=runs[-1], upcoming=upcoming)


def plan_made(job: TickJob, fire_time: datetime, made: Sequence[datetime]) -> FirePlan:
    """Account for the fire times from `fire_time` to the last of `made`, which have an execution each already.

    They are what a ticker that died before it moved the cursor decided to run. They stay runs, and count as such; the
    others up to there are recorded as missed. `made` is in order, not empty, and nothing in it is before `fire_time`.
    """
    last = made[-1]
    skips, summary = _records(job, fire_time - MILLISECOND, last - MILLISECOND, Reason.MISFIRE)
    running = frozenset(made)
    skips = tuple(skip for skip in skips if skip.fire_time not in running)
    if summary is not None:
        run_in_summary = sum(summary.first <= moment <= summary.last for moment in made)
        summary = (
            replace(summary, count=summary.count - run_in_summary) if summary.count > run_in_summary else None
        )
    over = job.max_runs is not None and job.scheduled_runs + len(made) >= job.max_runs
    upcoming = None if over else next_fire_time(job.schedule, last)
    return _planned(job, tuple(made), skips, summary, handled=last, upcoming=upcoming)


def plan_skipped(job: TickJob, fire_time: datetime, until: datetime, reason: Reason) -> FirePlan:
    """Record the fire times from `fire_time` to `until`, both included, as skipped; nothing comes after them."""
    skips, summary = _records(job, fire_time - MILLISECOND, until, reason)
    last = summary.last if summary is not None else skips[-1].fire_time
    return _planned(job, (), skips, summary, handled=last, upcoming=None)


def _acts_after(job: TickJob, fire_time: datetime, now: datetime, at_once: bool) -> bool:
    return fire_time > now or (not at_once and act_at(job.id, fire_time, job.jitter_ms) > now)


def _plan_missed(job: TickJob, first: datetime, now: datetime, at_once: bool) -> FirePlan:
    # Anything before the bound is missed: fire times are whole milliseconds, `now` may be finer.
    bound = _missed_before(job, now) - timedelta(microseconds=1)
    last = max(first, latest_fire_time(job.schedule, first - MILLISECOND, bound) or first)
    if job.misfire_policy is MisfirePolicy.FIRE_ALL:
        return _plan_catch_up(job, first, last, now, at_once)
    run = (last,) if job.misfire_policy is MisfirePolicy.FIRE_ONCE else ()
    skipped_until = last - MILLISECOND if run else last
    skips, summary = _records(job, first - MILLISECOND, skipped_until, Reason.MISFIRE)
    over = job.max_runs is not None and bool(run) and job.scheduled_runs + 1 >= job.max_runs
    upcoming = None if over else next_fire_time(job.schedule, last)
    return _planned(job, run, skips, summary, handled=last, upcoming=upcoming)


def _plan_catch_up(job: TickJob, first: datetime, last: datetime, now: datetime, at_once: bool) -> FirePlan:
    """fireAll: drop what is beyond the limit, then one fire time a step, or all `at_once`."""
    before = first - MILLISECOND
    excess_until = _drop_until(job, before, last)
    if excess_until is not None:
        skips, summary = _records(job, before, excess_until, Reason.CATCH_UP_LIMIT)
        upcoming = next_fire_time(job.schedule, excess_until)
        return _planned(job, (), skips, summary, handled=excess_until, upcoming=upcoming)
    runs_left = job.catch_up_limit if job.max_runs is None else job.max_runs - job.scheduled_runs
    most = min(job.catch_up_limit, runs_left) if at_once else 1
    runs = tuple(fire_times_between(job.schedule, before, last, most))
    over = job.max_runs is not None and len(runs) >= runs_left
    upcoming = None if over else next_fire_time(job.schedule, runs[-1])
    plan = _planned(job, runs, (), None, handled=runs[-1], upcoming=upcoming)
    if upcoming is None or upcoming > last:
        return plan
    return plan._replace(next_act_at=now + CATCH_UP_LOOK)


def _drop_until(job: TickJob, before: datetime, last: datetime) -> datetime | None:
    """The latest fire time after `before` that `catch_up_limit` others up to `last` follow; None = none is dropped."""
    moment: datetime | None = last
    for _ in range(job.catch_up_limit):
        assert moment is not None
        moment = previous_fire_time(job.schedule, moment)
        if moment is None or moment <= before:
            return None
    return moment


def _records(
    job: TickJob, after: datetime, until: datetime, reason: Reason
) -> tuple[tuple[Skip, ...], MissedSummary | None]:
    if until <= after:
        return (), None
    singles = fire_times_between(job.schedule, after, until, SINGLE_RECORDS)
    skips = tuple(Skip(fire_time, reason) for fire_time in singles)
    if len(singles) < SINGLE_RECORDS:
        return skips, None
    first = next_fire_time(job.schedule, singles[-1])
    last = latest_fire_time(job.schedule, singles[-1], until)
    if first is None or last is None:
        return skips, None
    count = count_fire_times(job.schedule, singles[-1], until, _ANY_NUMBER)
    return skips, MissedSummary(first, last, count, reason)


def _planned(
    job: TickJob,
    runs: tuple[datetime, ...],
    skips: tuple[Skip, ...],
    summary: MissedSummary | None,
    *,
    handled: datetime | None,
    upcoming: datetime | None,
) -> FirePlan:
    next_act_at = None if upcoming is None else act_at(job.id, upcoming, job.jitter_ms)
    return FirePlan(runs, skips, summary, handled, upcoming, next_act_at)


def planned_executions(
    job: TickJob, plan: FirePlan, now: datetime, default_retention: timedelta
) -> tuple[list[Execution], list[DueRun]]:
    """The executions of a plan: (records of skipped fire times, executions to run)."""
    check_at = now + recheck_after(1)
    runs = [DueRun(schedule_execution_id(job.id, at), job, at, now, check_at) for at in plan.runs]
    if not plan.skips and plan.summary is None:
        return [], runs
    retention = default_retention if job.retention_days is None else timedelta(days=job.retention_days)
    records = [
        skipped_execution(job, skip.fire_time, skip.reason, now, expire_at=now + retention)
        for skip in plan.skips
    ]
    if plan.summary is not None:
        records.append(_summary_execution(job, plan.summary, now, expire_at=now + retention))
    return records, runs


def skipped_execution(
    job: TickJob, fire_time: datetime, reason: Reason, now: datetime, *, expire_at: datetime
) -> Execution:
    """The record of a fire time that is not run."""
    return Execution(
        id=schedule_execution_id(job.id, fire_time),
        job_id=job.id,
        owner_id=job.owner_id,
        job_name=job.name,
        host=job.host,
        trigger=Trigger.SCHEDULE,
        status=ExecutionStatus.SKIPPED,
        reason=reason.value,
        scheduled_at=fire_time,
        queued_at=now,
        completed_at=now,
        expire_at=expire_at,
    )


def _summary_execution(
    job: TickJob, summary: MissedSummary, now: datetime, *, expire_at: datetime
) -> Execution:
    return replace(
        skipped_execution(job, summary.first, summary.reason, now, expire_at=expire_at),
        id=missed_summary_id(job.id, summary.first),
        skipped_count=summary.count,
        skipped_until=summary.last,
    )
