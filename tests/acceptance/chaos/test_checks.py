"""The checks of a chaos run find what they are there for: each kind of damage, done to a run that is in order."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

Modules = Callable[[str], ModuleType]

START = 1_900_000_000_000
JOB_ID = "0123456789abcdef01234567"
EVERY_TWO_SECONDS = 2


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class Run:
    """Ten fire times of one job, two seconds apart, that were all delivered; the tests spoil it."""

    def __init__(self, chaos_module: Modules) -> None:
        history, rules = chaos_module("history"), chaos_module("rules")
        self._checks = chaos_module("checks")
        self.history = history
        self.rules = rules
        self.job = history.JobHistory(key="job", kind="/ok", overlap="skip", misfire="skip", job_id=JOB_ID)
        self.happen("CREATE", START, rule=rules.Every(EVERY_TWO_SECONDS, START))
        self.happen("PAUSE", START + 20_500)
        self.executions = [self.execution(START + 2000 * n) for n in range(1, 11)]
        self.calls = [self.call(execution) for execution in self.executions]
        self.document = {"totalRuns": 10, "successfulRuns": 10, "failedRuns": 0}

    def happen(self, change: str, at: int, rule: Any = None, max_runs: int | None = None) -> None:
        event = self.history.Event(self.history.Change[change], sent_ms=at, rule=rule, max_runs=max_runs)
        event.came_into_force(at, at + 5)
        self.job.events.append(event)

    def execution(self, ms: int, **more: Any) -> dict[str, Any]:
        return {
            "_id": f"{JOB_ID}:{ms}",
            "jobId": JOB_ID,
            "trigger": "schedule",
            "status": "success",
            "scheduledAt": moment(ms),
            "startedAt": moment(ms + 10),
            "completedAt": moment(ms + 20),
            "attempts": [{"number": 1}],
            **more,
        }

    def call(self, execution: dict[str, Any]) -> Any:
        ms = round(execution["scheduledAt"].timestamp() * 1000)
        return self._checks.Call(ms + 12, "/ok", execution["_id"], JOB_ID, 1, ms, "schedule", 200)

    def result(self) -> Any:
        return self._checks.check(
            [self.job], self.executions, {JOB_ID: self.document}, self.calls, START + 60_000
        )


@pytest.fixture
def run(chaos_module: Modules) -> Run:
    return Run(chaos_module)


def test_a_run_in_order_is_clean(run: Run) -> None:
    result = run.result()

    assert result.clean
    assert (result.expected, result.executions, result.delivered, result.repeats) == (10, 10, 10, 0)


def test_a_fire_time_without_execution_is_lost(run: Run) -> None:
    del run.executions[4], run.calls[4]
    run.document.update(totalRuns=9, successfulRuns=9)

    assert len(run.result().lost) == 1


def test_what_was_due_when_its_job_was_deleted_is_accounted_for_like_all_else(run: Run) -> None:
    run.job.events.pop()
    run.happen("DELETE", START + 20_500)
    run.executions[9] |= {"status": "cancelled", "reason": "deleted", "attempts": []}
    del run.executions[8], run.calls[8:]
    run.document.update(totalRuns=8, successfulRuns=8)

    assert len(run.result().lost) == 1


def test_a_summary_covers_the_fire_times_it_stands_for(run: Run) -> None:
    del run.executions[3:6], run.calls[3:6]
    run.document.update(totalRuns=7, successfulRuns=7)
    run.executions.append(
        run.execution(
            START + 8000,
            _id=f"{JOB_ID}:{START + 8000}:s",
            status="skipped",
            reason="misfire",
            skippedCount=3,
            skippedUntil=moment(START + 12000),
        )
    )

    assert run.result().clean


def test_a_second_execution_of_a_fire_time_is_found(run: Run) -> None:
    again = {**run.executions[2], "_id": f"{run.executions[2]['_id']}:again"}
    run.executions.append(again)
    run.calls.append(run.call(again))

    assert len(run.result().doubled) == 2, "in the log, and at the receiver"


def test_a_run_inside_a_pause_is_found(run: Run) -> None:
    late = run.execution(START + 22_000)
    run.executions.append(late)
    run.calls.append(run.call(late))
    run.document.update(totalRuns=11, successfulRuns=11)

    assert "due by no rule" in run.result().problems[0]


def test_a_record_of_a_fire_time_inside_a_pause_is_none(run: Run) -> None:
    run.executions.append(run.execution(START + 22_000, status="skipped", reason="paused", attempts=[]))

    assert run.result().clean


def test_a_run_of_a_superseded_rule_is_found(run: Run) -> None:
    run.job.events.pop()
    run.happen("RESCHEDULE", START + 12_500, rule=run.rules.Once(START + 900_000))

    assert len(run.result().problems) == 4


def test_fire_times_beyond_max_runs_are_not_due_and_skipped_ones_do_not_count(run: Run) -> None:
    run.job.events[0].max_runs = 8
    run.executions[0] |= {"status": "skipped", "reason": "misfire", "attempts": []}
    del run.executions[9], run.calls[9], run.calls[0]
    run.document.update(totalRuns=8, successfulRuns=8)

    result = run.result()

    assert (result.clean, result.expected) == (True, 9)


def test_an_execution_left_running_is_found(run: Run) -> None:
    run.executions[0]["status"] = "running"

    assert any("still running" in problem for problem in run.result().problems)


def test_counters_that_differ_from_the_log_are_found(run: Run) -> None:
    run.document["totalRuns"] = 9

    assert "the log has" in run.result().problems[0]


def test_a_success_that_never_reached_the_receiver_is_found(run: Run) -> None:
    del run.calls[0]

    assert "knows nothing of" in run.result().problems[0]


def test_a_call_that_no_execution_explains_is_found(run: Run) -> None:
    del run.executions[9]
    run.document.update(totalRuns=9, successfulRuns=9)

    result = run.result()

    assert len(result.lost) == 1
    assert "not in the log" in result.problems[0]


def test_two_runs_at_a_time_of_a_job_that_does_not_overlap_are_found(run: Run) -> None:
    run.executions[3]["completedAt"] = moment(START + 11_000)

    assert any("before the end of" in problem for problem in run.result().problems)


def test_runs_one_after_the_other_are_in_order_although_the_clocks_of_their_workers_differ(run: Run) -> None:
    run.calls[4].at = START + 8015
    run.executions[4] |= {"startedAt": moment(START + 8016), "completedAt": moment(START + 9000)}
    run.executions[3] |= {"startedAt": moment(START + 8232), "completedAt": moment(START + 8245)}

    assert run.result().clean


def test_calls_after_a_success_are_counted_as_repeats(run: Run) -> None:
    run.calls.append(run.call(run.executions[0]))

    result = run.result()

    assert (result.clean, result.repeats) == (True, 1)
