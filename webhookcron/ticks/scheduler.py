"""From due fire times to executions: insert, push, cursor, advance, in this order.

Thought through for a kill between any two steps: an execution without push is pushed by the sweep (`checkAt`), a push
without cursor or advance is repeated by the next ticker, whose insert meets the unique `_id`, and a second push finds
the execution already claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import BrokerUnavailable, CorruptDocument, StoreUnavailable
from webhookcron.core.executions import Execution, schedule_execution_id
from webhookcron.core.fires import (
    CATCH_UP_LOOK,
    FirePlan,
    act_at,
    first_pending,
    needs_exact_cursor,
    plan_fires,
    planned_executions,
    waits_for_previous,
)
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import Cursor, JobStore
from webhookcron.ticks.cursors import CursorBook
from webhookcron.ticks.job_cache import TickJobCache
from webhookcron.ticks.source import Advance, DueFire, MirrorEntry, TickSource

log = structlog.get_logger(__name__)

Enqueue = Callable[[Sequence[str]], None]
"""Hands execution ids to the workers; raises BrokerUnavailable."""

_EXACT_TRIES = 5


@dataclass(frozen=True, slots=True)
class Fired:
    """What one slice of due fires came to."""

    runs: int = 0
    """Executions present in MongoDB and handed to the broker."""
    skipped: int = 0
    """Fire times recorded as skipped (a summary counts once)."""
    failed: int = 0
    """Fires whose insert failed; they stay due."""


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

    def fire(self, due: Sequence[DueFire], now: datetime) -> Fired:
        """Handle a slice of won fires. Raises StoreUnavailable or TickSourceUnavailable; then all stay due."""
        known = self._cache.get([(fire.job_id, fire.version) for fire in due])
        plain: list[tuple[DueFire, TickJob]] = []
        exact: list[tuple[DueFire, TickJob]] = []
        moves: list[Advance] = []
        for fire in due:
            job = known.get(fire.job_id)
            if job is None or (isinstance(job, TickJob) and job.status is not JobStatus.ACTIVE):
                moves.append(Advance(fire, None))
            elif isinstance(job, CorruptDocument):
                moves.append(_set_aside(fire, job, now))
            elif fire.fire_time is None or fire.version != job.version:
                # The mirror holds another version, or nothing readable: put what MongoDB says, fire nothing now.
                moves.append(Advance(fire, mirror_entry(job)))
            elif needs_exact_cursor(job):
                exact.append((fire, job))
            else:
                plain.append((fire, job))
        fired = self._fire_plain(plain, now, moves)
        for fire, job in exact:
            fired = _sum(fired, self._fire_exact(fire, job, now, moves))
        self._source.advance(moves)
        return fired

    def _fire_plain(
        self, due: Sequence[tuple[DueFire, TickJob]], now: datetime, moves: list[Advance]
    ) -> Fired:
        planned: list[tuple[DueFire, TickJob, FirePlan, list[Execution]]] = []
        records: list[Execution] = []
        runs: list[Execution] = []
        for fire, job in due:
            assert fire.fire_time is not None
            plan = plan_fires(job, fire.fire_time, now)
            skipped, queued = planned_executions(job, plan, now, self._retention)
            records += skipped
            runs += queued
            planned.append((fire, job, plan, skipped + queued))
        present = self._create(records, runs)
        self._push([execution.id for execution in runs if execution.id in present])
        failed = 0
        for fire, job, plan, executions in planned:
            if any(execution.id not in present for execution in executions):
                failed += 1
                log.error("tick.insert_failed", job_id=job.id)
                continue
            if plan.handled_through is not None:
                self.cursors.note(_cursor(job, plan))
            if plan.next_fire_time is None:
                self.cursors.flush()
                self._complete(job, now)
            else:
                moves.append(Advance(fire, _entry(job, plan.next_fire_time, plan.next_act_at)))
        return Fired(runs=len(runs), skipped=len(records), failed=failed)

    def _fire_exact(self, fire: DueFire, job: TickJob, now: datetime, moves: list[Advance]) -> Fired:
        """One step of a job whose cursor decides what may run: always from what MongoDB holds now."""
        for _ in range(_EXACT_TRIES):
            fresh = self._jobs.tick_jobs([job.id]).get(job.id)
            if not isinstance(fresh, TickJob) or fresh.version != fire.version:
                return Fired()  # Gone or changed meanwhile: whoever did that mirrors it.
            pending = first_pending(
                fresh.schedule, fresh.handled_through, fresh.scheduled_runs, fresh.max_runs
            )
            if pending is None:
                self._complete(fresh, now)
                return Fired()
            due_at = act_at(fresh.id, pending, fresh.jitter_ms)
            if due_at > now:
                moves.append(Advance(fire, _entry(fresh, pending, due_at)))
                return Fired()
            if waits_for_previous(fresh, pending, now) and self._previous_is_under_way(fresh):
                moves.append(Advance(fire, _entry(fresh, pending, now + CATCH_UP_LOOK)))
                return Fired()
            plan = plan_fires(fresh, pending, now)
            fired = self._carry_out(fresh, plan, now)
            if fired is None:
                continue
            if plan.next_fire_time is None:
                self._complete(replace(fresh, scheduled_runs=fresh.scheduled_runs + len(plan.runs)), now)
            else:
                moves.append(Advance(fire, _entry(fresh, plan.next_fire_time, plan.next_act_at)))
            return fired
        return Fired()

    def _carry_out(self, job: TickJob, plan: FirePlan, now: datetime) -> Fired | None:
        """Create, move the cursor exactly, push; None when another ticker moved the cursor first."""
        records, runs = planned_executions(job, plan, now, self._retention)
        present = self._create(records, runs)
        if any(execution.id not in present for execution in (*records, *runs)):
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
        time runs at once. Raises StoreUnavailable.
        """
        while True:
            found = self._jobs.tick_jobs([job.id]).get(job.id)
            if not isinstance(found, TickJob) or found.status is not JobStatus.ACTIVE:
                return now
            if not self._settle_step(replace(found, jitter_ms=0), now):
                return now

    def _settle_step(self, job: TickJob, now: datetime) -> bool:
        pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
        if pending is None or pending > now:
            return False
        plan = plan_fires(job, pending, now)
        if needs_exact_cursor(job):
            fired = self._carry_out(job, plan, now)
            if fired is not None and fired.failed:
                raise StoreUnavailable("an execution could not be stored")
            return True
        records, runs = planned_executions(job, plan, now, self._retention)
        present = self._create(records, runs)
        self._push([execution.id for execution in runs if execution.id in present])
        if any(execution.id not in present for execution in (*records, *runs)):
            raise StoreUnavailable("an execution could not be stored")
        self._jobs.flush_cursors([_cursor(job, plan)])
        return True

    # --- steps

    def _create(self, records: Sequence[Execution], runs: Sequence[Execution]) -> frozenset[str]:
        """Insert the records of skipped fire times before the runs; the ids that are in MongoDB afterwards."""
        present: frozenset[str] = frozenset()
        if records:
            present = self._executions.insert(records).present
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

    def _complete(self, job: TickJob, now: datetime) -> None:
        reason = (
            "all runs made"
            if job.max_runs is not None and job.scheduled_runs >= job.max_runs
            else "schedule over"
        )
        version = self._jobs.complete(job, reason, now=now)
        if version is None:
            return
        self._source.remove([(job.id, version)])
        self._jobs.mirrored([(job.id, version)])
        log.info("job.completed", job_id=job.id, reason=reason)


