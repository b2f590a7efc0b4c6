"""The full comparison: whatever Redis lost, kept too long or has wrong is put as MongoDB says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.jobs import JobStatus
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.storage.jobs import Cursor
from webhookcron.ticks import comparison as module
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.comparison import Compared, FullComparison
from webhookcron.ticks.reconciler import Reconciler
from webhookcron.ticks.source import MirrorEntry, TickSource


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECOND_LOOK_AFTER", timedelta(0))


def compare(world: Any, **parts: Any) -> Compared:
    values = {"jobs": world.jobs, "source": world.source}
    return FullComparison(**(values | parts)).run(threading.Event())


class BetweenLooks:
    """A tick source on which something happens before the second look at an entry."""

    def __init__(self, inner: Any, event: Callable[[], Any]) -> None:
        self._inner, self._event, self._looks = inner, event, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def entries(self, job_ids: Any) -> Any:
        self._looks += 1
        if self._looks == 2:
            self._event()
        return self._inner.entries(job_ids)


def test_a_flushed_mirror_is_rebuilt_from_the_cursors(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 3)
    jobs = [world.job() for _ in range(7)]
    world.jobs.flush_cursors([Cursor(jobs[0].id, jobs[0].schedule_since, world.at(120), None)])
    world.redis.flushall()
    compared = compare(world)
    assert (compared.jobs, compared.missing, compared.complete) == (7, 7, True)
    assert world.mirrored(jobs[0]) == (1, 180, 180)
    assert all(world.mirrored(job) == (1, 60, 60) for job in jobs[1:])
    assert world.source.generation() is not None
    assert compare(world).repaired == 0


def test_an_older_version_is_replaced(world: Any) -> None:
    job = world.job()
    world.jobs.update_definition(job, expected_version=1)
    assert compare(world).missing == 1
    assert world.mirrored(job) == (2, 60, 60)


@pytest.mark.parametrize(
    ("fire_time", "acts_at", "moved"),
    [
        (60, 60, False),
        (600, 600, True),
        (61, 61, True),
        (60, 99_999_999, True),
        (60, 30, False),
    ],
)
def test_an_entry_that_would_not_act_in_time_is_put_right(
    world: Any, fire_time: int, acts_at: int, moved: bool
) -> None:
    job = world.job()
    world.source.put([MirrorEntry(job.id, 1, world.at(fire_time), world.at(acts_at))])
    assert compare(world).moved == moved
    assert world.mirrored(job)[1] == 60
    assert moved is False or world.mirrored(job)[2] == 60


@pytest.mark.parametrize("hours", [-1, 1], ids=["earlier before", "later before"])
@pytest.mark.parametrize("mirrored", [True, False], ids=["redis kept", "redis flushed"])
def test_fire_times_of_other_time_zone_data_are_computed_anew(world: Any, hours: int, mirrored: bool) -> None:
    cron = Schedule(type=ScheduleType.CRON, cron_expression="30 12 * * *", timezone="Europe/Berlin")
    job, other = world.job(cron), world.job()
    right = job.next_run_at
    # A process whose data had another offset for the zone left its fire time in both places.
    wrong = right + timedelta(hours=hours)
    world.database["jobs"].update_one({"_id": job.id}, {"$set": {"nextRunAt": wrong}})
    if mirrored:
        world.source.replace([(MirrorEntry(job.id, 1, right, right), MirrorEntry(job.id, 1, wrong, wrong))])
    else:
        world.redis.flushall()
    compared = compare(world)
    assert (compared.moved, compared.missing) == ((1, 0) if mirrored else (0, 2))
    assert world.source.entries([job.id])[job.id] == (1, right, right)
    assert world.stored(job).next_run_at == right
    assert world.stored(other).next_run_at == world.at(60)


def test_a_mirror_of_a_version_that_mongodb_never_had_is_put_right(world: Any) -> None:
    job = world.job()
    world.source.put([MirrorEntry(job.id, 9, world.at(600), world.at(600))])
    assert compare(world).moved == 1
    assert world.mirrored(job) == (1, 60, 60)


def test_a_job_that_moves_between_two_looks_is_left_alone(world: Any) -> None:
    job = world.job()
    world.source.put([MirrorEntry(job.id, 1, world.at(120), world.at(120))])

    def ticks_on() -> None:
        world.source.put([MirrorEntry(job.id, 1, world.at(180), world.at(180))])

    assert compare(world, source=BetweenLooks(world.source, ticks_on)).moved == 0
    assert world.mirrored(job)[1] == 180


def test_a_cursor_that_catches_up_between_two_looks_moves_nothing(world: Any) -> None:
    job = world.job()
    world.source.put([MirrorEntry(job.id, 1, world.at(120), world.at(120))])

    def flushes() -> None:
        world.jobs.flush_cursors([Cursor(job.id, job.schedule_since, world.at(60), world.at(120))])

    class FlushedJobs(BetweenLooks):
        def tick_jobs(self, job_ids: Any) -> Any:
            flushes()
            return self._inner.tick_jobs(job_ids)

    assert compare(world, jobs=FlushedJobs(world.jobs, flushes)).moved == 0
    assert world.mirrored(job)[1] == 120


def test_strangers_leave_the_mirror(world: Any) -> None:
    disabled, broken = world.job(), world.job()
    world.jobs.disable(disabled.id, 1, "why", now=world.t0)
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {"scheduleType": "odd"}})
    world.source.put([MirrorEntry("0" * 24, 3, world.at(60), world.at(60))])
    world.redis.zadd("wc:{0}:due", {"1" * 24: 5})
    world.redis.hset("wc:{0}:jobs", "2" * 24, "unreadable")
    compare(world)
    left = {job_id for part in world.source.job_ids() for job_id in part}
    assert left == {broken.id}, "what cannot be read is not judged"


def test_a_flush_while_comparing_leaves_the_mirror_incomplete(world: Any) -> None:
    job = world.job()
    world.source.put([MirrorEntry(job.id, 1, world.at(600), world.at(600))])
    compared = compare(world, source=BetweenLooks(world.source, world.redis.flushall))
    assert not compared.complete
    assert world.source.generation() is None


def test_a_comparison_that_is_stopped_does_not_mark_the_mirror(world: Any) -> None:
    world.job()
    stop = threading.Event()
    stop.set()
    FullComparison(jobs=world.jobs, source=world.source).run(stop)
    assert world.source.generation() is None


# --- the reconciler


class Sweeps:
    """Counts sweeps; the first ones fail as told."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures = list(failures)

    def run(self, _now: Any) -> Any:
        self.count += 1
        if self._failures:
            raise self._failures.pop(0)
        return type("Swept", (), {"more": False})


