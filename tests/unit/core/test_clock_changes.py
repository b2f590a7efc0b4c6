"""What previews say about clock changes; the runs they tell of are those that the schedule makes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.clock_changes import clock_change_notes
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def cron(expression: str, timezone: str, **bounds: Any) -> Schedule:
    return Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone, **bounds)


def every(value: int, unit: str, anchor: datetime, timezone: str) -> Schedule:
    return Schedule(
        type=ScheduleType.INTERVAL,
        interval=IntervalUnit(unit),
        interval_value=value,
        anchor_at=anchor,
        timezone=timezone,
    )


TOLD = [
    (
        cron("30 2 * * *", "Europe/Berlin"),
        [
            "On 2026-03-29 clocks in Europe/Berlin go forward from 02:00 to 03:00: "
            "02:30 does not happen; the job runs once, at 03:00, instead.",
            "On 2026-10-25 clocks in Europe/Berlin go back from 03:00 to 02:00: "
            "02:30 happens twice; the job runs the first time only.",
        ],
    ),
    (
        cron("*/20 2 * * *", "Europe/Berlin"),
        [
            "On 2026-03-29 clocks in Europe/Berlin go forward from 02:00 to 03:00: "
            "02:00, 02:20, 02:40 do not happen; the job goes on by the new time from 03:00.",
            "On 2026-10-25 clocks in Europe/Berlin go back from 03:00 to 02:00: "
            "02:00, 02:20, 02:40 happen twice; the job runs both times.",
        ],
    ),
    (
        cron("0 0 * * *", "Asia/Beirut", end_at=datetime(2026, 6, 1, tzinfo=UTC)),
        [
            "On 2026-03-29 clocks in Asia/Beirut go forward from 00:00 to 01:00: "
            "00:00 does not happen; the job runs once, at 01:00, instead.",
        ],
    ),
    (
        cron("30 23 * * *", "Africa/Cairo", start_at=datetime(2026, 6, 1, tzinfo=UTC)),
        [
            "On 2026-10-30 clocks in Africa/Cairo go back from 00:00 to 2026-10-29 23:00: "
            "2026-10-29 23:30 happens twice; the job runs the first time only.",
        ],
    ),
    (
        every(1, "day", datetime(2026, 3, 1, 1, 30, tzinfo=UTC), "Europe/Berlin"),
        [
            "On 2026-03-29 clocks in Europe/Berlin go forward from 02:00 to 03:00: "
            "02:30 does not happen; the job runs once, at 03:00, instead.",
            "On 2026-10-25 clocks in Europe/Berlin go back from 03:00 to 02:00: "
            "02:30 happens twice; the job runs the first time only.",
        ],
    ),
]


@pytest.mark.parametrize(("schedule", "sentences"), TOLD)
def test_it_tells_which_change_does_what(schedule: Schedule, sentences: list[str]) -> None:
    assert [note.sentence for note in clock_change_notes(schedule, *YEAR)] == sentences


UNTOUCHED = [
    cron("30 2 * * *", "UTC"),
    cron("30 2 * * *", "Asia/Tokyo"),
    cron("0 9 * * *", "Europe/Berlin"),
    cron("30 2 * * MON-FRI", "Europe/Berlin"),
    cron("30 2 * * *", "Europe/Berlin", start_at=datetime(2026, 11, 1, tzinfo=UTC)),
    cron("30 2 * * *", "Europe/Berlin", end_at=datetime(2026, 2, 1, tzinfo=UTC)),
    every(1, "hour", YEAR[0], "Europe/Berlin"),
    every(1, "day", datetime(2026, 1, 1, 12, tzinfo=UTC), "Europe/Berlin"),
    every(1, "week", datetime(2026, 3, 2, 1, 30, tzinfo=UTC), "Europe/Berlin"),
    every(1, "month", datetime(2026, 1, 1, 1, 30, tzinfo=UTC), "Europe/Berlin"),
    Schedule(type=ScheduleType.ONCE, run_at=datetime(2026, 3, 29, 1, tzinfo=UTC), timezone="Europe/Berlin"),
]


@pytest.mark.parametrize("schedule", UNTOUCHED)
def test_it_is_silent_where_no_run_is_touched(schedule: Schedule) -> None:
    assert clock_change_notes(schedule, *YEAR) == []


def test_a_note_counts_all_wall_times_and_lists_the_first() -> None:
    [note] = clock_change_notes(cron("* * * * * *", "Australia/Lord_Howe"), *YEAR, limit=1)

    assert note.wall_time_count == 1800
    assert note.wall_times == tuple(datetime(2026, 4, 5, 1, 30, second) for second in range(5))
    assert note.offset_before - note.offset_after == timedelta(minutes=30)
    assert "and 1795 more" in note.sentence


def test_a_day_skipped_at_the_date_line_is_told() -> None:
    schedule = every(2, "day", datetime(2011, 12, 2, 20, tzinfo=UTC), "Pacific/Apia")
    [note] = clock_change_notes(
        schedule, datetime(2011, 12, 20, tzinfo=UTC), datetime(2012, 1, 5, tzinfo=UTC)
    )

    assert note.wall_times == (datetime(2011, 12, 30, 10),)
    assert note.effect == "moved"


def test_an_interval_that_misses_the_skipped_day_is_not_touched() -> None:
    schedule = every(2, "day", datetime(2011, 12, 1, 20, tzinfo=UTC), "Pacific/Apia")

    assert (
        clock_change_notes(schedule, datetime(2011, 12, 20, tzinfo=UTC), datetime(2012, 1, 5, tzinfo=UTC))
        == []
    )
