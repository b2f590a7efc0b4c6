"""Recording: in groups, through outages, each outcome counted once, and only by who holds the claim."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from webhookcron.core.errors import StoreUnavailable
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import JobStatus, OverlapPolicy
from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.recorder import LARGEST_GROUP
from webhookcron.delivery.results import CallResult
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.storage.jobs import COUNT_TOKENS

GONE = HttpResult(status=410)
BROKEN = HttpResult(status=500)
TIMED_OUT = HttpResult(failure=Failure(FailureKind.TIMEOUT, "no answer in time"))
STOPPED = HttpResult(failure=Failure(FailureKind.CANCELLED, "the worker stops"))


class AwayAt:
    """A store that answers at some call of a method with an outage, after or before it did its work."""

    def __init__(self, inner: Any, method: str, *, after: bool, times: int = 1) -> None:
        self._inner, self._method, self._after, self.times = inner, method, after, times

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.times <= 0:
                return attribute(*args, **kwargs)
            self.times -= 1
            if self._after:
                attribute(*args, **kwargs)
            raise StoreUnavailable("away")

        return call


def claimed_at(world: Any, seconds: float) -> Any:
    world.tick(world.at(seconds))
    return world.claim(world.at(seconds))


def results(claimed: Any, now: Any) -> list[CallResult]:
    return [CallResult(claim, None, HttpResult(status=200), now, now) for claim in claimed.calls]


def test_a_success_ends_the_execution_and_is_counted(world: Any) -> None:
    job = world.job(retention_days=7)
    world.finish(claimed_at(world, 60), world.at(61))
    [execution] = world.log(job)
    full = world.executions.get(execution.id, owner_id=None)
    assert (full.status, full.attempt_count, full.response_status) == (ExecutionStatus.SUCCESS, 1, 200)
    assert (full.claim, full.check_at, full.counted) == (None, None, True)
    assert full.expire_at == world.at(61) + timedelta(days=7)
    assert full.attempts[0].response_body == "thanks"
    stored = world.stored(job)
    assert (stored.last_status, stored.last_run_at) == ("success", world.at(61))
    assert world.counters(job) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("result", "status"), [(BROKEN, "failed"), (TIMED_OUT, "timeout"), (HttpResult(status=404), "failed")]
)
def test_a_failure_without_retries_ends_the_execution(world: Any, result: HttpResult, status: str) -> None:
    job = world.job()
    world.finish(claimed_at(world, 60), world.at(61), result=result)
    assert world.found(job) == {60: status}
    assert world.counters(job) == (1, 0, 1, 1)
    assert world.stored(job).last_status == status


def test_attempts_add_up_and_the_last_one_shows(world: Any) -> None:
    job = world.job(retry=RetryPolicy(max_retries=2, retry_delays_ms=(1_000,)))
    world.tick(world.at(60))
    for second, result in ((60, BROKEN), (70, TIMED_OUT), (80, None)):
        world.deliver(world.at(second), result=result)
        world.sweep(world.at(second + 5))
        if second == 70:
            assert world.log(job)[0].response_status is None, "the last attempt had none"
    execution = world.executions.get(world.log(job)[0].id, owner_id=None)
    assert [attempt.number for attempt in execution.attempts] == [1, 2, 3]
    assert [attempt.response_status for attempt in execution.attempts] == [500, None, 200]
    assert (execution.status.value, execution.error, execution.started_at) == ("success", None, world.at(60))
    assert world.counters(job) == (1, 1, 0, 0)


def test_a_retry_waits_as_long_as_the_receiver_asks(world: Any) -> None:
    job = world.job(retry=RetryPolicy(max_retries=1, retry_delays_ms=(1_000,)))
    busy = HttpResult(status=503, headers=(("Retry-After", "120"),))
    world.finish(claimed_at(world, 60), world.at(61), result=busy)
    [execution] = world.log(job)
    assert world.at(181) <= execution.next_attempt_at <= world.at(181 + 24)
    assert execution.check_at == execution.next_attempt_at
    assert world.counters(job) == (0, 0, 0, 0), "it is not over yet"


# --- claims first


def yielding_with_a_result(world: Any) -> Any:
    """A recorder at work that claims come before, with the result of what is due at the first minute."""
    recorder = world.recorder(world.at(61))
    recorder.yield_to_claims(True)
    recorder.start()
    recorder.put(results(claimed_at(world, 60), world.at(61)))
    return recorder


def test_results_gather_while_claims_are_under_way(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.delivery.recorder.LONGEST_YIELD_SECONDS", 3600.0)
    groups: list[int] = []
    recorder = world.recorder(world.at(61), on_recorded=groups.append)
    for _ in range(3):
        world.job()
    claimed = results(claimed_at(world, 60), world.at(61))
    recorder.yield_to_claims(True)
    recorder.start()
    for result in claimed:
        recorder.put([result])
    recorder.yield_to_claims(False)
    eventually(lambda: sum(groups) == 3)
    assert groups == [3], "they were written together"
    assert recorder.close(timedelta(seconds=5))


def test_results_do_not_gather_for_longer_than_that(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.delivery.recorder.LONGEST_YIELD_SECONDS", 0.05)
    job = world.job()
    recorder = yielding_with_a_result(world)
    eventually(lambda: world.found(job) == {60: "success"})
    assert recorder.close(timedelta(seconds=5))


def test_what_holds_a_slot_waits_for_no_claims(
    world: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.delivery.recorder.LONGEST_YIELD_SECONDS", 3600.0)
    job = world.job(overlap_policy=OverlapPolicy.QUEUE)
    recorder = yielding_with_a_result(world)
    eventually(lambda: world.found(job) == {60: "success"})
    assert recorder.close(timedelta(seconds=5))


def test_a_worker_that_ends_writes_what_gathered(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhookcron.delivery.recorder.LONGEST_YIELD_SECONDS", 3600.0)
    job = world.job()
    recorder = yielding_with_a_result(world)
    assert recorder.close(timedelta(seconds=5))
    assert world.found(job) == {60: "success"}


# --- what disables a job


def test_410_ends_the_execution_and_disables_the_job(world: Any) -> None:
    job = world.job(retry=RetryPolicy(max_retries=5))
    world.finish(claimed_at(world, 60), world.at(61), result=GONE)
    assert world.found(job) == {60: "failed"}
    stored = world.stored(job)
    assert (stored.status, stored.next_run_at) == (JobStatus.DISABLED, None)
    assert "410" in stored.status_reason
    world.sweep(world.at(65))
    world.tick(world.at(600))
    assert list(world.found(job)) == [60]


def test_too_many_failures_in_a_row_disable_the_job(world: Any) -> None:
    job = world.job(disable_after_failures=2)
    for second, result in ((60, BROKEN), (120, None), (180, BROKEN), (240, BROKEN)):
        assert world.stored(job).status is JobStatus.ACTIVE
        world.finish(claimed_at(world, second), world.at(second), result=result)
    stored = world.stored(job)
    assert (stored.status, stored.status_reason) == (JobStatus.DISABLED, "2 executions in a row failed")


# --- who may record


def test_a_late_worker_cannot_overwrite_what_another_one_recorded(world: Any) -> None:
    job = world.job()
    late = claimed_at(world, 60)
    world.sweep(world.at(105))
    world.deliver(world.at(106))
    world.finish(late, world.at(107), result=BROKEN)
    assert world.found(job) == {60: "success"}
    assert world.counters(job) == (1, 1, 0, 0)
    attempts = world.executions.get(world.log(job)[0].id, owner_id=None).attempts
    assert [attempt.error.kind if attempt.error else None for attempt in attempts] == ["lost", None]


def test_a_late_worker_cannot_record_what_another_one_holds(world: Any) -> None:
    job = world.job()
    late = claimed_at(world, 60)
    world.sweep(world.at(105))
    again = world.claim(world.at(106))
    world.finish(late, world.at(107))
    assert world.found(job) == {60: "running"}
    assert world.counters(job) == (0, 0, 0, 0)
    world.finish(again, world.at(108))
    assert world.counters(job) == (1, 1, 0, 0)


def test_a_group_with_some_taken_over_counts_the_others(world: Any) -> None:
    kept, lost = world.job(timeout_ms=300_000), world.job(timeout_ms=1_000)
    claimed = claimed_at(world, 60)
    world.sweep(world.at(80))
    world.finish(claimed, world.at(81))
    assert (world.found(kept), world.found(lost)) == ({60: "success"}, {60: "queued"})
    assert (world.counters(kept), world.counters(lost)) == ((1, 1, 0, 0), (0, 0, 0, 0))


def test_what_a_stopping_worker_did_not_end_is_queued_and_pushed_again(world: Any) -> None:
    job = world.job()
    world.finish(claimed_at(world, 60), world.at(61), result=STOPPED)
    [execution] = world.log(job)
    assert (execution.status, execution.attempt_count, execution.claim) == (ExecutionStatus.QUEUED, 0, None)
    assert world.pushed == [execution.id]
    assert execution.check_at == world.at(91)


# --- outages


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("executions", "apply"),
        ("executions", "with_outcome"),
        ("jobs", "count_outcomes"),
        ("executions", "mark_counted"),
    ],
)
def test_what_is_repeated_after_an_outage_is_counted_once(
    world: Any, part: str, method: str, after: bool
) -> None:
    jobs = [world.job(disable_after_failures=9) for _ in range(3)]
    claimed = claimed_at(world, 60)
    world.database["executions"].update_one({"jobId": jobs[2].id}, {"$set": {"claim": "taken over"}})
    recorder = world.recorder(world.at(61), **{part: AwayAt(getattr(world, part), method, after=after)})
    records = world.records(claimed, world.at(61), "group", result=BROKEN)
    with pytest.raises(StoreUnavailable):
        recorder.record(records, "group")
    recorder.record(records, "group")
    recorder.record(records, "group")
    assert [world.counters(job) for job in jobs] == [(1, 0, 1, 1), (1, 0, 1, 1), (0, 0, 0, 0)]
    assert world.sweep(world.at(90)).counted == 0
    assert [world.found(job) for job in jobs[:2]] == [{60: "failed"}] * 2


def test_what_the_sweep_counted_meanwhile_is_not_counted_again(world: Any) -> None:
    job = world.job()
    claimed = claimed_at(world, 60)
    recorder = world.recorder(world.at(61), executions=AwayAt(world.executions, "apply", after=True))
    records = world.records(claimed, world.at(61), "group")
    with pytest.raises(StoreUnavailable):
        recorder.record(records, "group")
    world.sweep(world.at(90))
    recorder.record(records, "group")
    assert world.counters(job) == (1, 1, 0, 0)


def test_a_worker_that_was_stopped_before_it_counted_leaves_that_to_the_sweep(world: Any) -> None:
    job = world.job()
    claimed = claimed_at(world, 60)
    records = world.records(claimed, world.at(62), "group")
    now = world.at(62)

    class StoppedAfter:
        """The worker is stopped right after it recorded, for longer than its job remembers groups."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.executions, name)

        def apply(self, updates: Any) -> int:
            nonlocal now
            applied = world.executions.apply(updates)
            world.sweep(world.at(80))
            assert world.counters(job) == (1, 1, 0, 0)
            for number in range(COUNT_TOKENS):
                world.tick(world.at(120 + 60 * number))
                world.deliver(world.at(121 + 60 * number))
            now = world.at(10_000)
            return int(applied)

    recorder = world.recorder(world.at(62), executions=StoppedAfter())
    recorder._now = lambda: now
    recorder.record(records, "group")
    assert world.counters(job)[:2] == (1 + COUNT_TOKENS, 1 + COUNT_TOKENS)


