"""Due fires become executions: one per fire time, none lost, whatever the mirror and other tickers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable
from webhookcron.core.executions import schedule_execution_id
from webhookcron.core.fires import plan_fires
from webhookcron.core.jobs import JobStatus, MisfirePolicy
from webhookcron.storage.executions import Inserted
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.comparison import FullComparison
from webhookcron.ticks.source import MirrorEntry
from webhookcron.ticks.ticker import Ticker

MINUTES = [60.0 * n for n in range(1, 6)]


def test_each_fire_time_gets_an_execution_and_is_pushed(world: Any) -> None:
    job = world.job()
    for now in MINUTES:
        world.tick(world.at(now + 0.01))
    assert world.found(job) == dict.fromkeys(MINUTES, "queued")
    assert world.pushed == [schedule_execution_id(job.id, world.at(now)) for now in MINUTES]
    assert world.stored(job).handled_through == world.at(300)
    assert world.stored(job).next_run_at == world.at(360)
    assert world.mirrored(job) == (1, 360, 360)


def test_fire_times_stay_on_the_grid_however_late_the_ticks_are(world: Any) -> None:
    job = world.job(world.every(10), misfire_grace_ms=600_000)
    for now in (13, 38, 61):
        world.tick(world.at(now))
    assert list(world.found(job)) == [10, 20, 30, 40, 50, 60]


def test_missed_fire_times_follow_the_policy(world: Any) -> None:
    once = world.job()
    skip = world.job(misfire_policy=MisfirePolicy.SKIP)
    every = world.job(misfire_policy=MisfirePolicy.FIRE_ALL, catch_up_limit=2)
    world.tick(world.at(330))
    missed, live = "skipped:misfire", "queued"
    assert world.found(once) == {60: missed, 120: missed, 180: missed, 240: live, 300: live}
    assert world.found(skip) == {60: missed, 120: missed, 180: missed, 240: missed, 300: live}
    limit = "skipped:catchUpLimit"
    assert world.found(every) == {60: limit, 120: limit, 180: live}, "one by one"
    for _ in range(4):
        world.deliver(world.at(331))
        world.tick(world.at(332))
    assert world.found(every) == {60: limit, 120: limit, 180: "success", 240: "success", 300: "success"}


def test_fire_all_waits_for_the_previous_one(world: Any) -> None:
    job = world.job(misfire_policy=MisfirePolicy.FIRE_ALL)
    world.tick(world.at(330))
    world.tick(world.at(335))
    assert list(world.found(job)) == [60]
    world.deliver(world.at(336))
    world.tick(world.at(337))
    assert list(world.found(job)) == [60, 120]


def test_many_missed_fire_times_are_told_by_one_record(world: Any) -> None:
    job = world.job(world.every(1))
    world.tick(world.at(3_600))
    log = world.log(job)
    [summary] = [execution for execution in log if execution.skipped_count]
    assert summary.scheduled_at == world.at(101)
    assert (summary.skipped_until, summary.skipped_count) == (world.at(3_538), 3_438)
    assert len(log) == 100 + 1 + 62
    world.tick(world.at(3_600))
    assert len(world.log(job)) == len(log)


def test_max_runs_is_exact_and_completes_the_job(world: Any) -> None:
    job = world.job(max_runs=3)
    for now in MINUTES:
        world.tick(world.at(now))
    assert list(world.found(job)) == [60, 120, 180]
    stored = world.stored(job)
    assert (stored.status, stored.scheduled_runs, stored.next_run_at) == (JobStatus.COMPLETED, 3, None)
    assert world.mirrored(job) == (None, None, None)


def test_once_fires_and_is_completed(world: Any) -> None:
    job = world.job(world.once(5))
    world.tick(world.at(4.999))
    assert world.found(job) == {}
    world.tick(world.at(5))
    assert world.found(job) == {5: "queued"}
    assert world.stored(job).status is JobStatus.COMPLETED


def test_a_schedule_with_an_end_is_completed_after_it(world: Any) -> None:
    job = world.job(world.every(10, end_at=world.at(25)))
    world.tick(world.at(30))
    assert list(world.found(job)) == [10, 20]
    assert world.stored(job).status is JobStatus.COMPLETED
    assert world.stored(job).handled_through == world.at(20)


def test_jitter_shifts_the_act_and_not_the_fire_time(world: Any) -> None:
    job = world.job(jitter_ms=30_000)
    _, fire_time, acts_at = world.mirrored(job)
    assert (fire_time, 60 < acts_at <= 90) == (60, True)
    world.tick(world.at(acts_at) - timedelta(milliseconds=1))
    assert world.found(job) == {}
    world.tick(world.at(acts_at))
    assert list(world.found(job)) == [60]


# --- whatever fails on the way


def test_a_broker_that_is_away_loses_nothing(world: Any) -> None:
    def away(_ids: Sequence[str]) -> None:
        raise BrokerUnavailable

    job = world.job()
    world.tick(world.at(60), world.scheduler(enqueue=away))
    assert world.found(job) == {60: "queued"}
    assert world.sweep(world.at(91)).pushed == 1
    assert world.pushed == [schedule_execution_id(job.id, world.at(60))]


class FailingInserts:
    """An execution store that stores nothing of one job."""

    def __init__(self, inner: Any, job_id: str) -> None:
        self._inner, self._job_id = inner, job_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def insert(self, executions: Sequence[Any]) -> Inserted:
        return self._inner.insert([e for e in executions if e.job_id != self._job_id])


@pytest.mark.parametrize("policies", [{}, {"max_runs": 1}, {"misfire_policy": MisfirePolicy.FIRE_ALL}])
def test_a_fire_that_could_not_be_stored_stays_due(world: Any, policies: dict[str, Any]) -> None:
    job, other = world.job(**policies), world.job()
    scheduler = world.scheduler(executions=FailingInserts(world.executions, job.id))
    fired = scheduler.fire(world.due(world.at(60)), world.at(60))
    scheduler.cursors.flush()
    assert (fired.failed, fired.runs) == (1, 1 if policies else 2)
    assert world.stored(job).status is JobStatus.ACTIVE
    assert world.mirrored(job)[1] == 60
    assert world.found(other) == {60: "queued"}
    assert not [execution_id for execution_id in world.pushed if execution_id.startswith(job.id)]
    world.tick(world.at(61))
    assert world.found(job) == {60: "queued"}


def test_once_whose_execution_could_not_be_stored_is_not_completed(world: Any) -> None:
    job = world.job(world.once(5))
    scheduler = world.scheduler(executions=FailingInserts(world.executions, job.id))
    scheduler.fire(world.due(world.at(6)), world.at(6))
    assert world.stored(job).status is JobStatus.ACTIVE
    world.tick(world.at(7))
    assert world.found(job) == {5: "queued"}


def test_a_job_that_cannot_be_read_is_set_aside_and_the_others_fire(world: Any) -> None:
    broken, whole = world.job(), world.job()
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {"cronExpression": "x"}})
    world.tick(world.at(60))
    assert world.found(whole) == {60: "queued"}
    assert world.mirrored(broken)[2] == 360, "five minutes later"


@pytest.mark.parametrize("policies", [{}, {"max_runs": 3}, {"misfire_policy": MisfirePolicy.FIRE_ALL}])
@pytest.mark.parametrize("field", ["misfireGraceMs", "jitterMs", "retentionDays", "catchUpLimit"])
def test_numbers_out_of_all_range_hold_up_their_own_job_only(
    world: Any, policies: dict[str, Any], field: str
) -> None:
    broken, whole = world.job(**policies), world.job(**policies)
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {field: 2**62}})
    world.tick(world.at(60))
    assert world.found(whole) == {60: "queued"}
    assert world.mirrored(broken)[2] == 360


def test_what_cannot_be_planned_is_set_aside_and_the_others_fire(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = world.job(), world.job()

    def planned(job: Any, *args: Any, **options: Any) -> Any:
        if job.id == broken.id:
            raise ZeroDivisionError
        return plan_fires(job, *args, **options)

    monkeypatch.setattr("webhookcron.ticks.scheduler.plan_fires", planned)
    world.tick(world.at(60))
    assert world.found(whole) == {60: "queued"}
    assert world.mirrored(broken)[2] == 360


# --- whatever the mirror says


def test_a_mirror_that_is_behind_repeats_nothing(world: Any) -> None:
    job = world.job()
    world.tick(world.at(180))
    world.deliver(world.at(181))
    world.source.put([MirrorEntry(job.id, 1, world.at(60), world.at(60))])
    world.tick(world.at(182))
    world.deliver(world.at(183))
    assert world.found(job) == {60: "skipped:misfire", 120: "success", 180: "success"} or world.found(job) == {
        60: "success", 120: "success", 180: "success",
    }  # fmt: skip
    assert world.counters(job)[0] == list(world.found(job).values()).count("success")
    assert world.mirrored(job)[1] == 240


def test_old_data_of_redis_makes_no_fire_time_missed_that_was_handled(world: Any) -> None:
    job = world.job(world.every(1), misfire_grace_ms=86_400_000)
    world.tick(world.at(300))
    world.deliver(world.at(301))
    world.database["jobs"].update_one({"_id": job.id}, {"$set": {"misfireGraceMs": 15_000}})
    world.source.put([MirrorEntry(job.id, 1, world.at(1), world.at(1))])
    world.tick(world.at(302))
    assert set(world.found(job).values()) == {"success", "queued"}
    assert not [execution for execution in world.log(job) if execution.skipped_count]


def test_old_data_of_redis_makes_nothing_again_whose_record_was_deleted(world: Any) -> None:
    job = world.job(misfire_grace_ms=86_400_000)
    world.tick(world.at(600))
    world.deliver(world.at(601))
    for execution in world.log(job):
        world.executions.delete(
            execution.id, owner_id=None, handled_through=world.stored(job).handled_through
        )
    world.source.put([MirrorEntry(job.id, 1, world.at(300), world.at(300))])
    world.tick(world.at(602))
    assert world.found(job) == {}
    assert world.mirrored(job)[1] == 660


def test_an_entry_of_another_version_fires_nothing_and_is_put_right(world: Any) -> None:
    job = world.job()
    world.jobs.update_definition(replace(job, name="new"), expected_version=1)
    world.tick(world.at(60), steps=1)
    assert world.found(job) == {}
    assert world.mirrored(job) == (2, 60, 60)
    world.tick(world.at(60))
    assert world.found(job) == {60: "queued"}


@pytest.mark.parametrize("policies", [{}, {"max_runs": 5}])
def test_a_ticker_that_remembers_an_old_version_does_not_spin(world: Any, policies: dict[str, Any]) -> None:
    job = world.job(**policies)
    scheduler = world.scheduler()
    world.tick(world.at(60), scheduler)
    world.jobs.update_definition(replace(job, name="new"), expected_version=1)
    world.tick(world.at(120), scheduler, steps=3)
    assert world.due(world.at(120)) == []
    assert world.found(job) == {60: "queued", 120: "queued"}


def test_a_due_id_without_entry_is_reloaded(world: Any) -> None:
    job = world.job()
    world.redis.hdel("wc:{0}:jobs", job.id)
    world.tick(world.at(60))
    assert world.found(job) == {60: "queued"}


def test_what_is_no_active_job_leaves_the_mirror(world: Any) -> None:
    gone = "0" * 24
    paused = world.job()
    world.jobs.disable(paused.id, 1, "why", now=world.t0)
    world.source.put([MirrorEntry(gone, 1, world.at(60), world.at(60))])
    world.tick(world.at(60))
    assert world.source.size() == 0
    assert world.found(paused) == {}


# --- settling


def test_settling_makes_what_is_due_and_moves_the_cursor(world: Any) -> None:
    job = world.job(misfire_grace_ms=600_000)
    settled = world.scheduler().settle(tick_job_of(job), world.at(200))
    assert settled == world.at(200)
    assert list(world.found(job)) == [60, 120, 180]
    assert len(world.pushed) == 3
    assert world.stored(job).handled_through == world.at(180)
    world.tick(world.at(200))
    assert list(world.found(job)) == [60, 120, 180]


@pytest.mark.parametrize("noticed_by", ["the sweep", "who resumes it", "who deletes it"])
def test_what_was_due_when_the_platform_disabled_a_job_is_on_record(
    world: Any, user_at: Any, noticed_by: str
) -> None:
    job = world.job()
    world.tick(world.at(60))
    world.deliver(world.at(61))
    # Another fire time comes, and before any ticker looks, a worker disables the job.
    world.jobs.disable_any_version(job.id, "the target is gone", now=world.at(125))
    if noticed_by == "the sweep":
        world.sweep(world.at(127))
        world.sweep(world.at(200))
    elif noticed_by == "who resumes it":
        user_at(190).resume(job)
    else:
        user_at(190).delete(job)
    world.tick(world.at(235))
    assert world.found(job) == {60: "success", 120: "skipped:disabled"}
    world.sweep(world.at(236))
    assert world.executions.count({"counted": False}) == 0


def test_settling_twice_or_beside_a_ticker_makes_nothing_twice(
    world: Any, in_threads: Callable[..., list[Any]]
) -> None:
    for policies in ({}, {"max_runs": 4}, {"misfire_policy": MisfirePolicy.FIRE_ALL}):
        job = world.job(**policies)
        steps = [
            lambda job=job: world.scheduler().settle(tick_job_of(job), world.at(400)),
            lambda job=job: world.scheduler().settle(tick_job_of(job), world.at(400)),
            lambda: world.tick(world.at(400), steps=4),
        ]
        in_threads(lambda step: step(), steps)
        world.scheduler().settle(tick_job_of(job), world.at(400))
        found = world.found(job)
        assert list(found) == [60.0 * n for n in range(1, len(found) + 1)]
        if "max_runs" in policies:
            assert list(found.values()).count("queued") == world.stored(job).scheduled_runs <= 4
        else:
            assert len(found) == 6


def test_settling_runs_what_only_waits_for_its_jitter(world: Any) -> None:
    job = world.job(jitter_ms=3_600_000, misfire_grace_ms=15_000, misfire_policy=MisfirePolicy.SKIP)
    world.scheduler().settle(tick_job_of(job), world.at(200))
    assert world.found(job) == {60: "queued", 120: "queued", 180: "queued"}


def test_settling_while_mongodb_takes_nothing_is_an_outage(world: Any) -> None:
    job = world.job()
    scheduler = world.scheduler(executions=FailingInserts(world.executions, job.id))
    with pytest.raises(StoreUnavailable):
        scheduler.settle(tick_job_of(job), world.at(60))
    assert world.stored(job).handled_through == world.t0


# --- many tickers, in real time


def run_tickers(
    world: Any, in_threads: Callable[..., list[Any]], count: int, ends: Callable[[], bool]
) -> None:
    stop = Event()
    wanted = Event()

    def run(number: int) -> None:
        if number == count:
            comparison = FullComparison(jobs=world.jobs, source=world.source)
            while not ends():
                if wanted.wait(0.01):
                    wanted.clear()
                    comparison.run(stop)
            stop.set()
            return
        Ticker(
            source=world.source,
            scheduler=world.scheduler(),
            clock=PlatformClock(world.redis),
            longest_sleep=timedelta(milliseconds=50),
            rebuild_wanted=wanted.set,
        ).run(stop)

    in_threads(run, range(count + 1))


def test_several_tickers_make_one_execution_per_fire_time_also_after_a_flush(
    world: Any, in_threads: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.ticks.comparison.SECOND_LOOK_AFTER", timedelta(0))
    now = world.source.tick("t", limit=0).now
    world.t0 = now.replace(microsecond=0) - timedelta(seconds=30)
    jobs = [world.job(world.every(1), misfire_grace_ms=3_600_000) for _ in range(10)]
    exact = [world.job(world.every(1), misfire_grace_ms=3_600_000, max_runs=33) for _ in range(5)]
    flushed: list[bool] = []

    def ends() -> bool:
        furthest = world.stored(jobs[0]).handled_through
        if not flushed and furthest >= world.at(31):
            world.redis.flushall()
            flushed.append(True)
        return all(world.stored(job).handled_through >= world.at(34) for job in jobs)

    run_tickers(world, in_threads, 4, ends)
    assert flushed
    for job in jobs:
        seconds = list(world.found(job))
        assert seconds == [float(n) for n in range(1, len(seconds) + 1)]
        assert len(seconds) >= 34
    for job in exact:
        assert list(world.found(job)) == [float(n) for n in range(1, 34)]
        assert world.stored(job).status is JobStatus.COMPLETED
    assert set(Counter(world.pushed)) == {
        execution.id for job in (*jobs, *exact) for execution in world.log(job)
    }
