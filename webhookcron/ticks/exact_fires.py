"""Fires of jobs whose cursor decides what may run: always from what MongoDB holds now.

Those are jobs with `maxRuns`, one-off schedules, `fireAll`, and outages that take a summary. Their cursor is moved
before the push, guarded by its old value, so that of several tickers one only goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.core.executions import Reason, schedule_execution_id
from webhookcron.core.fires import (
    CATCH_UP_LOOK,
    FirePlan,
    act_at,
    first_pending,
    is_missed,
    plan_fires,
    plan_made,
    plan_skipped,
    waits_for_previous,
)
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import CursorMove, JobStore
from webhookcron.ticks.fire_steps import Fired, FireSteps, Planned, added, all_stored, in_groups, over_reason
from webhookcron.ticks.mirroring import corrected, entry_at, is_as_mirrored, set_aside
from webhookcron.ticks.source import Advance, DueFire, TickSource

log = structlog.get_logger(__name__)

_EXACT_TRIES = 5


class ExactFires:
    """Fires one by one or together, and accounts for what is due before a schedule changes."""

    def __init__(
        self, steps: FireSteps, *, jobs: JobStore, executions: ExecutionStore, source: TickSource
    ) -> None:
        self._steps = steps
        self._jobs = jobs
        self._executions = executions
        self._source = source

    def fire(self, fires: Sequence[DueFire], now: datetime, moves: list[Advance]) -> Fired:
        """Handle won fires; where their jobs go next is added to `moves`."""
        fired, alone = self._fire_together(fires, now, moves)
        for fire in alone:
            fired = added(fired, self._fire_alone(fire, now, moves))
        return fired

    def _fire_together(
        self, fires: Sequence[DueFire], now: datetime, moves: list[Advance]
    ) -> tuple[Fired, list[DueFire]]:
        """Live fires of jobs with exact cursors, a few round trips for all; the rest is returned, to be done alone."""
        if not fires:
            return Fired(), []
        fresh = self._jobs.tick_jobs([fire.job_id for fire in fires])
        planned: list[Planned] = []
        alone: list[DueFire] = []
        for fire in fires:
            job = fresh.get(fire.job_id)
            if is_as_mirrored(job, fire) and (plan := _live_plan(job, now)) is not None:
                planned.append(self._steps.planned(fire, job, plan, now))
            else:
                alone.append(fire)
        fired = Fired()
        for group in in_groups(planned):
            done, again = self._carry_out_together(group, now, moves)
            fired = added(fired, done)
            alone += again
        return fired, alone

    def _carry_out_together(
        self, group: Sequence[Planned], now: datetime, moves: list[Advance]
    ) -> tuple[Fired, list[DueFire]]:
        present = self._steps.create((), [execution for planned in group for execution in planned.runs], now)
        stored = [p for p in group if all(execution.id in present for execution in p.runs)]
        moved = self._jobs.move_cursors([_cursor_move(planned) for planned in stored], now=now)
        done = [planned for planned in stored if planned.job.id in moved]
        ids = [execution.id for planned in done for execution in planned.runs]
        self._steps.push(ids)
        over = [p.job for p in done if p.plan.next_fire_time is None]
        moves += [
            Advance(p.fire, entry_at(p.job, p.plan.next_fire_time, p.plan.next_act_at))
            for p in done
            if p.plan.next_fire_time is not None
        ]
        if over:
            ended = [(job.id, job.version + 1) for job in over]
            self._source.remove(ended)
            self._jobs.mirrored(ended)
            log.info("job.completed", jobs=len(over), job_id=over[0].id)
        failed = len(group) - len(stored)
        if failed:
            log.error("tick.insert_failed", jobs=failed)
        return Fired(runs=len(ids), failed=failed), [p.fire for p in stored if p.job.id not in moved]

    def _fire_alone(self, fire: DueFire, now: datetime, moves: list[Advance]) -> Fired:
        """One step of a job whose cursor decides what may run: always from what MongoDB holds now."""
        for _ in range(_EXACT_TRIES):
            job = self._jobs.tick_jobs([fire.job_id]).get(fire.job_id)
            if not is_as_mirrored(job, fire):
                moves.append(corrected(fire, job, now))
                return Fired()
            pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
            if pending is None:
                moves.append(self._steps.ended(fire, job, now))
                return Fired()
            due_at = act_at(job.id, pending, job.jitter_ms)
            if due_at > now:
                moves.append(Advance(fire, entry_at(job, pending, due_at)))
                return Fired()
            if waits_for_previous(job, pending, now) and self._previous_is_under_way(job):
                moves.append(Advance(fire, entry_at(job, pending, now + CATCH_UP_LOOK)))
                return Fired()
            try:
                plan = self._plan_exactly(job, pending, now)
            except (StoreUnavailable, TickSourceUnavailable):
                raise
            except Exception as error:
                log.exception("job.not_planned", job_id=job.id)
                moves.append(set_aside(fire, f"{type(error).__name__}: {error}", now))
                return Fired()
            fired = self._carry_out(job, plan, now)
            if fired is None:
                continue
            if fired.failed:
                return fired
            if plan.next_fire_time is None:
                made = replace(job, scheduled_runs=job.scheduled_runs + len(plan.runs))
                moves.append(self._steps.ended(fire, made, now))
            else:
                moves.append(Advance(fire, entry_at(job, plan.next_fire_time, plan.next_act_at)))
            return fired
        return Fired()

    def _plan_exactly(
        self, job: TickJob, pending: datetime, now: datetime, *, at_once: bool = False
    ) -> FirePlan:
        """The plan from `pending` on; what a ticker made that died before it moved the cursor counts as it stands."""
        plan = plan_fires(job, pending, now, at_once=at_once)
        if plan.handled_through is None or not (plan.skips or plan.summary):
            return plan
        made = self._executions.made_by_schedule(job.id, pending, plan.handled_through)
        return plan if set(made) <= set(plan.runs) else plan_made(job, pending, made)

    def _carry_out(self, job: TickJob, plan: FirePlan, now: datetime) -> Fired | None:
        """Create, move the cursor exactly, push; None when another ticker moved the cursor first."""
        records, runs = self._steps.executions_of(job, plan, now)
        present = self._steps.create(records, runs, now)
        if not all_stored(records, runs, present):
            log.error("tick.insert_failed", job_id=job.id)
            return Fired(failed=1)
        assert plan.handled_through is not None
        if not self._jobs.move_cursor(job, plan.handled_through, len(plan.runs), plan.next_fire_time):
            return None
        self._steps.push([execution.id for execution in runs])
        return Fired(runs=len(runs), skipped=len(records))

    def _previous_is_under_way(self, job: TickJob) -> bool:
        previous = schedule_execution_id(job.id, job.handled_through)
        status = self._executions.statuses([previous]).get(previous)
        return status is not None and not status.final

    def settle(self, job: TickJob, now: datetime) -> datetime:
        """Account for all fire times of `job` up to `now`, as a ticker would at this moment.

        Returns the cursor that the change has to store: `now`. Jitter is not waited for: what is due by its fire
        time runs at once. Of a job that the platform disabled, what fell due until then is recorded as skipped.
        Raises StoreUnavailable.
        """
        while True:
            found = self._jobs.tick_jobs([job.id]).get(job.id)
            if not isinstance(found, TickJob):
                return now
            until = self._accountable_until(found, now)
            pending = first_pending(
                found.schedule, found.handled_through, found.scheduled_runs, found.max_runs
            )
            if pending is None or until is None or pending > until:
                return now
            if found.status is JobStatus.DISABLED:
                plan = plan_skipped(found, pending, until, Reason.DISABLED)
            else:
                plan = self._plan_exactly(found, pending, now, at_once=True)
            # Where another ticker moves the cursor first, the next look starts from there.
            fired = self._carry_out(found, plan, now)
            if fired is not None and fired.failed:
                raise StoreUnavailable("an execution could not be stored")

    def _accountable_until(self, job: TickJob, now: datetime) -> datetime | None:
        """Up to when fire times of a job in this state are to be on record; None = it makes none."""
        if job.status is JobStatus.ACTIVE:
            return now
        # Whoever disabled it was no ticker: what was due just then may not be on record yet.
        disabled_at = self._jobs.disabled_at(job.id) if job.status is JobStatus.DISABLED else None
        return None if disabled_at is None else min(now, disabled_at)


def _live_plan(job: TickJob, now: datetime) -> FirePlan | None:
    """What to run of a job whose due fire times are all in time; None when there is more to think about."""
    pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
    if pending is None or act_at(job.id, pending, job.jitter_ms) > now or is_missed(job, pending, now):
        return None
    try:
        plan = plan_fires(job, pending, now)
    except Exception:
        return None  # Alone, it meets the same error, which is then told and set aside.
    return plan if plan.runs and not plan.skips and plan.summary is None else None


def _cursor_move(planned: Planned) -> CursorMove:
    job, plan = planned.job, planned.plan
    assert plan.handled_through is not None
    made = job.scheduled_runs + len(plan.runs)
    completes = None if plan.next_fire_time is not None else over_reason(job, made)
    return CursorMove(job, plan.handled_through, len(plan.runs), plan.next_fire_time, completes)
