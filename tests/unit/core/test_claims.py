"""What becomes of a claimed execution, judged by its job as it is now."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.claims import judge_claim
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.core.jobs import JobStatus
from webhookcron.core.schedules import Schedule, ScheduleType

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVERY_MINUTE = Schedule(type=ScheduleType.CRON, cron_expression="* * * * *")
EVERY_HOUR = Schedule(type=ScheduleType.CRON, cron_expression="0 * * * *")


@dataclass(frozen=True)
class JobState:
    status: JobStatus = JobStatus.ACTIVE
    paused_from: datetime | None = None
    paused_until: datetime | None = None
    schedule_since: datetime = T0
    handled_through: datetime = T0 + timedelta(hours=1)
    max_runs: int | None = None


def execution_at(
    scheduled_at: datetime, *, trigger: Trigger = Trigger.SCHEDULE, attempts: int = 0
) -> Execution:
    return Execution(
        id="65e1c0de0000000000000001:1",
        job_id="65e1c0de0000000000000001",
        owner_id="ann",
        job_name="report",
        host="example.com",
        trigger=trigger,
        status=ExecutionStatus.RUNNING,
        scheduled_at=scheduled_at,
        queued_at=scheduled_at,
        attempt_count=attempts,
    )


DURING = T0 + 5 * MINUTE
DISABLED = JobState(JobStatus.DISABLED)
PAUSE = {"paused_from": T0 + 3 * MINUTE, "paused_until": T0 + 10 * MINUTE}


def manual(scheduled_at: datetime) -> Execution:
    return execution_at(scheduled_at, trigger=Trigger.MANUAL)


def completed(**fields: int) -> JobState:
    return JobState(JobStatus.COMPLETED, **fields)


CASES = [
    ("an active job's fire time runs", execution_at(DURING), JobState(), None),
    ("the job is gone", execution_at(DURING), None, ("cancelled", "deleted")),
    ("a retry of a job that is gone", execution_at(DURING, attempts=1), None, ("cancelled", "deleted")),
    ("a manual run of a job that is gone", manual(DURING), None, ("cancelled", "deleted")),
    ("the job is paused", execution_at(DURING), JobState(JobStatus.PAUSED), ("skipped", "paused")),
    ("a retry goes on through a pause", execution_at(DURING, attempts=1), JobState(JobStatus.PAUSED), None),
    (
        "a call that a stopping worker cut off goes on through a pause",
        replace(execution_at(DURING), interrupted=True),
        JobState(JobStatus.PAUSED),
        None,
    ),
    ("the job is disabled", execution_at(DURING), DISABLED, ("skipped", "disabled")),
    ("a retry of a disabled one", execution_at(DURING, attempts=2), DISABLED, ("skipped", "disabled")),
    ("within the last pause", execution_at(DURING), JobState(**PAUSE), ("skipped", "paused")),
    ("a retry from within the last pause", execution_at(DURING, attempts=1), JobState(**PAUSE), None),
    ("just when the pause began", execution_at(T0 + 3 * MINUTE), JobState(**PAUSE), None),
    ("just after the pause began", execution_at(T0 + 4 * MINUTE), JobState(**PAUSE), ("skipped", "paused")),
    ("just when the pause ended", execution_at(T0 + 10 * MINUTE), JobState(**PAUSE), ("skipped", "paused")),
    ("after the pause", execution_at(T0 + 11 * MINUTE), JobState(**PAUSE), None),
    ("of the rule before, by its own time", execution_at(T0 - MINUTE / 2), JobState(), None),
    ("of the rule before, after the new one", execution_at(T0 + MINUTE / 2), JobState(), ("skipped", "superseded")),
    ("a retry of the rule before", execution_at(T0 + MINUTE / 2, attempts=1), JobState(), None),
    ("beyond the last of its runs", execution_at(T0 + 61 * MINUTE), completed(max_runs=5), ("skipped", "completed")),
    ("the last of its runs", execution_at(T0 + 60 * MINUTE), completed(max_runs=5), None),
    ("the last fire time of a rule that ended", execution_at(T0 + 61 * MINUTE), completed(), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("execution", "job", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_a_claim_is_judged_by_the_job_as_it_is_now(
    execution: Execution, job: JobState | None, expected: tuple[str, str] | None
) -> None:
    ending = judge_claim(execution, job, EVERY_MINUTE)
    assert (None if ending is None else (ending.status.value, ending.reason.value)) == expected


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.BACKFILL, Trigger.REPLAY])
@pytest.mark.parametrize("status", list(JobStatus))
def test_what_someone_asked_for_runs_whatever_state_the_job_is_in(
    trigger: Trigger, status: JobStatus
) -> None:
    job = JobState(status, max_runs=1, **PAUSE)
    assert judge_claim(execution_at(T0 + MINUTE / 2, trigger=trigger), job, EVERY_HOUR) is None


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (PAUSE["paused_until"], None),
        (PAUSE["paused_until"] + MINUTE, None),
        (PAUSE["paused_from"] - MINUTE, ("skipped", "paused")),
    ],
    ids=["set with the resume", "set after the pause", "set before the pause"],
)
def test_a_single_moment_within_a_pause_runs_when_it_was_asked_for_after_it(
    since: datetime, expected: tuple[str, str] | None
) -> None:
    once = Schedule(type=ScheduleType.ONCE, run_at=DURING)
    job = JobState(schedule_since=since, **PAUSE)
    ending = judge_claim(execution_at(DURING), job, once)
    assert (None if ending is None else (ending.status.value, ending.reason.value)) == expected
    stale = judge_claim(execution_at(DURING - MINUTE), job, once)
    assert stale is not None, "of a rule before, made in the pause"


def test_a_rule_that_cannot_be_compared_supersedes_nothing() -> None:
    assert judge_claim(execution_at(T0 + MINUTE / 2), JobState(), None) is None


@given(
    st.integers(-5_000, 5_000).map(lambda ms: T0 + timedelta(milliseconds=ms)),
    st.sampled_from(Trigger),
    st.integers(0, 3),
    st.sampled_from(JobStatus),
)
def test_a_claim_ends_only_as_skipped_or_cancelled(
    scheduled_at: datetime, trigger: Trigger, attempts: int, status: JobStatus
) -> None:
    ending = judge_claim(
        execution_at(scheduled_at, trigger=trigger, attempts=attempts), JobState(status), EVERY_MINUTE
    )
    assert ending is None or ending.status in (ExecutionStatus.SKIPPED, ExecutionStatus.CANCELLED)