class Restarting(TickSource):
    """A tick source whose server says to be another run when told so."""

    run = "one"

    def server_run(self) -> str:
        return self.run

    def runs(self) -> tuple[str, str | None]:
        return self.run, super().runs()[1]


def reconciler(
    world: Any, sweep: Any = None, every: timedelta = timedelta(hours=1), **parts: Any
) -> Reconciler:
    values = {
        "jobs": world.jobs,
        "source": world.source,
        "clock": PlatformClock(world.redis),
        "sweep": sweep or Sweeps(),
        "comparison": FullComparison(jobs=world.jobs, source=parts.get("source", world.source)),
        "compare_every": every,
    }
    return Reconciler(**(values | parts))


def test_one_instance_sweeps_at_a_time_and_the_next_when_it_is_gone(world: Any) -> None:
    first, second = Sweeps(), Sweeps()
    one, two = reconciler(world, first), reconciler(world, second)
    for _ in range(3):
        one.sweep_once()
        two.sweep_once()
    assert (first.count, second.count) == (3, 0)
    world.redis.delete("wc:{0}:turn:sweep")
    two.sweep_once()
    assert second.count == 1


def test_it_compares_at_start_when_asked_and_by_interval(world: Any) -> None:
    clock = [0.0]
    job = world.job()
    stop = threading.Event()
    one = reconciler(world, monotonic=lambda: clock[0], every=timedelta(seconds=300))
    world.source.remove([(job.id, 1)])
    world.redis.delete(f"wc:{{0}}:gone:{job.id}")

    def lose_and_look(wanted: bool) -> bool:
        world.redis.zrem("wc:{0}:due", job.id)
        if wanted:
            one.rebuild()
        one.compare_if_wanted(stop)
        return world.mirrored(job)[2] == 60

    assert lose_and_look(False), "at start"
    clock[0] = 299
    assert not lose_and_look(False)
    assert not lose_and_look(True), "another ticker has rebuilt it already"
    world.redis.delete("wc:{0}:generation")
    assert lose_and_look(True)
    clock[0] = 900
    assert lose_and_look(False)


