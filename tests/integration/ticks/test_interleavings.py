"""A change of a job in the midst of a tick: edit, pause, resume and delete, at each step of the tick.

Whatever comes first, each fire time of the rule that was in force has one execution, and none runs for a time inside
a pause or of a rule that was superseded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from webhookcron.core.jobs import Job, JobStatus, MisfirePolicy
from webhookcron.ticks.scheduler import Scheduler

STEPS = ("before the lock", "after the lock", "after the insert", "after the push", "before the advance")

POLICIES = ({}, {"max_runs": 50}, {"misfire_policy": MisfirePolicy.FIRE_ALL})


class Interrupted:
    """An object at one of whose methods something else happens, before or after it."""

    def __init__(self, inner: Any, method: str, event: Callable[[], Any], *, after: bool) -> None:
        self._inner, self._method, self._event, self._after = inner, method, event, after

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self._after:
                self._event()
            result = attribute(*args, **kwargs)
            if self._after:
                self._event()
            return result

        return call


def interrupted_tick(
    world: Any, step: str, seconds: float, scheduler: Scheduler, change: Callable[[], Any]
) -> None:
    """One tick of a ticker that remembers the job, with the change at `step` of it, or else after it."""
    now = world.at(seconds)
    events = [change]

    def event() -> None:
        if events:
            events.pop()()

    parts: dict[str, Any] = {}
    if step == "after the insert":
        parts["executions"] = Interrupted(world.executions, "insert", event, after=True)
    elif step == "after the push":

        def push(ids: Any) -> None:
            world.pushed.extend(ids)
            event()

        parts["enqueue"] = push
    elif step == "before the advance":
        parts["source"] = Interrupted(world.source, "advance", event, after=False)
    ticking = world.scheduler(**parts)
    # What the ticker remembers of the job is what it was before the change.
    ticking._cache = scheduler._cache
    world.release_locks()
    if step == "before the lock":
        event()
    due = world.due(now)
    if step == "after the lock":
        event()
    ticking.fire(due, now)
    ticking.cursors.flush()
    event()


def runs(world: Any, job: Job) -> list[float]:
    return [second for second, status in world.found(job).items() if status == "success"]


def live(world: Any, scheduler: Scheduler, seconds: range) -> None:
    """Go on for some time, with the ticker that remembers and one that does not, sweeping and delivering."""
    for second in seconds:
        now = world.at(second + 0.3)
        world.tick(now, scheduler, steps=2)
        world.tick(now)
        world.sweep(now)
        world.deliver(now)


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("step", STEPS)
def test_a_new_schedule_comes_into_force_between_two_fire_times(
    world: Any, user_at: Any, step: str, policies: dict[str, Any]
) -> None:
    job, scheduler = world.job(**policies), world.scheduler()
    live(world, scheduler, range(60, 61))

    def edit() -> None:
        user_at(120.2).edit(job, interval="second", interval_value=45, start_at=world.at(135))

    interrupted_tick(world, step, 120.1, scheduler, edit)
    live(world, scheduler, range(120, 300, 5))
    assert runs(world, job) == [60, 120, 135, 180, 225, 270]
    assert set(world.found(job).values()) == {"success"}
    assert world.mirrored(job)[:2] == (2, 315)
    assert world.counters(job) == (6, 6, 0, 0)


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("step", STEPS)
def test_a_change_that_moves_no_fire_time_loses_and_doubles_none(
    world: Any, user_at: Any, step: str, policies: dict[str, Any]
) -> None:
    job, scheduler = world.job(**policies), world.scheduler()
    live(world, scheduler, range(60, 61))
    interrupted_tick(world, step, 120.1, scheduler, lambda: user_at(120.2).edit(job, name="new"))
    live(world, scheduler, range(120, 260, 10))
    assert runs(world, job) == [60, 120, 180, 240]
    assert world.stored(job).scheduled_runs == (4 if policies else 0)


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("step", STEPS)
def test_nothing_runs_from_a_pause_until_it_is_over(
    world: Any, user_at: Any, step: str, policies: dict[str, Any]
) -> None:
    job, scheduler = world.job(**policies), world.scheduler()
    live(world, scheduler, range(60, 61))
    interrupted_tick(world, step, 120.1, scheduler, lambda: user_at(120.2).pause(job))
    live(world, scheduler, range(120, 260, 10))
    assert world.mirrored(job) == (None, None, None)
    user_at(260.5).resume(job)
    live(world, scheduler, range(261, 400, 10))
    found = world.found(job)
    assert runs(world, job) == [60, 300, 360]
    assert found[120] == "skipped:paused", "its execution was made, and claimed in the pause"
    assert set(found) == {60, 120, 300, 360}


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("step", STEPS)
def test_a_fire_time_inside_a_pause_does_not_run_after_the_resume(
    world: Any, user_at: Any, step: str, policies: dict[str, Any]
) -> None:
    job, scheduler = world.job(**policies), world.scheduler()
    live(world, scheduler, range(60, 121, 60))
    paused = replace(
        job,
        status=JobStatus.PAUSED,
        paused_from=world.at(130),
        handled_through=world.at(130),
        updated_at=world.at(130),
    )
    # Whoever paused it died before it was mirrored, so tickers still see it as it was.
    world.jobs.update(paused, expected_version=1)
    interrupted_tick(world, step, 180.1, scheduler, lambda: user_at(180.2).resume(job))
    live(world, scheduler, range(181, 320, 10))
    assert runs(world, job) == [60, 120, 240, 300]
    assert world.found(job).get(180, "skipped:paused") == "skipped:paused"


@pytest.mark.parametrize("policies", POLICIES)
@pytest.mark.parametrize("step", STEPS)
def test_nothing_runs_after_a_deletion_and_nothing_is_left_under_way(
    world: Any, user_at: Any, step: str, policies: dict[str, Any]
) -> None:
    job, scheduler = world.job(**policies), world.scheduler()
    live(world, scheduler, range(60, 61))
    interrupted_tick(world, step, 120.1, scheduler, lambda: user_at(120.2).delete(job))
    live(world, scheduler, range(120, 260, 10))
    assert runs(world, job) == [60]
    assert world.found(job).get(120, "cancelled:deleted") == "cancelled:deleted"
    assert set(world.found(job)) <= {60, 120}
    assert world.source.size() == 0


def test_a_tick_of_an_old_rule_that_ran_late_is_superseded(world: Any, user_at: Any) -> None:
    job, scheduler = world.job(), world.scheduler()
    live(world, scheduler, range(60, 61))
    world.release_locks()
    stale = [fire for fire in world.source.tick("stale", limit=10).due if fire.job_id == job.id]
    user_at(100).edit(job, interval="second", interval_value=50, start_at=world.at(150))
    # It had read the job and the entry before the change, and fires only now.
    scheduler.fire(stale, world.at(120.1))
    scheduler.cursors.flush()
    live(world, scheduler, range(121, 210, 10))
    assert runs(world, job) == [60, 150, 200]
    assert world.found(job)[120] == "skipped:superseded"


@pytest.mark.parametrize("seconds", [-20, 0])
def test_a_single_moment_asked_for_with_or_after_a_resume_runs_although_it_lies_in_the_pause(
    world: Any, user_at: Any, seconds: int
) -> None:
    once = {"interval": None, "interval_value": None, "run_at": world.at(200 + seconds)}
    with_it, after_it = world.job(), world.job()
    for job in (with_it, after_it):
        user_at(10).pause(job)
    assert user_at(200).edit(with_it, is_active=True, **once).next_run_at == once["run_at"]
    user_at(200).resume(after_it)
    assert user_at(210).edit(after_it, **once).next_run_at == once["run_at"]
    live(world, world.scheduler(), range(211, 213))
    for job in (with_it, after_it):
        assert runs(world, job) == [200 + seconds]
        assert world.stored(job).status is JobStatus.COMPLETED


def test_a_pause_amid_catching_up_ends_it_and_runs_nothing_more(world: Any, user_at: Any) -> None:
    job, scheduler = world.job(misfire_policy=MisfirePolicy.FIRE_ALL, catch_up_limit=4), world.scheduler()
    world.tick(world.at(390), scheduler)
    world.deliver(world.at(391))
    user_at(392).pause(job)
    live(world, scheduler, range(392, 394))
    user_at(500).resume(job)
    live(world, scheduler, range(501, 550, 20))
    assert world.found(job) == {
        60: "skipped:catchUpLimit",
        120: "success",
        180: "skipped:paused",
        240: "skipped:paused",
        300: "skipped:paused",
        360: "skipped:paused",
        540: "success",
    }
