"""What a group of final executions adds to the counters of their jobs."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.executions import COUNTED_STATUSES, Execution, ExecutionStatus, Trigger
from webhookcron.delivery.counting import outcome_counts

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATUSES = [*(status for status in ExecutionStatus if status.final)]


def final(
    status: ExecutionStatus, *, job_id: str = "j1", ended: int = 0, started: int | None = 0
) -> Execution:
    return Execution(
        id=f"{job_id}:{ended}",
        job_id=job_id,
        owner_id="ann",
        job_name="report",
        host="example.com",
        trigger=Trigger.SCHEDULE,
        status=status,
        scheduled_at=T0,
        queued_at=T0,
        started_at=None if started is None else T0 + timedelta(seconds=started),
        completed_at=T0 + timedelta(seconds=ended),
    )


def test_failures_in_a_row_are_those_after_the_last_success() -> None:
    group = [
        final(ExecutionStatus.FAILED, ended=1),
        final(ExecutionStatus.SUCCESS, ended=2),
        final(ExecutionStatus.FAILED, ended=4),
        final(ExecutionStatus.TIMEOUT, ended=3, started=2),
    ]
    [count] = outcome_counts(group)
    assert (count.successes, count.failures, count.failures_in_a_row) == (1, 3, 2)
    assert count.last_status is ExecutionStatus.FAILED
    assert count.last_run_at == T0 + timedelta(seconds=2)


def test_jobs_are_counted_apart() -> None:
    counts = outcome_counts(
        [final(ExecutionStatus.SUCCESS, job_id="a"), final(ExecutionStatus.FAILED, job_id="b")]
    )
    assert {count.job_id: (count.successes, count.failures) for count in counts} == {"a": (1, 0), "b": (0, 1)}


def test_an_execution_that_never_began_counts_with_its_fire_time() -> None:
    [count] = outcome_counts([final(ExecutionStatus.FAILED, started=None)])
    assert count.last_run_at == T0


@given(st.lists(st.tuples(st.sampled_from(STATUSES), st.sampled_from("ab")), max_size=20))
def test_every_execution_that_ran_is_in_exactly_one_count(ended: list[tuple[ExecutionStatus, str]]) -> None:
    group = [final(status, job_id=job, ended=n) for n, (status, job) in enumerate(ended)]
    counts = {count.job_id: count for count in outcome_counts(group)}
    for job in "ab":
        ran = [status for status, of in ended if of == job and status in COUNTED_STATUSES]
        assert (job in counts) == bool(ran)
        if ran:
            assert counts[job].successes + counts[job].failures == len(ran)
            assert counts[job].successes == ran.count(ExecutionStatus.SUCCESS)
            assert counts[job].failures_in_a_row <= counts[job].failures
            assert (counts[job].failures_in_a_row == 0) == (ran[-1] is ExecutionStatus.SUCCESS)
