"""Redis loses its data, or comes back with older data, between any two steps of a tick: nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from webhookcron.core.jobs import JobStatus, MisfirePolicy
from webhookcron.ticks.comparison import FullComparison

STEPS = [
    ("executions", "insert"),
    ("enqueue", "__call__"),
    ("jobs", "move_cursors"),
    ("jobs", "flush_cursors"),
    ("source", "advance"),
]


class Losing:
    """A part of the platform at whose first call of a method Redis loses its data, before or after it did its work."""

    def __init__(self, inner: Any, method: str, lose: Callable[[], None], *, after: bool) -> None:
        self._inner, self._method, self._lose, self._after = inner, method, lose, after
        self._lost = False

    def _with_loss(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        lost, self._lost = self._lost, True
        if not lost and not self._after:
            self._lose()
        result = function(*args, **kwargs)
        if not lost and self._after:
            self._lose()
        return result

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute
        return lambda *args, **kwargs: self._with_loss(attribute, *args, **kwargs)

    def __call__(self, *args: Any) -> Any:
        return self._with_loss(self._inner, *args)


def older_data(world: Any, redis: Any) -> Callable[[], None]:
    """Puts Redis back to what it holds now; the broker's messages are gone."""
    kept = {key: redis.dump(key) for key in redis.scan_iter("*")}

    def put_back() -> None:
        redis.flushall()
        world.pushed.clear()
        for key, value in kept.items():
            redis.restore(key, 0, value)

    return put_back


def nothing_left(world: Any, redis: Any) -> Callable[[], None]:
    def flush() -> None:
        redis.flushall()
        world.pushed.clear()

    return flush


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("loss", [nothing_left, older_data])
@pytest.mark.parametrize(("name", "method"), STEPS)
def test_redis_may_lose_its_data_at_any_step(
    world: Any,
    redis_client: Any,
    name: str,
    method: str,
    loss: Callable[[Any, Any], Callable[[], None]],
    after: bool,
) -> None:
    jobs = {
        "every": world.job(world.every(10)),
        "skip": world.job(world.every(10), misfire_policy=MisfirePolicy.SKIP),
        "runs": world.job(world.every(10), max_runs=3),
        "once": world.job(world.once(20)),
        "all": world.job(world.every(10), misfire_policy=MisfirePolicy.FIRE_ALL),
    }
    lose = loss(world, redis_client)
    for second in (10, 20, 30):
        part = world.pushed.extend if name == "enqueue" else getattr(world, name)
        world.tick(world.at(second), world.scheduler(**{name: Losing(part, method, lose, after=after)}))
    FullComparison(jobs=world.jobs, source=world.source).run(threading.Event())
    for second in range(31, 91, 3):
        world.tick(world.at(second))
        world.sweep(world.at(second))
        world.deliver(world.at(second))
    found = {kind: world.found(job) for kind, job in jobs.items()}
    regular = dict.fromkeys(range(10, 90, 10), "success")
    assert found["every"] == found["skip"] == found["all"] == regular
    assert found["runs"] == dict.fromkeys((10, 20, 30), "success")
    assert found["once"] == {20: "success"}
    for kind, job in jobs.items():
        assert world.counters(job)[:2] == (len(found[kind]), len(found[kind]))
    assert world.stored(jobs["runs"]).status is world.stored(jobs["once"]).status is JobStatus.COMPLETED
