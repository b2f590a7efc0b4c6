"""Platform time: read from Redis, carried by a monotonic clock, jumps reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.ticks import client as connections
from webhookcron.ticks.clock import SLOWEST_READING, PlatformClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class FixedRedis:
    """Answers TIME as told; away while `moment` is None."""

    def __init__(self, moment: datetime | None) -> None:
        self.moment = moment
        self.asked = 0

    def time(self) -> tuple[int, int]:
        self.asked += 1
        if self.moment is None:
            raise connections.ConnectionError("away")
        return int(self.moment.timestamp()), self.moment.microsecond


def clock_on(redis: FixedRedis, jumps: list[timedelta] | None = None) -> tuple[PlatformClock, Monotonic]:
    monotonic = Monotonic()
    report = (lambda by: None) if jumps is None else jumps.append
    return PlatformClock(redis, monotonic=monotonic, on_jump=report), monotonic  # type: ignore[arg-type]


def test_a_reading_is_carried_on_without_asking_again() -> None:
    redis = FixedRedis(NOON)
    clock, monotonic = clock_on(redis)
    assert clock.now() == NOON
    monotonic.seconds += 7.5
    assert clock.now() == NOON + timedelta(seconds=7.5)
    assert redis.asked == 1


def test_it_goes_on_while_redis_is_away_and_takes_over_when_it_is_back(eventually: Any) -> None:
    redis = FixedRedis(NOON)
    clock, monotonic = clock_on(redis)
    clock.now()
    redis.moment = None
    monotonic.seconds += 60
    assert clock.now() == NOON + timedelta(seconds=60)
    eventually(lambda: redis.asked == 2)
    redis.moment = NOON + timedelta(seconds=121)
    monotonic.seconds += 60
    clock.now()
    eventually(lambda: clock.now() == NOON + timedelta(seconds=121))


def test_without_any_reading_there_is_no_time() -> None:
    clock, _ = clock_on(FixedRedis(None))
    with pytest.raises(TickSourceUnavailable):
        clock.now()


@pytest.mark.parametrize(
    ("difference", "reported"), [(-3600, True), (-6, True), (-4, False), (4, False), (6, True)]
)
def test_a_jump_is_reported_once(difference: int, reported: bool) -> None:
    jumps: list[timedelta] = []
    clock, _ = clock_on(FixedRedis(NOON), jumps)
    clock.now()
    moved = NOON + timedelta(seconds=difference)
    clock.observe(moved)
    clock.observe(moved)
    assert jumps == ([timedelta(seconds=difference)] if reported else [])
    assert clock.now() == moved


def test_the_time_of_a_real_redis_is_read(world: Any) -> None:
    clock = PlatformClock(world.redis)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    # Half of each round trip is added, and either may have been a slow one.
    assert clock.read() - clock.read() < SLOWEST_READING