def test_it_compares_when_another_run_of_redis_answers(world: Any) -> None:
    job = world.job()
    source = Restarting(world.redis)
    one = reconciler(world, source=source)
    found = []
    for run in ("one", "one", "two", "two"):
        source.run = run
        world.redis.zrem("wc:{0}:due", job.id)
        one.compare_if_wanted(threading.Event())
        found.append(world.mirrored(job)[2] is not None)
    assert found == [True, False, True, False]


def test_it_compares_after_a_restart_of_redis_although_who_had_the_turn_died(world: Any) -> None:
    job = world.job()
    source = Restarting(world.redis)
    one, two = reconciler(world, source=source), reconciler(world, source=source)
    for each in (one, two):
        each.compare_if_wanted(threading.Event())
    source.run = "another"
    world.redis.set("wc:{0}:turn:compare", "dead", px=30_000)
    world.redis.zrem("wc:{0}:due", job.id)
    for _ in range(3):
        one.compare_if_wanted(threading.Event())
    assert world.mirrored(job)[2] is None
    world.redis.delete("wc:{0}:turn:compare")
    one.compare_if_wanted(threading.Event())
    assert world.mirrored(job)[2] == 60
    world.redis.zrem("wc:{0}:due", job.id)
    two.compare_if_wanted(threading.Event())
    assert world.mirrored(job)[2] is None, "one comparison is enough for all"


def test_a_job_that_was_taken_for_gone_is_mirrored_again(world: Any) -> None:
    job = world.job()
    comparison = FullComparison(jobs=world.jobs, source=world.source)

    class Behind:
        """A member of MongoDB that does not know the newest job yet."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.jobs, name)

        def active_jobs(self, _batch: int) -> Any:
            return iter(())

        def tick_jobs(self, _ids: Any) -> dict[str, Any]:
            return {}

    FullComparison(jobs=Behind(), source=world.source).run(threading.Event())  # type: ignore[arg-type]
    assert world.mirrored(job) == (None, None, None)
    assert comparison.run(threading.Event()).missing == 1
    assert world.mirrored(job) == (1, 60, 60)


def test_it_completes_jobs_whose_schedule_is_over(world: Any) -> None:
    job = world.job(world.once(5))
    world.jobs.flush_cursors([Cursor(job.id, job.schedule_since, world.at(5), None)])
    reconciler(world).compare_if_wanted(threading.Event())
    assert world.stored(job).status is JobStatus.COMPLETED
    assert world.source.size() == 0


def test_it_outlives_outages_and_what_nobody_foresaw(world: Any, eventually: Any) -> None:
    sweep = Sweeps(TickSourceUnavailable("away"), ZeroDivisionError("poison"))
    stop = threading.Event()
    thread = threading.Thread(target=reconciler(world, sweep).run, args=(stop,))
    thread.start()
    try:
        eventually(lambda: sweep.count >= 3)
        eventually(lambda: world.source.generation() is not None)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
