"""What changed in a list since someone looked."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.service.live_log import MAX_CURSOR_LENGTH, changed_since, cursor_of

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)


def execution(number: int, status: ExecutionStatus = ExecutionStatus.SUCCESS) -> Execution:
    moment = NOW + timedelta(seconds=number)
    return Execution(
        id=f"{number:024x}:1",
        job_id=f"{number:024x}",
        owner_id="ann",
        job_name="report",
        host="example.com",
        trigger=Trigger.SCHEDULE,
        status=status,
        scheduled_at=moment,
        queued_at=moment,
    )


def test_nothing_changed_leaves_the_cursor_as_it_is() -> None:
    log = [execution(2), execution(1)]
    assert cursor_of(log) == cursor_of(list(log))
    assert changed_since(cursor_of(log), log) == []


def test_new_and_changed_rows_are_told_wherever_they_are() -> None:
    before = [execution(3), execution(1, ExecutionStatus.RUNNING)]
    after = [execution(4), execution(3), execution(2), execution(1)]
    assert changed_since(cursor_of(before), after) == [after[0], after[2], after[3]]


def test_the_next_attempt_counts_as_a_change() -> None:
    row = execution(1, ExecutionStatus.RETRYING)
    assert changed_since(cursor_of([row]), [replace(row, next_attempt_at=NOW)]) == [
        replace(row, next_attempt_at=NOW)
    ]


def test_a_row_that_left_changes_the_cursor() -> None:
    assert cursor_of([execution(2), execution(1)]) != cursor_of([execution(2)])


@pytest.mark.parametrize("cursor", ["", "nonsense!", "äöü", "AAAA", "A" * (MAX_CURSOR_LENGTH + 4)])
def test_a_foreign_cursor_has_seen_nothing(cursor: str) -> None:
    log = [execution(2), execution(1)]
    assert changed_since(cursor, log) == log


def test_the_cursor_of_a_full_page_fits_into_an_address() -> None:
    assert len(cursor_of([execution(number) for number in range(50)])) < 500
