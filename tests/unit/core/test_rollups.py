"""What executions add to their hours, and what can be said of hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.core.rollups import DURATION_BOUNDS_MS, RollupTotals, hour_at, hour_of, shares_of

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUCCESS, TIMEOUT, SKIPPED = ExecutionStatus.SUCCESS, ExecutionStatus.TIMEOUT, ExecutionStatus.SKIPPED


def final(
    status: ExecutionStatus = SUCCESS,
    *,
    job_id: str = "j",
    minutes: float = 0,
    duration_ms: int | None = 10,
    skipped_count: int | None = None,
) -> Execution:
    return Execution(
        id=f"{job_id}:{minutes}",
        job_id=job_id,
        owner_id="ann",
        job_name="report",
        host="example.com",
        trigger=Trigger.SCHEDULE,
        status=status,
        scheduled_at=T0,
        queued_at=T0,
        completed_at=T0 + timedelta(minutes=minutes),
        duration_ms=duration_ms,
        skipped_count=skipped_count,
    )


def test_an_execution_belongs_to_the_hour_in_which_it_was_completed() -> None:
    shares = shares_of([final(minutes=59.99), final(minutes=60), final(minutes=61)])
    assert [(share.hour - hour_of(T0), share.counts) for share in shares] == [
        (0, {SUCCESS: 1}),
        (1, {SUCCESS: 2}),
    ]


def test_an_hour_begins_at_its_moment() -> None:
    assert hour_at(hour_of(T0 + timedelta(minutes=30))) == T0


def test_a_record_of_many_missed_fire_times_adds_them_all_and_no_duration() -> None:
    [share] = shares_of([final(SKIPPED, skipped_count=7, duration_ms=None), final(SKIPPED)])
    assert (share.counts, share.buckets, share.duration_ms_sum) == ({SKIPPED: 8}, {}, 0)


@pytest.mark.parametrize(("duration_ms", "bucket"), [(0, 0), (5, 0), (6, 1), (300_000, 13), (300_001, 14)])
def test_a_duration_is_in_the_bucket_whose_bound_it_does_not_pass(duration_ms: int, bucket: int) -> None:
    [share] = shares_of([final(duration_ms=duration_ms)])
    assert share.buckets == {bucket: 1}


def test_nothing_can_be_said_of_no_executions() -> None:
    nothing = RollupTotals.of([])
    assert (nothing.ran, nothing.success_rate, nothing.mean_duration_ms) == (0, None, None)
    assert nothing.duration_quantile_ms(0.95) is None


def test_the_success_rate_leaves_out_what_did_not_run() -> None:
    totals = RollupTotals(counts={SUCCESS: 3, TIMEOUT: 1, SKIPPED: 9}, duration_ms_sum=0, duration_buckets={})
    assert totals.success_rate == 0.75


@given(st.lists(st.integers(0, 300_000), min_size=1), st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(durations: list[int], share: float) -> None:
    [sums] = shares_of([final(duration_ms=duration) for duration in durations])
    totals = RollupTotals(
        counts=sums.counts, duration_ms_sum=sums.duration_ms_sum, duration_buckets=sums.buckets
    )
    position = max(1, -int(-(share * len(durations)) // 1))
    true = sorted(durations)[position - 1]
    upper = next(bound for bound in DURATION_BOUNDS_MS if true <= bound)
    lower = max((bound for bound in DURATION_BOUNDS_MS if bound < true), default=0)
    found = totals.duration_quantile_ms(share)
    assert found is not None
    assert lower - 1e-6 <= found <= upper + 1e-6
