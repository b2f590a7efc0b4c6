"""What the sweep finds by index and moves on: each state, guarded, and never twice."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import BrokerUnavailable
from webhookcron.core.executions import Execution, ExecutionStatus
from webhookcron.core.fires import first_pending
from webhookcron.core.jobs import JobStatus, OverlapPolicy
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.ticks.comparison import FullComparison
from webhookcron.ticks.source import MirrorEntry

UNAVAILABLE = HttpResult(status=503)
LEASE = 45
"""The deadline of a call and the margin, in seconds."""


@pytest.fixture
def fired(world: Any) -> Any:
    """A job, and the id of the execution that its first fire time was given and that was pushed."""
    job = world.job(retry=RetryPolicy(max_retries=1, retry_delays_ms=(60_000,)))
    world.tick(world.at(60))
    [execution_id] = world.take_pushed()
    return job, execution_id


def execution(world: Any, execution_id: str) -> Execution:
    return world.executions.get(execution_id, owner_id=None)


def test_what_nobody_claimed_is_pushed_again_ever_more_rarely(world: Any, fired: Any) -> None:
    _, execution_id = fired
    pushed_at = [
        seconds
        for seconds in range(60, 2_000)
        if world.sweep(world.at(seconds)).pushed and world.take_pushed()
    ]
    assert pushed_at[:5] == [90, 150, 270, 510, 990]
    assert execution(world, execution_id).status is ExecutionStatus.QUEUED


def test_a_lease_that_ran_out_is_a_lost_attempt_and_it_is_tried_again(world: Any, fired: Any) -> None:
    _, execution_id = fired
    world.claim(world.at(61), [execution_id])
    assert world.sweep(world.at(61 + LEASE - 1)).lost == 0
    assert world.sweep(world.at(61 + LEASE)).lost == 1
    lost = execution(world, execution_id)
    assert (lost.status, lost.attempt_count, lost.lost_count) == (ExecutionStatus.QUEUED, 1, 1)
    assert lost.attempts[0].error is not None
    assert lost.attempts[0].error.kind == "lost"
    assert world.pushed == [execution_id]


def test_after_three_lost_attempts_it_is_failed_and_counted(world: Any, fired: Any) -> None:
    job, execution_id = fired
    now = 61
    for _ in range(3):
        world.claim(world.at(now), [execution_id])
        now += LEASE
        world.sweep(world.at(now))
    lost = execution(world, execution_id)
    assert (lost.status, lost.reason, lost.attempt_count) == (ExecutionStatus.FAILED, "lost", 3)
    assert [attempt.number for attempt in lost.attempts] == [1, 2, 3]
    assert world.sweep(world.at(now)).counted == 1
    assert world.counters(job) == (1, 0, 1, 1)
    assert world.sweep(world.at(now + 3_600)) == type(world.sweep(world.at(now + 3_600)))()
    assert execution(world, execution_id).expire_at is not None


def test_a_lost_attempt_costs_no_retry(world: Any, fired: Any) -> None:
    job, execution_id = fired
    world.claim(world.at(61), [execution_id])
    world.sweep(world.at(61 + LEASE))
    world.deliver(world.at(120), result=UNAVAILABLE)
    assert world.found(job) == {60: "retrying"}
    world.sweep(world.at(200))
    world.deliver(world.at(200), result=UNAVAILABLE)
    assert world.found(job) == {60: "failed"}
    assert execution(world, execution_id).attempt_count == 3


def test_a_retry_is_pushed_when_its_time_has_come(world: Any, fired: Any) -> None:
    job, execution_id = fired
    world.finish(world.claim(world.at(61), [execution_id]), world.at(62), result=UNAVAILABLE)
    due = execution(world, execution_id).next_attempt_at
    assert world.at(122) <= due <= world.at(134), "60 s and up to a fifth more"
    assert world.sweep(due - timedelta(milliseconds=1)).pushed == 0
    assert world.sweep(due).pushed == 1
    assert execution(world, execution_id).next_attempt_at is None
    world.deliver(due)
    assert world.found(job) == {60: "success"}
    assert world.counters(job) == (1, 1, 0, 0)


def test_one_that_waits_for_another_is_looked_at_each_minute(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.QUEUE)
    for seconds in (60, 120):
        world.tick(world.at(seconds))
        world.claim(world.at(seconds))
    assert world.found(job) == {60: "running", 120: "queued:waiting"}
    assert world.sweep(world.at(104)).pushed == 0
    swept = world.sweep(world.at(180))
    assert swept.pushed == 2, "the lease of the first ran out as well"


def test_final_executions_that_nobody_counted_are_counted_once(world: Any, fired: Any) -> None:
    job, execution_id = fired
    claimed = world.claim(world.at(61), [execution_id])
    records = world.records(claimed, world.at(62), "group")
    world.executions.apply([record.update for record in records])
    assert world.counters(job) == (0, 0, 0, 0)
    assert world.sweep(world.at(76)).counted == 0, "its worker has a moment to do it"
    assert world.sweep(world.at(78)).counted == 1
    assert world.counters(job) == (1, 1, 0, 0)
    assert world.sweep(world.at(500)).counted == 0


def test_what_was_counted_and_not_marked_is_not_counted_again(world: Any, mortal: Any, killed: Any) -> None:
    jobs = [world.job() for _ in range(3)]
    world.tick(world.at(60))
    claimed = world.claim(world.at(61))
    records = world.records(claimed, world.at(62), "group")
    dying = world.recorder(world.at(62), executions=mortal(world.executions, "mark_counted", after=False))
    with pytest.raises(killed):
        dying.record(records, "group")
    assert [world.counters(job) for job in jobs] == [(1, 1, 0, 0)] * 3
    assert world.sweep(world.at(100)).counted == 3
    assert [world.counters(job) for job in jobs] == [(1, 1, 0, 0)] * 3
    assert world.sweep(world.at(200)).counted == 0


def test_a_broker_that_is_away_is_tried_again_later(world: Any, fired: Any) -> None:
    def away(_ids: Any) -> None:
        raise BrokerUnavailable

    world.sweep(world.at(90), enqueue=away)
    assert world.sweep(world.at(120)).pushed == 0
    assert world.sweep(world.at(150)).pushed == 1


def test_two_sweeps_at_once_change_nothing_twice(world: Any, fired: Any, in_threads: Any) -> None:
    _, execution_id = fired
    for number in range(2):
        now = world.at(100 + 200 * number)
        world.claim(now, [execution_id])
        later = now + timedelta(seconds=LEASE)
        in_threads(lambda _n, later=later: world.sweep(later), range(4))
        lost = execution(world, execution_id)
        assert (lost.lost_count, lost.attempt_count, len(lost.attempts)) == (number + 1,) * 3


# --- jobs


def test_a_job_whose_writer_died_before_mirroring_is_mirrored(world: Any) -> None:
    job = world.new_job()
    world.jobs.create(job)
    assert world.sweep(world.at(0.5)).mirrored == 0
    assert world.sweep(world.at(1)).mirrored == 1
    assert world.mirrored(job) == (1, 60, 60)
    assert world.sweep(world.at(5)).mirrored == 0


def test_a_pause_whose_writer_died_before_mirroring_is_mirrored(world: Any) -> None:
    job = world.job()
    world.jobs.update(
        replace(job, status=JobStatus.PAUSED, paused_from=world.at(5), updated_at=world.at(5)),
        expected_version=1,
    )
    world.sweep(world.at(6))
    assert world.mirrored(job) == (None, None, None)


def test_a_job_that_cannot_be_read_holds_up_no_other(world: Any) -> None:
    broken, whole = world.new_job(), world.new_job()
    for job in (broken, whole):
        world.jobs.create(job)
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {"scheduleType": "odd"}})
    world.sweep(world.at(2))
    assert world.mirrored(whole) == (1, 60, 60)
    assert world.jobs.mirror_due(world.at(3), 10) == []


BEYOND_READING: list[dict[str, Any]] = [
    {"intervalValue": 0},
    {"intervalValue": "ten"},
    {"maxRuns": "three"},
    {"jitterMs": "some"},
    {"timezone": "Atlantis/Poseidonis"},
    {"anchorAt": "at the beginning"},
]


@pytest.mark.parametrize("damage", [*BEYOND_READING, {}], ids=lambda damage: next(iter(damage), "unforeseen"))
def test_a_job_whose_next_fire_time_cannot_be_said_holds_up_no_other(
    world: Any, damage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = world.new_job(world.every(61)), world.new_job(world.every(60))
    for job in (broken, whole):
        world.jobs.create(job)
    if damage:
        world.database["jobs"].update_one({"_id": broken.id}, {"$set": damage})
    else:
        monkeypatch.setattr("webhookcron.ticks.mirroring.first_pending", unforeseen_for(broken))
    FullComparison(jobs=world.jobs, source=world.source).run(threading.Event())
    assert world.mirrored(whole) == (1, 60, 60)
    world.redis.flushall()
    world.sweep(world.at(2))
    assert world.mirrored(whole) == (1, 60, 60)
    assert world.jobs.mirror_due(world.at(3), 10) == []
    world.source.put([MirrorEntry(broken.id, 7, world.at(60), world.at(60))])
    world.tick(world.at(60))
    assert list(world.found(whole)) == [60]


def unforeseen_for(job: Any) -> Any:
    def pending(schedule: Any, *others: Any) -> Any:
        if schedule == job.schedule:
            raise ArithmeticError("nobody thought of this")
        return first_pending(schedule, *others)

    return pending


def test_an_active_job_without_a_further_fire_time_is_completed(world: Any) -> None:
    job = replace(world.new_job(world.once(5)), handled_through=world.at(5))
    world.jobs.create(job)
    world.sweep(world.at(2))
    assert world.stored(job).status is JobStatus.COMPLETED
    world.sweep(world.at(4))
    assert world.jobs.mirror_due(world.at(99), 10) == []


def test_a_completed_job_that_asked_for_it_is_removed_after_its_last_execution(world: Any) -> None:
    job = world.job(world.once(5), delete_after_completion=True)
    kept = world.job(world.once(5))
    world.tick(world.at(5))
    world.sweep(world.at(10))
    assert not world.gone(job), "its execution is under way"
    world.deliver(world.at(11))
    world.sweep(world.at(20))
    assert world.gone(job)
    assert not world.gone(kept)
    assert world.found(job) == {5: "success"}, "the log stays"


def test_an_execution_that_cannot_be_read_holds_up_no_other(world: Any) -> None:
    broken, whole = world.job(), world.job()
    world.tick(world.at(60))
    world.take_pushed()
    world.database["executions"].update_one({"jobId": broken.id}, {"$set": {"trigger": "odd"}})
    world.sweep(world.at(90))
    assert world.take_pushed() == [world.log(whole)[0].id]


def test_a_group_with_an_execution_that_cannot_be_read_is_counted_but_for_it(world: Any) -> None:
    job = world.job(world.every(10))
    world.tick(world.at(20))
    claimed = world.claim(world.at(21))
    world.executions.apply([record.update for record in world.records(claimed, world.at(22), "group")])
    broken = claimed.calls[0].execution.id
    world.database["executions"].update_one({"_id": broken}, {"$set": {"jobName": 7}})
    world.sweep(world.at(60))
    assert world.counters(job) == (1, 1, 0, 0)
