"""From due fire times to executions: insert, push, cursor, advance, in this order.

Thought through for a kill between any two steps: an execution without push is pushed by the sweep (`checkAt`), a push
without cursor or advance is repeated by the next ticker, whose insert meets the unique `_id`, and a second push finds
the execution already claimed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from webhookcron.core.errors import (
    BrokerUnavailable,
    StoreUnavailable,
    TickSourceUnavailable,
)
from webhookcron.core.executions import Execution, Reason, schedule_execution_id
from webhookcron.core.fires import (
    CATCH_UP_LOOK,
    DueRun,
    FirePlan,
    act_at,
    first_pending,
    is_by_cursor,
    is_missed,
    needs_exact_cursor,
    plan_fires,
    plan_made,
    plan_skipped,
    planned_executions,
    waits_for_previous,
)
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.core.schedules import next_fire_time
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import Cursor, CursorMove, JobStore
from webhookcron.ticks.cursors import CursorBook
from webhookcron.ticks.job_cache import MOST_JOBS, TickJobCache
from webhookcron.ticks.mirroring import corrected, entry_at, is_as_mirrored, set_aside
from webhookcron.ticks.source import Advance, DueFire, TickSource

log = structlog.get_logger(__name__)

Enqueue = Callable[[Sequence[str]], None]
"""Hands execution ids to the workers; raises BrokerUnavailable."""

_EXACT_TRIES = 5

_PREPARED_AT_ONCE = 250
"""Read in some ten milliseconds, so that a fire hardly waits for it."""

EXECUTIONS_AT_ONCE = 500
"""Created and pushed in one go: after an outage the first calls leave before the rest is looked at."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What one slice of due fires came to."""

    runs: int = 0
    """Executions present in MongoDB and handed to the broker."""
    skipped: int = 0
    """Fire times recorded as skipped (a summary counts once)."""
    failed: int = 0
    """Fires whose insert failed; they stay due."""


class _Pending(NamedTuple):
    """A due job and its first fire time that is not accounted for."""

    fire: DueFire
    job: TickJob
    fire_time: datetime


class _Planned(NamedTuple):
    """A due job, and what its fire times become."""

    fire: DueFire
    job: TickJob
    plan: FirePlan
    records: Sequence[Execution]
    runs: Sequence[DueRun]


