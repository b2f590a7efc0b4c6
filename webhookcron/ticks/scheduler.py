"""From due fire times to executions: insert, push, cursor, advance, in this order.

Here the jobs whose cursor may follow some seconds later, which are most; the others are in `exact_fires`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from webhookcron.core.fires import FirePlan, is_by_cursor, needs_exact_cursor, plan_fires
from webhookcron.core.jobs import TickJob
from webhookcron.core.schedules import next_fire_time
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import Cursor, JobStore
from webhookcron.ticks.cursors import CursorBook
from webhookcron.ticks.exact_fires import ExactFires
from webhookcron.ticks.fire_steps import Fired, FireSteps, Planned, added, all_stored, in_groups
from webhookcron.ticks.job_cache import MOST_JOBS, TickJobCache
from webhookcron.ticks.mirroring import corrected, entry_at, is_as_mirrored, set_aside
from webhookcron.ticks.pushing import Enqueue
from webhookcron.ticks.source import Advance, DueFire, TickSource

log = structlog.get_logger(__name__)

_PREPARED_AT_ONCE = 250
"""Read in some ten milliseconds, so that a fire hardly waits for it."""


class _Pending(NamedTuple):
    """A due job and its first fire time that is not accounted for."""

    fire: DueFire
    job: TickJob
    fire_time: datetime


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
        self._source = source
        self._steps = FireSteps(
            jobs=jobs, executions=executions, source=source, enqueue=enqueue, retention=retention
        )
        self._exact = ExactFires(self._steps, jobs=jobs, executions=executions, source=source)
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
        for group in in_groups(planned):
            fired = added(fired, self._fire_group(group, now, moves))
            self._source.advance(moves)
            moves.clear()
        fired = added(fired, self._exact.fire(exact, now, moves))
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
                moves.append(self._steps.ended(pending.fire, job, now))
            else:
                yield _Pending(pending.fire, job, max(following, pending.fire_time))

    def _planned(
        self, due: Iterable[_Pending], moves: list[Advance], exact: list[DueFire], now: datetime
    ) -> Iterator[Planned]:
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
            yield self._steps.planned(fire, job, plan, now)

    def _fire_group(self, group: Sequence[Planned], now: datetime, moves: list[Advance]) -> Fired:
        records = [execution for planned in group for execution in planned.records]
        runs = [execution for planned in group for execution in planned.runs]
        present = self._steps.create(records, runs, now)
        self._steps.push([execution.id for execution in runs if execution.id in present])
        over: list[Planned] = []
        failed = 0
        for planned in group:
            fire, job, plan = planned.fire, planned.job, planned.plan
            if not all_stored(planned.records, planned.runs, present):
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
            moves += [self._steps.ended(planned.fire, planned.job, now) for planned in over]
        return Fired(runs=len(runs), skipped=len(records), failed=failed)

    def settle(self, job: TickJob, now: datetime) -> datetime:
        """Account for all fire times of `job` up to `now`, before its schedule changes: see `ExactFires.settle`."""
        return self._exact.settle(job, now)


def _cursor(job: TickJob, plan: FirePlan) -> Cursor:
    assert plan.handled_through is not None
    return Cursor(job.id, job.schedule_since, plan.handled_through, plan.next_fire_time)
