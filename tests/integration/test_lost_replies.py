"""A write that was done and whose reply was lost: the process goes on as if it had failed, and nothing goes wrong.

Unlike the death of a process, everything in its memory stays. Each test loses the reply of one step, once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webhookcron.core.errors import NotFound, StoreUnavailable, TickSourceUnavailable
from webhookcron.core.jobs import Job, JobStatus, MisfirePolicy, OverlapPolicy


class Losing:
    """A store whose reply to the first call of a method gets lost after the work was done."""

    def __init__(self, inner: Any, method: str, error: type[Exception]) -> None:
        self._inner, self._method, self._error = inner, method, error
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method or self.lost:
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self.lost = True
            attribute(*args, **kwargs)
            raise self._error("the reply was lost")

        return call


def losing(world: Any, name: str, method: str) -> Losing:
    error = TickSourceUnavailable if name == "source" else StoreUnavailable
    return Losing(getattr(world, name), method, error)


def assert_all_is_well(world: Any, job: Job) -> None:
    found = list(world.found(job).values())
    assert {status.partition(":")[0] for status in found} <= {"success", "skipped", "cancelled"}
    assert world.counters(job)[:2] == (found.count("success"), found.count("success"))
    assert world.executions.count({"jobId": job.id, "checkAt": {"$gt": world.t0}}) == 0


JOBS: dict[str, tuple[Callable[[Any], Job], list[int]]] = {
    "every ten seconds": (lambda world: world.job(world.every(10)), list(range(10, 160, 10))),
    "three runs": (lambda world: world.job(world.every(10), max_runs=3), [10, 20, 30]),
    "with an end": (lambda world: world.job(world.every(10, end_at=world.at(30))), [10, 20, 30]),
    "once": (lambda world: world.job(world.once(10)), [10]),
    "fireAll": (
        lambda world: world.job(world.every(10), misfire_policy=MisfirePolicy.FIRE_ALL),
        list(range(10, 160, 10)),
    ),
}

OF_THE_TICK = [
    ("executions", "insert"),
    ("jobs", "move_cursors"),
    ("jobs", "move_cursor"),
    ("jobs", "flush_cursors"),
    ("jobs", "complete"),
    ("jobs", "mirrored"),
    ("source", "advance"),
    ("source", "remove"),
]


@pytest.mark.parametrize(("name", "method"), OF_THE_TICK)
def test_a_ticker_that_lost_a_reply_loses_and_doubles_no_fire_time(
    world: Any, name: str, method: str
) -> None:
    lost = 0
    for kind, (new_job, expected) in JOBS.items():
        job = new_job(world)
        # Some steps are there only when something was missed.
        for seconds in ((10, 20, 30), (110, 120)):
            store = losing(world, name, method)
            scheduler = world.scheduler(**{name: store})
            for second in seconds:
                for _ in range(2):
                    try:
                        world.tick(world.at(second), scheduler)
                    except (StoreUnavailable, TickSourceUnavailable):
                        lost += 1
                world.deliver(world.at(second))
        world.recover(range(120, 160, 10))
        assert list(world.found(job)) == expected, kind
        assert_all_is_well(world, job)
        stored = world.stored(job)
        over = kind in ("three runs", "with an end", "once")
        assert stored.status is (JobStatus.COMPLETED if over else JobStatus.ACTIVE)
        assert stored.scheduled_runs == 3 or kind != "three runs"
        world.jobs.delete(job.id, expected_version=stored.version)
        world.source.remove([(job.id, stored.version)])
    assert lost, "no job has this step"


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("executions", "insert"),
        ("jobs", "move_cursor"),
        ("jobs", "update"),
        ("source", "put"),
        ("jobs", "mirrored"),
    ],
)
def test_a_change_that_is_asked_for_again_after_a_lost_reply_is_made_once(
    world: Any, user_at: Any, name: str, method: str
) -> None:
    job = world.job(world.every(10))
    store = losing(world, name, method)
    parts: dict[str, Any] = {"scheduler": world.scheduler(**{name: store} if name != "source" else {})}
    if name != "executions":
        parts[name] = store
    for second in (25, 26):
        try:
            user_at(second, **parts).edit(job, interval="second", interval_value=20, start_at=world.at(40))
        except StoreUnavailable:
            continue
        break
    assert store.lost
    assert world.stored(job).version == 2
    world.recover(range(27, 101))
    assert world.found(job) == dict.fromkeys([10, 20, 40, 60, 80, 100], "success")
    assert_all_is_well(world, job)


def test_a_deletion_that_is_asked_for_again_after_a_lost_reply_leaves_nothing_under_way(
    world: Any, user_at: Any
) -> None:
    job = world.job(world.every(10))
    world.tick(world.at(20))
    store = losing(world, "jobs", "delete")
    with pytest.raises(StoreUnavailable):
        user_at(25, jobs=store).delete(job)
    with pytest.raises(NotFound):
        user_at(26, jobs=store).delete(job)
    world.recover(range(27, 101, 5))
    assert world.found(job) == {10: "cancelled:deleted", 20: "cancelled:deleted"}
    assert world.source.size() == 0


OF_THE_SWEEP = [
    ("executions", "apply"),
    ("jobs", "mirrored"),
    ("source", "put"),
    ("executions", "to_check"),
]


@pytest.mark.parametrize("overlap", [OverlapPolicy.ALLOW, OverlapPolicy.QUEUE])
@pytest.mark.parametrize(("name", "method"), OF_THE_SWEEP)
def test_a_sweep_that_lost_a_reply_is_made_good_by_the_next(
    world: Any, name: str, method: str, overlap: OverlapPolicy
) -> None:
    job = world.new_job(world.every(100), overlap_policy=overlap)
    world.jobs.create(job)
    store = losing(world, name, method)
    for second in (1, 2):
        try:
            world.sweep(world.at(second), **{name: store})
        except (StoreUnavailable, TickSourceUnavailable):
            continue
    world.tick(world.at(100))
    world.claim(world.at(100))
    # Its worker is gone: the lease runs out.
    for second in range(101, 250, 8):
        try:
            world.sweep(world.at(second), **{name: store})
        except (StoreUnavailable, TickSourceUnavailable):
            continue
    assert store.lost
    world.recover(range(250, 900, 10))
    assert world.found(job) == dict.fromkeys(range(100, 900, 100), "success")
    assert world.log(job)[0].lost_count == 1
    assert_all_is_well(world, job)
