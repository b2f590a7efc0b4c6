"""Looking at the stores."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.service.health import KEPT_FOR_SECONDS, HealthService
from webhookcron.service.platform import Platform
from webhookcron.ticks.instances import Instance

NOW = datetime(2030, 1, 15, tzinfo=UTC)


class Stores:
    """All parts of a platform that health looks at, in one."""

    def __init__(self) -> None:
        self.jobs = self.source = self.clock = self.executions = self.instances = self
        self.mongodb_away = self.redis_away = False
        self.oldest: datetime | None = None
        self.looks = 0
        self.info: dict[str, Any] = {"version": "7.0.0"}

    def server_info(self) -> dict[str, Any]:
        self.looks += 1
        if self.mongodb_away:
            raise StoreUnavailable("MongoDB did not answer in time")
        return self.info

    def count(self, filter_: Any) -> int:
        return 7

    def read(self) -> datetime:
        if self.redis_away:
            raise TickSourceUnavailable("Redis did not answer")
        return NOW

    def unfinished_by_status(self, *, limit: int) -> dict[str, int]:
        return {"queued": 3, "retrying": 1}

    def seen(self) -> list[Any]:
        return [Instance("ticker", "a", 1, NOW)]

    def size(self) -> int:
        return 6

    def oldest_act_at(self) -> datetime | None:
        return self.oldest


@pytest.fixture
def stores() -> Stores:
    return Stores()


def check(stores: Stores) -> Any:
    return HealthService(cast(Platform, stores)).check()


def test_both_stores_make_it_fit(stores: Stores) -> None:
    health = check(stores)
    assert (health.fit, health.active_jobs, health.mirrored_jobs, health.now) == (True, 7, 6, NOW)
    assert (health.oldest_due_at, health.finished_executions_kept) == (None, None)
    assert (health.queued_executions, health.running_executions) == (3, 0)
    assert [instance.role for instance in health.instances] == ["ticker"]
    assert health.memory_bytes is None or health.memory_bytes > 1_000_000


def test_without_mongodb_the_rest_is_still_told(stores: Stores) -> None:
    stores.mongodb_away = True
    health = check(stores)
    assert (health.fit, health.mongodb.up, health.redis.up) == (False, False, True)
    assert (health.mongodb.error, health.active_jobs, health.mirrored_jobs) == (
        "MongoDB did not answer in time",
        None,
        6,
    )


def test_without_redis_the_rest_is_still_told(stores: Stores) -> None:
    stores.redis_away = True
    health = check(stores)
    assert (health.fit, health.active_jobs, health.mirrored_jobs, health.now) == (False, 7, None, None)


def test_only_what_is_due_is_due(stores: Stores) -> None:
    stores.oldest = NOW + timedelta(seconds=1)
    assert check(stores).oldest_due_at is None
    stores.oldest = NOW - timedelta(seconds=1)
    assert check(stores).oldest_due_at == stores.oldest


def test_the_embedded_store_is_known_by_its_word(stores: Stores) -> None:
    stores.info = {"version": "7.0.0", "webhookcronEmbedded": True, "maxFinishedExecutions": 50_000}
    assert check(stores).finished_executions_kept == 50_000


def test_who_asks_during_a_look_waits_for_that_one(stores: Stores) -> None:
    """Else a store that is away would be waited for by one after the other."""
    looking, go_on = threading.Event(), threading.Event()

    def slow() -> dict[str, Any]:
        stores.looks += 1
        looking.set()
        assert go_on.wait(20)
        raise StoreUnavailable("MongoDB did not answer in time")

    stores.server_info = slow  # type: ignore[method-assign]
    health = HealthService(cast(Platform, stores), monotonic=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(health.check)
        assert looking.wait(20)
        others = [pool.submit(health.check) for _ in range(7)]
        go_on.set()
        answers = {id(asked.result(20)) for asked in (first, *others)}
    assert (stores.looks, len(answers)) == (1, 1)


def test_many_questions_in_a_moment_are_one_look(stores: Stores) -> None:
    seconds = 0.0
    health = HealthService(cast(Platform, stores), monotonic=lambda: seconds)
    health.check()
    health.check()
    assert stores.looks == 1
    seconds = KEPT_FOR_SECONDS
    health.check()
    assert stores.looks == 2
