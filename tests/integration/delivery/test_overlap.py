"""Overlap: one execution of a job at a time, at most one that waits, and no slot held by the dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable
from webhookcron.core.executions import Reason
from webhookcron.core.jobs import OverlapPolicy
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.transport_types import HttpResult

WAITING, SKIPPED = "queued:waiting", "skipped:overlap"


def fired(world: Any, *seconds: float) -> None:
    """Tick and claim at each of these moments; what is called stays under way."""
    for second in seconds:
        world.tick(world.at(second))
        claimed = world.claim(world.at(second))
        claimed.calls = []
        world.finish(claimed, world.at(second))


def test_allow_runs_them_side_by_side(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.ALLOW)
    fired(world, 60, 120)
    assert world.found(job) == {60: "running", 120: "running"}
    assert world.stored(job).active is None


def test_skip_records_what_comes_while_one_is_under_way(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.SKIP)
    world.tick(world.at(60))
    first = world.claim(world.at(60))
    fired(world, 120, 180)
    assert world.found(job) == {60: "running", 120: SKIPPED, 180: SKIPPED}
    world.finish(first, world.at(200))
    fired(world, 240)
    assert world.found(job)[240] == "running"
    assert world.counters(job) == (1, 1, 0, 0)


def test_queue_lets_one_wait_and_runs_it_when_the_first_has_ended(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(60))
    first = world.claim(world.at(60))
    fired(world, 120, 180)
    assert world.found(job) == {60: "running", 120: WAITING, 180: SKIPPED}
    assert world.pushed == []
    world.finish(first, world.at(200))
    assert len(world.pushed) == 1, "the one that waited goes at once"
    world.deliver(world.at(201))
    assert world.found(job) == {60: "success", 120: "success", 180: SKIPPED}
    assert (world.stored(job).active, world.stored(job).waiting) == (None, None)


def test_retrying_counts_as_under_way(world: Any) -> None:
    job = world.job(
        overlap_policy=OverlapPolicy.SKIP, retry=RetryPolicy(max_retries=1, retry_delays_ms=(600_000,))
    )
    world.tick(world.at(60))
    world.deliver(world.at(61), result=HttpResult(status=500))
    fired(world, 120)
    assert world.found(job) == {60: "retrying", 120: SKIPPED}
    world.sweep(world.at(800))
    world.deliver(world.at(800))
    assert world.found(job)[60] == "success"
    assert world.stored(job).active is None


def test_several_that_are_claimed_together_keep_their_order(world: Any) -> None:
    skip = world.job(world.every(10), overlap_policy=OverlapPolicy.SKIP)
    queue = world.job(world.every(10), overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(40))
    claimed = world.claim(world.at(40))
    assert sorted(call.execution.scheduled_at for call in claimed.calls) == [world.at(10)] * 2
    world.finish(claimed, world.at(41))
    assert world.found(skip) == {10: "success", 20: SKIPPED, 30: SKIPPED, 40: SKIPPED}
    assert world.found(queue) == {10: "success", 20: WAITING, 30: SKIPPED, 40: SKIPPED}
    world.deliver(world.at(42))
    assert world.found(queue)[20] == "success"


@pytest.mark.parametrize("policy", [OverlapPolicy.SKIP, OverlapPolicy.QUEUE])
def test_many_workers_run_one_at_a_time_and_lose_none(
    world: Any, in_threads: Callable[..., list[Any]], policy: OverlapPolicy
) -> None:
    job = world.job(world.every(1), overlap_policy=policy, misfire_grace_ms=600_000)
    world.tick(world.at(40))
    ids = world.take_pushed()
    under_way: list[str] = []
    most: list[int] = []
    holders: list[bool] = []

    def work(part: list[str]) -> None:
        for execution_id in part:
            claimed = world.claim(world.at(41), [execution_id])
            for call in claimed.calls:
                under_way.append(call.execution.id)
                holders.append(world.stored(job).active == call.execution.id)
                most.append(len(under_way))
                under_way.remove(call.execution.id)
            world.finish(claimed, world.at(41))

    in_threads(work, [ids[n::4] for n in range(4)])
    world.deliver(world.at(42))
    assert max(most) == 1
    assert all(holders)
    found = world.found(job)
    assert len(found) == 40
    assert set(found.values()) <= {"success", SKIPPED}
    assert (world.stored(job).active, world.stored(job).waiting) == (None, None)


# --- holders that died


def test_a_slot_whose_holder_ended_without_a_word_is_taken_over(world: Any) -> None:
    for policy in (OverlapPolicy.SKIP, OverlapPolicy.QUEUE):
        job = world.job(overlap_policy=policy)
        world.jobs.take_slot(job.id, f"{job.id}:1")
        world.tick(world.at(60))
        world.deliver(world.at(60))
        assert world.found(job) == {60: "success"}
        assert world.stored(job).active is None


def test_a_waiting_place_whose_holder_was_cancelled_is_taken_over(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(60))
    first = world.claim(world.at(60))
    fired(world, 120)
    waiting = world.stored(job).waiting
    assert world.executions.cancel_one(
        waiting, Reason.CANCELLED, now=world.at(130), expire_at=world.at(9_999)
    )
    fired(world, 180)
    assert world.found(job) == {60: "running", 120: "cancelled:cancelled", 180: WAITING}
    world.finish(first, world.at(181))
    world.deliver(world.at(182))
    assert world.found(job)[180] == "success"


def test_one_that_waits_goes_on_when_the_worker_of_the_first_died_for_good(world: Any) -> None:
    job = world.job(world.every(1_000), overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(1_000))
    world.claim(world.at(1_000))
    fired(world, 2_000)
    for second in range(2_000, 2_400, 20):
        world.sweep(world.at(second))
        # The first is claimed again and again by workers that die.
        world.claim(world.at(second))
        first = world.log(job)[0]
        if first.status.final:
            break
    assert world.found(job)[1_000] == "failed:lost"
    world.sweep(world.at(2_600))
    world.deliver(world.at(2_600))
    assert world.found(job)[2_000] == "success"


def test_a_late_worker_does_not_free_the_slot_of_an_execution_taken_over(world: Any) -> None:
    job = world.job(overlap_policy=OverlapPolicy.SKIP)
    world.tick(world.at(60))
    late = world.claim(world.at(60))
    world.sweep(world.at(105))
    again = world.claim(world.at(106))
    assert len(again.calls) == 1
    world.finish(late, world.at(107))
    assert world.stored(job).active == again.calls[0].execution.id
    fired(world, 120)
    assert world.found(job) == {60: "running", 120: SKIPPED}
    world.finish(again, world.at(121))
    assert world.stored(job).active is None
    assert world.counters(job) == (1, 1, 0, 0)


def test_a_slot_is_freed_when_its_retry_ends_with_the_job_disabled(world: Any) -> None:
    job = world.job(
        overlap_policy=OverlapPolicy.QUEUE, retry=RetryPolicy(max_retries=1, retry_delays_ms=(1_000,))
    )
    world.tick(world.at(60))
    world.deliver(world.at(60), result=HttpResult(status=500))
    world.jobs.disable(job.id, 1, "why", now=world.at(61))
    world.sweep(world.at(70))
    world.deliver(world.at(70))
    assert world.found(job) == {60: "skipped:disabled"}
    assert world.stored(job).active is None


def test_a_broker_that_is_away_does_not_take_the_rest_of_the_batch_along(world: Any) -> None:
    def away(_ids: Any) -> None:
        raise BrokerUnavailable

    class FreedMeanwhile:
        """The one under way ends while the next is put to wait."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.jobs, name)

        def take_waiting_slot(self, job_id: str, execution_id: str, **options: Any) -> bool:
            taken = world.jobs.take_waiting_slot(job_id, execution_id, **options)
            world.jobs.release_slot(job_id, first.calls[0].execution.id)
            return taken

    queue = world.job(overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(60))
    first = world.claim(world.at(60))
    world.job()
    world.tick(world.at(120))
    slots = world.slots(world.at(120), jobs=FreedMeanwhile(), enqueue=away)
    claimed = world.claimer(world.at(120), slots=slots).claim(world.take_pushed())
    assert len(claimed.calls) >= 1
    assert world.found(queue)[120] == WAITING
    world.sweep(world.at(180))
    world.deliver(world.at(180))
    assert world.found(queue)[120] == "success"


def test_an_outage_at_the_slots_is_waited_for(world: Any) -> None:
    class AwayTwice:
        calls = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(world.jobs, name)

        def take_slot(self, *args: Any, **options: Any) -> bool:
            self.calls += 1
            if self.calls <= 2:
                raise StoreUnavailable("away")
            return bool(world.jobs.take_slot(*args, **options))

    world.job(overlap_policy=OverlapPolicy.QUEUE)
    world.tick(world.at(60))
    slots = world.slots(world.at(60), jobs=AwayTwice())
    claimed = world.claimer(world.at(60), slots=slots).claim(world.take_pushed())
    assert [call.holds_slot for call in claimed.calls] == [True]