def mirror_entry(job: TickJob) -> MirrorEntry | None:
    """How an active job has to be mirrored, from its rule and cursor alone; None when its schedule is over."""
    pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
    if pending is None:
        return None
    return _entry(job, pending, act_at(job.id, pending, job.jitter_ms))


def mirror_entries(jobs: Iterable[TickJob]) -> tuple[list[MirrorEntry], list[TickJob]]:
    """The entries of active jobs, and those whose schedule is over."""
    entries: list[MirrorEntry] = []
    over: list[TickJob] = []
    for job in jobs:
        entry = mirror_entry(job)
        if entry is None:
            over.append(job)
        else:
            entries.append(entry)
    return entries, over


def _entry(job: TickJob, fire_time: datetime, at: datetime | None) -> MirrorEntry:
    return MirrorEntry(job.id, job.version, fire_time, fire_time if at is None else at)


def _cursor(job: TickJob, plan: FirePlan) -> Cursor:
    assert plan.handled_through is not None
    return Cursor(job.id, job.schedule_since, plan.handled_through, plan.next_fire_time)


def _set_aside(fire: DueFire, error: CorruptDocument, now: datetime) -> Advance:
    """A job that cannot be read is looked at again in five minutes; the others go on."""
    log.error("job.corrupt", job_id=fire.job_id, reason=error.reason)
    moment = now + timedelta(minutes=5)
    return Advance(fire, MirrorEntry(fire.job_id, fire.version or 0, fire.fire_time or moment, moment))


def _sum(left: Fired, right: Fired) -> Fired:
    return Fired(left.runs + right.runs, left.skipped + right.skipped, left.failed + right.failed)
