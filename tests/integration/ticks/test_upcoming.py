"""What workers read ahead: what acts soon, shared among them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.instances import Instances
from webhookcron.ticks.source import MirrorEntry, TickSource
from webhookcron.ticks.upcoming import COUNT_EVERY, READ_AHEAD, UpcomingJobs


@pytest.fixture
def upcoming(connection: Any, clock: Any) -> UpcomingJobs:
    platform_clock = cast(PlatformClock, clock)
    source = TickSource(connection)
    source.put(
        [
            MirrorEntry(
                f"job{n}", version=n + 1, fire_time=clock.start, act_at=clock.start + timedelta(seconds=n)
            )
            for n in range(6)
        ]
    )
    return UpcomingJobs(source, Instances(connection, platform_clock), platform_clock, most=4)


def test_what_acts_soon_is_read_ahead_in_its_version(upcoming: UpcomingJobs, clock: Any) -> None:
    assert timedelta(seconds=2) == READ_AHEAD
    assert upcoming() == {"job0": 1, "job1": 2, "job2": 3}
    clock.moment += timedelta(seconds=3)
    assert list(upcoming()) == ["job0", "job1", "job2", "job3"], "no more than `most`"


def test_workers_share_what_they_read(upcoming: UpcomingJobs, connection: Any, clock: Any) -> None:
    instances = Instances(connection, cast(PlatformClock, clock))
    for pid in (1, 2):
        instances.beat("worker", host="a", pid=pid)
    instances.beat("ticker", host="a", pid=3)
    assert list(upcoming()) == ["job0", "job1"]
    instances.leave("worker", host="a", pid=2)
    assert list(upcoming()) == ["job0", "job1"], "they are counted now and then only"
    clock.moment += COUNT_EVERY
    instances.beat("worker", host="a", pid=1)
    assert list(upcoming()) == ["job0", "job1", "job2", "job3"]


def test_an_entry_that_cannot_be_read_is_left_out(upcoming: UpcomingJobs, redis_client: Any) -> None:
    redis_client.hset("wc:{0}:jobs", "job1", "nonsense")
    assert list(upcoming()) == ["job0", "job2"]