def test_counters_that_are_no_numbers_hold_up_no_other(world: Any) -> None:
    broken, whole = world.job(), world.job()
    claimed = claimed_at(world, 60)
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {"totalRuns": "many"}})
    with capture_logs() as logged:
        world.finish(claimed, world.at(61))
    assert [(line["event"], line["job_id"]) for line in logged] == [("job.counters_corrupt", broken.id)]
    assert world.counters(whole) == (1, 1, 0, 0)
    assert world.executions.count({"counted": False}) == 0


def test_a_group_written_in_two_parts_around_an_outage_is_counted_wholly(world: Any) -> None:
    job = world.job(world.every(10))
    claimed = claimed_at(world, 20)
    assert len(claimed.calls) == 2

    class WritesOneThenGoesAway(AwayAt):
        def apply(self, updates: Any) -> int:
            if self.times <= 0:
                return int(self._inner.apply(updates))
            self.times -= 1
            self._inner.apply(updates[:1])
            # It is away for so long that the sweep counts what was written as soon as it is back.
            world.sweep(world.at(40))
            raise StoreUnavailable("away")

    recorder = world.recorder(
        world.at(21), executions=WritesOneThenGoesAway(world.executions, "", after=False)
    )
    assert recorder._write(results(claimed, world.at(21)))
    world.sweep(world.at(60))
    assert world.found(job) == {10: "success", 20: "success"}
    assert world.counters(job) == (2, 2, 0, 0)


