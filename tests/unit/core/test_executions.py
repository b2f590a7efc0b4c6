"""Ids, statuses and the moments of executions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.executions import (
    COUNTED_STATUSES,
    FINAL_STATUSES,
    ExecutionStatus,
    backfill_execution_id,
    from_ms,
    job_id_of,
    manual_execution_id,
    missed_summary_id,
    recheck_after,
    replay_execution_id,
    request_key,
    schedule_execution_id,
    to_ms,
)

JOB = "65e1c0de0000000000000001"
FIRE_TIME = datetime(2026, 3, 1, 12, tzinfo=UTC)
MS = 1_772_366_400_000


@pytest.mark.parametrize(
    ("execution_id", "expected"),
    [
        (schedule_execution_id(JOB, FIRE_TIME), f"{JOB}:{MS}"),
        (manual_execution_id(JOB, "k"), f"{JOB}:m:k"),
        (backfill_execution_id(JOB, FIRE_TIME, "k"), f"{JOB}:{MS}:b:k"),
        (missed_summary_id(JOB, FIRE_TIME), f"{JOB}:{MS}:s"),
        (replay_execution_id(f"{JOB}:{MS}", "k"), f"{JOB}:{MS}:r:k"),
        (replay_execution_id(f"{JOB}:{MS}:r:first", "k"), f"{JOB}:{MS}:r:k"),
    ],
)
def test_ids_say_what_the_execution_is_of(execution_id: str, expected: str) -> None:
    assert execution_id == expected
    assert job_id_of(execution_id) == JOB
    assert "." not in execution_id, "webhook-id forbids it (Standard Webhooks)"


def test_the_same_key_of_two_users_makes_two_executions() -> None:
    assert request_key("ann", "k") == request_key("ann", "k")
    assert request_key("ann", "k") != request_key("bob", "k")
    assert request_key("ann", "nk") != request_key("ann\nn", "k")


@pytest.mark.parametrize(
    ("pushes", "seconds"), [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 600), (1000, 600)]
)
def test_what_nobody_claims_is_pushed_again_ever_more_rarely(pushes: int, seconds: int) -> None:
    assert recheck_after(pushes) == timedelta(seconds=seconds)


def test_the_final_statuses_are_the_last_five_and_three_of_them_are_counted() -> None:
    assert (
        {status for status in ExecutionStatus if status.final}
        == set(list(ExecutionStatus)[3:])
        == FINAL_STATUSES
    )
    assert COUNTED_STATUSES < FINAL_STATUSES
    assert {status.value for status in FINAL_STATUSES - COUNTED_STATUSES} == {"skipped", "cancelled"}


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_and_moments_are_the_same_thing(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds


def test_a_moment_is_cut_to_milliseconds_as_mongodb_does() -> None:
    assert to_ms(FIRE_TIME + timedelta(microseconds=1999)) == MS + 1
    assert to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1