class Scheduler:
    """Turns due fires into executions; used by the ticker, and by whoever changes a schedule (`settle`)."""

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
        self._cache = TickJobCache(jobs)
        self.cursors = CursorBook(jobs)

    # --- the ticker's slice

    def prepare(self, until: datetime, may_go_on: Callable[[], bool]) -> None:
        """Read ahead what is due by `until`, as long as there is time: then the moment itself needs no reading.

        Raises StoreUnavailable or TickSourceUnavailable.
        """
        upcoming = self._source.upcoming(until, MOST_JOBS // 2)
        for start in range(0, len(upcoming), _PREPARED_AT_ONCE):
            if not may_go_on():
                return
            self._cache.get(upcoming[start : start + _PREPARED_AT_ONCE])

    def fire(self, due: Sequence[DueFire], now: datetime) -> Fired:
        """Handle a slice of won fires. Raises StoreUnavailable or TickSourceUnavailable: what is left stays due."""
        known = self._cache.get([(fire.job_id, fire.version) for fire in due])
        live: list[_Pending] = []
        late: list[_Pending] = []
        exact: list[DueFire] = []
        moves: list[Advance] = []
        for fire in due:
            job = known.get(fire.job_id)
            if not is_as_mirrored(job, fire) or fire.fire_time is None:
                moves.append(corrected(fire, job, now))
            elif needs_exact_cursor(job):
                exact.append(fire)
            elif is_by_cursor(job, fire.fire_time, now):
                late.append(_Pending(fire, job, fire.fire_time))
            else:
                live.append(_Pending(fire, job, fire.fire_time))
        planned = self._planned([*live, *self._by_cursor(late, moves, now)], moves, exact, now)
        fired = Fired()
        for group in _groups(planned):
            fired = _sum(fired, self._fire_group(group, now, moves))
            self._source.advance(moves)
            moves.clear()
        together, alone = self._fire_together(exact, now, moves)
        fired = _sum(fired, together)
        for fire in alone:
            fired = _sum(fired, self._fire_exact(fire, now, moves))
        self._source.advance(moves)
        return fired

    def _by_cursor(self, late: Sequence[_Pending], moves: list[Advance], now: datetime) -> Iterator[_Pending]:
        """Late fire times from the cursor in MongoDB on: a Redis that came back with old data must not decide."""
        if not late:
            return
        fresh = self._jobs.tick_jobs([pending.job.id for pending in late])
        for pending in late:
            job = fresh.get(pending.job.id)
            if not is_as_mirrored(job, pending.fire):
                moves.append(corrected(pending.fire, job, now))
                continue
            following = next_fire_time(job.schedule, job.handled_through)
            if following is None:
                moves.append(self._ended(pending.fire, job, now))
            else:
                yield _Pending(pending.fire, job, max(following, pending.fire_time))

    def _planned(
        self, due: Iterable[_Pending], moves: list[Advance], exact: list[DueFire], now: datetime
    ) -> Iterator[_Planned]:
        for pending in due:
            fire, job = pending.fire, pending.job
            try:
                plan = plan_fires(job, pending.fire_time, now)
            except Exception as error:
                # A definition that nobody foresaw must not keep the other jobs of the slice from firing.
                log.exception("job.not_planned", job_id=job.id)
                moves.append(set_aside(fire, f"{type(error).__name__}: {error}", now))
                continue
            if plan.summary is not None:
                exact.append(fire)
                continue
            records, runs = planned_executions(job, plan, now, self._retention)
            yield _Planned(fire, job, plan, records, runs)

    def _fire_group(self, group: Sequence[_Planned], now: datetime, moves: list[Advance]) -> Fired:
        records = [execution for planned in group for execution in planned.records]
        runs = [execution for planned in group for execution in planned.runs]
        present = self._create(records, runs, now)
        self._push([execution.id for execution in runs if execution.id in present])
        over: list[_Planned] = []
        failed = 0
        for planned in group:
            fire, job, plan = planned.fire, planned.job, planned.plan
            if not _stored(planned.records, planned.runs, present):
                failed += 1
                log.error("tick.insert_failed", job_id=job.id)
                continue
            if plan.handled_through is not None:
                self.cursors.note(_cursor(job, plan))
            if plan.next_fire_time is None:
                over.append(planned)
            else:
                moves.append(Advance(fire, entry_at(job, plan.next_fire_time, plan.next_act_at)))
        if over:
            self.cursors.flush()
            moves += [self._ended(planned.fire, planned.job, now) for planned in over]
        return Fired(runs=len(runs), skipped=len(records), failed=failed)

    def _fire_together(
        self, fires: Sequence[DueFire], now: datetime, moves: list[Advance]
    ) -> tuple[Fired, list[DueFire]]:
        """Live fires of jobs with exact cursors, a few round trips for all; the rest is returned, to be done alone."""
        if not fires:
            return Fired(), []
        fresh = self._jobs.tick_jobs([fire.job_id for fire in fires])
        planned: list[_Planned] = []
        alone: list[DueFire] = []
        for fire in fires:
            job = fresh.get(fire.job_id)
            if is_as_mirrored(job, fire) and (plan := _live_plan(job, now)) is not None:
                planned.append(
                    _Planned(fire, job, plan, *planned_executions(job, plan, now, self._retention))
                )
            else:
                alone.append(fire)
        fired = Fired()
        for group in _groups(planned):
            done, again = self._carry_out_together(group, now, moves)
            fired = _sum(fired, done)
            alone += again
        return fired, alone

    def _carry_out_together(
        self, group: Sequence[_Planned], now: datetime, moves: list[Advance]
    ) -> tuple[Fired, list[DueFire]]:
        present = self._create((), [execution for planned in group for execution in planned.runs], now)
        stored = [p for p in group if all(execution.id in present for execution in p.runs)]
        moved = self._jobs.move_cursors([_cursor_move(planned) for planned in stored], now=now)
        done = [planned for planned in stored if planned.job.id in moved]
        ids = [execution.id for planned in done for execution in planned.runs]
        self._push(ids)
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

    def _fire_exact(self, fire: DueFire, now: datetime, moves: list[Advance]) -> Fired:
        """One step of a job whose cursor decides what may run: always from what MongoDB holds now."""
        for _ in range(_EXACT_TRIES):
            job = self._jobs.tick_jobs([fire.job_id]).get(fire.job_id)
            if not is_as_mirrored(job, fire):
                moves.append(corrected(fire, job, now))
                return Fired()
            pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
            if pending is None:
                moves.append(self._ended(fire, job, now))
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
                moves.append(self._ended(fire, made, now))
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
        records, runs = planned_executions(job, plan, now, self._retention)
        present = self._create(records, runs, now)
        if not _stored(records, runs, present):
            log.error("tick.insert_failed", job_id=job.id)
            return Fired(failed=1)
        assert plan.handled_through is not None
        if not self._jobs.move_cursor(job, plan.handled_through, len(plan.runs), plan.next_fire_time):
            return None
        self._push([execution.id for execution in runs])
        return Fired(runs=len(runs), skipped=len(records))

    def _previous_is_under_way(self, job: TickJob) -> bool:
        previous = schedule_execution_id(job.id, job.handled_through)
        status = self._executions.statuses([previous]).get(previous)
        return status is not None and not status.final

    # --- before a schedule changes

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

    # --- steps

    def _create(self, records: Sequence[Execution], runs: Sequence[DueRun], now: datetime) -> frozenset[str]:
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

    def _push(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        try:
            self._enqueue(ids)
        except BrokerUnavailable:
            # They are queued in MongoDB; the sweep pushes them when their checkAt has passed.
            log.warning("tick.push_failed", executions=len(ids))

    def _ended(self, fire: DueFire, job: TickJob, now: datetime) -> Advance:
        """The schedule of `job` is over: completed, unless it was changed meanwhile."""
        reason = _over_reason(job, job.scheduled_runs)
        version = self._jobs.complete(job, reason, now=now)
        if version is None:
            return corrected(fire, self._jobs.tick_jobs([job.id]).get(job.id), now)
        self._source.remove([(job.id, version)])
        self._jobs.mirrored([(job.id, version)])
        log.info("job.completed", job_id=job.id, reason=reason)
        return Advance(fire, None)


def _stored(records: Sequence[Execution], runs: Sequence[DueRun], present: frozenset[str]) -> bool:
    """Whether all of a plan is in MongoDB."""
    return all(record.id in present for record in records) and all(run.id in present for run in runs)


def _cursor(job: TickJob, plan: FirePlan) -> Cursor:
    assert plan.handled_through is not None
    return Cursor(job.id, job.schedule_since, plan.handled_through, plan.next_fire_time)


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


def _cursor_move(planned: _Planned) -> CursorMove:
    job, plan = planned.job, planned.plan
    assert plan.handled_through is not None
    made = job.scheduled_runs + len(plan.runs)
    completes = None if plan.next_fire_time is not None else _over_reason(job, made)
    return CursorMove(job, plan.handled_through, len(plan.runs), plan.next_fire_time, completes)


def _over_reason(job: TickJob, runs: int) -> str:
    return "all runs made" if job.max_runs is not None and runs >= job.max_runs else "schedule over"


def _groups(planned: Iterable[_Planned]) -> Iterator[list[_Planned]]:
    """Slices of about `EXECUTIONS_AT_ONCE` executions."""
    group: list[_Planned] = []
    executions = 0
    for item in planned:
        group.append(item)
        executions += len(item.records) + len(item.runs)
        if executions >= EXECUTIONS_AT_ONCE:
            yield group
            group, executions = [], 0
    if group:
        yield group


def _sum(left: Fired, right: Fired) -> Fired:
    return Fired(left.runs + right.runs, left.skipped + right.skipped, left.failed + right.failed)
