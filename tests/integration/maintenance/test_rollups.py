"""Hourly roll-ups: every finished execution is in exactly one hour, whoever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.executions import ExecutionStatus, Reason
from webhookcron.core.jobs import MisfirePolicy
from webhookcron.core.rollups import RollupTotals, Share, hour_of
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.maintenance.rollup_merging import FEW_SHARES, MERGE_AFTER, RollupMerging
from webhookcron.storage.rollups import RollupStore

SUCCESS, FAILED = ExecutionStatus.SUCCESS, ExecutionStatus.FAILED
RETENTION = timedelta(days=30)

# What lapses goes by the real time, and this module is read long before its tests run in a run of all tests: the stubs
# of a merge, kept for five minutes, would be gone while a test still counts on them.
TODAY = datetime.now(UTC) + timedelta(days=1)
THIS_HOUR = hour_of(TODAY)


def today(seconds: float) -> datetime:
    return TODAY + timedelta(seconds=seconds)


def merge(world: Any, now: datetime) -> None:
    while world.rollups.merge(now=now, retention=RETENTION).more:
        pass


def totals(world: Any, job_id: str | None = None) -> RollupTotals:
    return world.rollups.totals(
        owner_id="ann", job_id=job_id, since=world.at(0), until=world.at(2 * 24 * 3600)
    )


def share(job_id: str = "j", hour: int = THIS_HOUR, **counts: int) -> Share:
    return Share("ann", job_id, hour, {ExecutionStatus(name): n for name, n in counts.items()})


@pytest.fixture
def total_of(world: Any) -> Callable[[], dict[str, int]]:
    """The counts of all of ann's hours."""

    def counts() -> dict[str, int]:
        found = world.rollups.hours(owner_id="ann", since=world.at(-(10**9)), until=today(10**7))
        return {status.value: n for status, n in RollupTotals.of(found).counts.items()}

    return counts


def test_what_was_delivered_is_in_the_hour_of_its_job_and_of_its_owner(world: Any) -> None:
    job = world.job()
    world.tick(world.at(120))
    world.deliver(world.at(121))
    world.tick(world.at(180))
    world.deliver(world.at(181), result=HttpResult(status=500))
    merge(world, world.at(200))
    for found in (totals(world), totals(world, job.id)):
        assert found.counts[SUCCESS] + found.counts.get(FAILED, 0) == found.ran
        assert found.counts[FAILED] == 1
        assert sum(found.duration_buckets.values()) == found.ran


def test_a_job_of_another_owner_is_in_none_of_these_hours(world: Any, total_of: Any) -> None:
    world.rollups.add("t", [Share("bob", "j", THIS_HOUR, {SUCCESS: 1})], check_at=None, now=today(0))
    merge(world, today(1))
    assert total_of() == {}


def test_skipped_and_cancelled_executions_are_rolled_up_by_the_sweep(world: Any) -> None:
    job = world.job(misfire_policy=MisfirePolicy.SKIP)
    world.tick(world.at(600))
    world.pushed.clear()
    world.executions.cancel(job.id, Reason.DELETED, now=world.at(601), expire_at=world.at(9000))
    world.sweep(world.at(700))
    merge(world, world.at(701))
    executions = world.log(job)
    expected: dict[ExecutionStatus, int] = {}
    for execution in executions:
        assert execution.status.final
        assert execution.counted
        expected[execution.status] = expected.get(execution.status, 0) + (execution.skipped_count or 1)
    assert totals(world, job.id).counts == expected


def test_adding_a_group_again_changes_nothing_before_and_after_the_merge(world: Any, total_of: Any) -> None:
    for _ in range(2):
        world.rollups.add("t", [share(success=2)], check_at=None, now=today(0))
    merge(world, today(1))
    world.rollups.add("t", [share(success=2)], check_at=None, now=today(0))
    merge(world, today(2))
    assert total_of() == {"success": 2}


class Cut(Exception):
    """The process ends here."""


class CutCollection:
    """A collection whose process ends at its call number `at` (from 0), before or after the call."""

    def __init__(self, inner: Any, calls: list[int], at: int, *, after: bool) -> None:
        self._inner, self._calls, self._at, self._after = inner, calls, at, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[0] += 1
            if self._calls[0] - 1 != self._at:
                return method(*args, **kwargs)
            if self._after:
                method(*args, **kwargs)
            raise Cut

        return call