# --- the thread


@pytest.fixture
def run_recorder(world: Any) -> Any:
    """Starts a recorder; it is closed afterwards."""
    started: list[Any] = []

    def run(now: Any, **parts: Any) -> Any:
        recorder = world.recorder(now, **parts)
        recorder.start()
        started.append(recorder)
        return recorder

    yield run
    for recorder in started:
        assert recorder.close(timedelta(seconds=10))


def test_what_ends_is_written_by_the_thread_in_groups(
    world: Any, run_recorder: Callable[..., Any], eventually: Any
) -> None:
    jobs = [world.job(world.every(10)) for _ in range(4)]
    claimed = claimed_at(world, 60)
    assert len(claimed.calls) == 24
    recorded: list[int] = []
    recorder = run_recorder(world.at(61), on_recorded=recorded.append)
    recorder.put(results(claimed, world.at(61)))
    eventually(lambda: sum(recorded) == 24)
    assert [world.counters(job) for job in jobs] == [(6, 6, 0, 0)] * 4


@pytest.mark.parametrize("after", [False, True])
def test_the_thread_waits_for_mongodb(
    world: Any, run_recorder: Callable[..., Any], eventually: Any, after: bool
) -> None:
    job = world.job()
    claimed = claimed_at(world, 60)
    recorded: list[int] = []
    away = AwayAt(world.executions, "apply", after=after, times=3)
    recorder = run_recorder(world.at(61), executions=away, on_recorded=recorded.append)
    recorder.put(results(claimed, world.at(61)))
    eventually(lambda: recorded == [1])
    assert (away.times, world.found(job)) == (0, {60: "success"})
    # What was written by a try whose reply was lost is counted by the sweep.
    world.sweep(world.at(90))
    assert world.counters(job) == (1, 1, 0, 0)


