"""A process that was stopped while it read platform time must not take the answer for the present."""

from datetime import UTC, datetime, timedelta
from typing import Any

from webhookcron.ticks.clock import PlatformClock

START = datetime(2030, 1, 1, tzinfo=UTC)


class StoppingRedis:
    """A Redis whose first answers arrive late by `stops` seconds each, counted on a clock that the test moves."""

    def __init__(self, stops: list[float]) -> None:
        self._stops = stops
        self.elapsed = 0.0
        self.asked = 0

    def time(self) -> tuple[int, int]:
        now = START + timedelta(seconds=self.elapsed)
        self.asked += 1
        # The server answers at once; this process is stopped before it reads the answer.
        self.elapsed += self._stops.pop(0) if self._stops else 0.0
        return int(now.timestamp()), now.microsecond


def clock_of(redis: Any) -> PlatformClock:
    return PlatformClock(redis, monotonic=lambda: redis.elapsed)


def test_a_reading_that_waited_for_a_stopped_process_is_made_again() -> None:
    redis = StoppingRedis([20.0])

    assert clock_of(redis).read() == START + timedelta(seconds=20)
    assert redis.asked == 2


def test_a_quick_reading_is_made_once_and_is_half_its_round_trip_old() -> None:
    redis = StoppingRedis([0.2])

    assert clock_of(redis).read() == START + timedelta(seconds=0.1)
    assert redis.asked == 1


def test_a_server_that_is_always_slow_is_believed_in_the_end() -> None:
    redis = StoppingRedis([0.8, 0.8])

    assert clock_of(redis).read() == START + timedelta(seconds=0.8 + 0.4)
    assert redis.asked == 2