def mortal(world: Any, at: int, *, after: bool) -> RollupStore:
    calls = [0]
    return RollupStore({name: CutCollection(world.database[name], calls, at, after=after)  # type: ignore[arg-type]
                        for name in ("rollupParts", "rollupMerges", "rollups", "executions")})  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
def test_a_merge_that_was_cut_anywhere_is_finished_without_counting_twice(
    world: Any, total_of: Any, after: bool
) -> None:
    expected, cuts = 0, 0
    for at in range(20):
        for number in range(3):
            shares = [share("j", success=1), share(f"k{number}", success=1)]
            world.rollups.add(f"{at}-{number}", shares, check_at=None, now=today(at))
        expected += 6
        try:
            mortal(world, at, after=after).merge(now=today(at), retention=RETENTION)
        except Cut:
            cuts += 1
        world.rollups.add(f"{at}-0", [share("j", success=1)], check_at=None, now=today(at))
        merge(world, today(at))
        merge(world, today(at))
        assert total_of() == {"success": expected}, f"cut at call {at}"
    assert cuts >= 6


def test_a_part_waits_while_the_sweep_may_still_count_its_group(world: Any, total_of: Any) -> None:
    world.job()
    world.tick(world.at(60))
    claimed = world.claim(world.at(61))
    records = world.records(claimed, world.at(62), "token")
    world.executions.apply([record.update for record in records])
    finals = [record.final for record in records]
    # The worker dies after it added the part, before it marked its executions.
    OutcomeCounter(world.jobs, Unmarked(world.executions), world.rollups).count_group(finals, "token")
    merge(world, world.at(63))
    assert total_of() == {}
    world.sweep(world.at(100))
    merge(world, world.at(101))
    assert total_of() == {"success": len(finals)}


class Unmarked:
    """Executions of a process that dies before it marks them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def mark_counted(self, ids: Any) -> None:
        """Nothing any more."""


def test_a_lost_execution_is_rolled_up_once(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))
    at = 61.0
    for _ in range(3):
        world.claim(world.at(at))
        at += 120
        world.sweep(world.at(at))
    world.sweep(world.at(at + 1))
    merge(world, world.at(at + 2))
    assert totals(world, job.id).counts.get(FAILED) == 1


def test_a_few_shares_are_merged_at_once_and_many_when_it_pays(world: Any, total_of: Any) -> None:
    chore = RollupMerging(world.rollups, retention=RETENTION)
    world.rollups.add("first", [share(success=1)], check_at=None, now=today(0))
    chore(today(1))
    assert total_of() == {"success": 1}
    for number in range(FEW_SHARES + 1):
        world.rollups.add(f"part {number}", [share(success=1)], check_at=None, now=today(10))
    chore(today(11))
    assert total_of() == {"success": 1}
    chore(today(10) + MERGE_AFTER)
    assert total_of() == {"success": FEW_SHARES + 2}


def test_one_part_of_many_jobs_waits_for_more(world: Any, total_of: Any) -> None:
    chore = RollupMerging(world.rollups, retention=RETENTION)
    many = [share(f"job {number}", success=1) for number in range(FEW_SHARES + 1)]
    world.rollups.add("herd", many, check_at=None, now=today(0))
    chore(today(1))
    assert total_of() == {}
    chore(today(0) + MERGE_AFTER)
    assert total_of() == {"success": FEW_SHARES + 1}


def test_hours_lapse_with_retention_and_stubs_after_their_time(world: Any) -> None:
    hour = hour_of(today(0))
    world.rollups.add("t", [share(hour=hour, success=1)], check_at=None, now=today(0))
    merge(world, today(1))
    stored = world.database["rollups"].find_one({"jobId": "j"})
    assert stored["expireAt"] - stored["hourAt"] == RETENTION
    assert set(world.database["rollupParts"].find_one()) == {"_id", "expireAt", "sharesJson", "unseenAt"}
    world.rollups.add("seen", [share(hour=hour, success=1)], check_at=None, now=today(2))
    world.rollups.mark_seen(["seen"])
    merge(world, today(3))
    assert set(world.database["rollupParts"].find_one({"_id": "seen"})) == {"_id", "expireAt"}
