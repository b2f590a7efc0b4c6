"""The loop of a ticker: how it meets jumps of the clock, outages and what nobody foresaw, and when it looks again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.source import Tick
from webhookcron.ticks.ticker import Ticker


def ticker_of(world: Any, **parts: Any) -> Ticker:
    values = {
        "source": world.source,
        "scheduler": world.scheduler(),
        "clock": PlatformClock(world.redis),
        "longest_sleep": timedelta(seconds=5),
        "rebuild_wanted": lambda: None,
    }
    return Ticker(**(values | parts))


class Wrapped:
    """A part of the platform of which some attributes are replaced."""

    def __init__(self, inner: Any, **replaced: Any) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_it_fires_what_is_due_and_sleeps_until_the_next_is(world: Any) -> None:
    now = world.source.tick("t", limit=0).now
    world.t0 = now - timedelta(seconds=1.5)
    job = world.job(world.every(1), misfire_grace_ms=60_000)
    ticker = ticker_of(world)
    assert ticker.step() < 1.0
    assert list(world.found(job)) == [1.0]
    assert 0.0 < ticker.step() <= 0.6, "half a second later"


def test_it_reads_ahead_what_is_due_next_but_not_what_is_far(world: Any) -> None:
    now = world.source.tick("t", limit=0).now
    world.t0 = now
    soon, following, far = (world.job(world.once(after)) for after in (1.5, 2.4, 60))
    asked: list[str] = []

    def tick_jobs(ids: Any) -> Any:
        asked.extend(ids)
        return world.jobs.tick_jobs(ids)

    ticker = ticker_of(world, scheduler=world.scheduler(jobs=Wrapped(world.jobs, tick_jobs=tick_jobs)))
    assert 0.0 < ticker.step() <= 1.5
    assert asked == [soon.id, following.id]
    ticker.step()
    assert asked == [soon.id, following.id], "once is enough"
    world.source.remove([(soon.id, 2), (following.id, 2)])
    assert ticker.step() == 5.0
    assert far.id not in asked


def test_without_jobs_it_sleeps_as_long_as_it_may(world: Any) -> None:
    assert ticker_of(world).step() == 5.0


def test_what_others_hold_is_looked_at_again_soon(world: Any) -> None:
    world.job()
    world.source.tick("another", limit=10)
    assert 0.0 < ticker_of(world).step() <= 0.2


def test_nothing_fires_on_a_jump_of_the_clock_until_it_was_read_again(world: Any) -> None:
    job = world.job()
    jumps: list[timedelta] = []
    clock = PlatformClock(world.redis, on_jump=jumps.append)
    clock.observe(clock.read() - timedelta(minutes=10))
    jumps.clear()
    ticker = ticker_of(world, clock=clock)
    assert ticker.step() == 0.0
    assert world.found(job) == {}
    assert len(jumps) == 1
    ticker.step()
    assert world.found(job) != {}
    assert len(jumps) == 1


def test_a_clock_that_goes_back_fires_nothing_twice(world: Any) -> None:
    job = world.job(world.every(10), misfire_grace_ms=600_000)
    world.tick(world.at(100))
    world.deliver(world.at(100))
    for second in (40, 100, 70, 110):
        world.tick(world.at(second))
    world.deliver(world.at(111))
    assert list(world.found(job)) == [float(n) for n in range(10, 120, 10)]
    assert world.counters(job) == (11, 11, 0, 0)


def test_a_mirror_without_generation_is_asked_to_be_rebuilt(world: Any) -> None:
    wanted: list[bool] = []
    ticker = ticker_of(world, rebuild_wanted=lambda: wanted.append(True))
    ticker.step()
    assert wanted
    wanted.clear()
    world.source.complete_rebuild(world.source.begin_rebuild())
    ticker.step()
    assert not wanted


def test_a_fire_that_could_not_be_stored_is_tried_again_soon(world: Any) -> None:
    world.job()

    def refuse(due: Any, now: datetime) -> Any:
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        ticker_of(world, scheduler=Wrapped(world.scheduler(), fire=refuse)).step()


@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), TickSourceUnavailable("away"), ZeroDivisionError("poison")]
)
def test_it_outlives_errors_and_writes_its_cursors_when_it_ends(
    world: Any, eventually: Callable[..., None], error: Exception
) -> None:
    job = world.job(world.every(60))
    failures = [error, error]

    def tick(*args: Any, **options: Any) -> Tick:
        if failures:
            raise failures.pop()
        return world.source.tick(*args, **options)

    stop = threading.Event()
    ticker = ticker_of(world, source=Wrapped(world.source, tick=tick))
    thread = threading.Thread(target=ticker.run, args=(stop,))
    with capture_logs() as logged:
        thread.start()
        try:
            eventually(lambda: world.mirrored(job)[1] > 86_000)
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()
    assert world.stored(job).handled_through > world.at(86_000)
    unforeseen = isinstance(error, ZeroDivisionError)
    assert any(entry["event"] == ("tick.failed" if unforeseen else "tick.unavailable") for entry in logged)
