"""Signs of life of the platform's processes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.instances import SEEN_FOR, Instances


@pytest.fixture
def instances(connection: Any, clock: Any) -> Instances:
    return Instances(connection, cast(PlatformClock, clock))


def test_who_gave_a_sign_of_life_lately_is_seen(instances: Instances, clock: Any) -> None:
    instances.beat("worker", host="a", pid=7)
    clock.moment += timedelta(seconds=10)
    instances.beat("ticker", host="a", pid=3)

    seen = [(instance.role, instance.host, instance.pid) for instance in instances.seen()]
    assert seen == [("ticker", "a", 3), ("worker", "a", 7)]

    clock.moment = clock.start + SEEN_FOR + timedelta(milliseconds=1)
    assert [instance.role for instance in instances.seen()] == ["ticker"]


@pytest.mark.parametrize("member", ["", "api", "api a", "api a x", "api a 7 new"])
def test_a_sign_that_cannot_be_read_hides_no_other(
    instances: Instances, redis_client: Any, clock: Any, member: str
) -> None:
    instances.beat("api", host="a", pid=1)
    redis_client.zadd("wc:{0}:instances", {member: clock.moment.timestamp() * 1000})

    assert [instance.pid for instance in instances.seen()] == [1]


def test_who_leaves_is_not_seen(instances: Instances) -> None:
    instances.beat("api", host="a", pid=1)
    instances.leave("api", host="a", pid=1)
    assert instances.seen() == []


def test_the_silent_are_forgotten(instances: Instances, clock: Any, redis_client: Any) -> None:
    instances.beat("api", host="a", pid=1)
    clock.moment += timedelta(minutes=1)
    instances.beat("api", host="a", pid=2)
    assert redis_client.zcard("wc:{0}:instances") == 1


def test_a_process_is_present_until_it_ends(instances: Instances, eventually: Any) -> None:
    with instances.present("ticker"):
        eventually(lambda: [instance.role for instance in instances.seen()] == ["ticker"])
    assert instances.seen() == []