def test_one_result_that_cannot_be_written_does_not_take_the_others_along(
    world: Any, run_recorder: Callable[..., Any], eventually: Any
) -> None:
    jobs = [world.job() for _ in range(3)]
    claimed = claimed_at(world, 60)
    group = results(claimed, world.at(61))
    # No document can hold half of a surrogate pair.
    poison = CallResult(
        group[0].claim,
        None,
        HttpResult(status=200, headers=(("X-Odd", "\ud800"),)),
        world.at(61),
        world.at(61),
    )
    recorded: list[int] = []
    with capture_logs() as logged:
        run_recorder(world.at(61), on_recorded=recorded.append).put([poison, *group[1:]])
        eventually(lambda: sum(recorded) == 3)
    assert [entry["executions"] for entry in logged if entry["event"] == "record.failed"] == [3, 1]
    bad = poison.claim.execution.job_id
    assert {job.id: world.found(job)[60] for job in jobs} == {
        job.id: "running" if job.id == bad else "success" for job in jobs
    }
    assert sum(world.counters(job)[0] for job in jobs) == 2


def test_closing_writes_what_is_left_and_gives_up_in_time(world: Any) -> None:
    job = world.job()
    claimed = claimed_at(world, 60)
    clock = SimpleNamespace(now=world.at(61))
    recorder = world.recorder(world.at(61))
    recorder._now = lambda: clock.now
    recorder.put(results(claimed, world.at(61)))
    recorder.start()
    assert recorder.close(timedelta(seconds=5))
    assert world.found(job) == {60: "success"}

    held = claimed_at(world, 120)
    away = world.recorder(
        world.at(121), executions=AwayAt(world.executions, "apply", after=False, times=10**6)
    )
    away._now = lambda: clock.now
    away.start()
    away.put(results(held, world.at(121)))
    closing = threading.Thread(target=lambda: setattr(clock, "written", away.close(timedelta(seconds=0))))
    closing.start()
    closing.join(20)
    assert clock.written is False


def test_what_another_run_waits_for_and_a_whole_group_are_written_at_once(world: Any) -> None:
    world.job()
    [claim] = claimed_at(world, 60).calls
    plain = CallResult(claim, None, HttpResult(status=200), world.at(61), world.at(61))
    holder = CallResult(
        replace(claim, holds_slot=True), None, HttpResult(status=200), world.at(61), world.at(61)
    )
    never = time.monotonic() + 10_000
    recorder = world.recorder(world.at(61))
    recorder.put([plain])
    recorder.put([holder])
    assert recorder._next_group(never) == [plain, holder]
    recorder.put([plain] * (LARGEST_GROUP - 1))
    recorder.put([plain] * 2)
    assert len(recorder._next_group(never)) == LARGEST_GROUP
    assert recorder._next_group(0.0) == [plain], "what is left is no longer urgent, and its time has come"
