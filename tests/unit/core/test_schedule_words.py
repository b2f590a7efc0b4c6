"""Schedules in words: true for every spelling, and readable for the common ones."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.schedule_words import describe
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType

ANCHOR = datetime(2026, 1, 31, 8, tzinfo=UTC)


def cron(expression: str, timezone: str = "UTC", **bounds: Any) -> Schedule:
    return Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone, **bounds)


def every(value: int, unit: str, timezone: str = "UTC", **fields: Any) -> Schedule:
    return Schedule(
        type=ScheduleType.INTERVAL,
        interval=IntervalUnit(unit),
        interval_value=value,
        anchor_at=ANCHOR,
        timezone=timezone,
        **fields,
    )


WORDS = [
    ("* * * * *", "Every minute, UTC."),
    ("*/5 * * * *", "Every 5 minutes, UTC."),
    ("* * * * * *", "Every second, UTC."),
    ("*/20 * * * * *", "Every 20 seconds, UTC."),
    ("0 * * * *", "Every hour, UTC."),
    ("0 0-23 * * *", "Every hour, UTC."),
    ("0 */2 * * *", "Every 2 hours, UTC."),
    ("30 2 * * *", "At 02:30, UTC."),
    ("15 30 2 * * *", "At 02:30:15, UTC."),
    ("0 9 * * MON-FRI", "At 09:00, on Monday to Friday, UTC."),
    ("0 9,17 * * *", "At 09:00 and 17:00, UTC."),
    ("0 1,2 * * *", "At 01:00 and 02:00, UTC."),
    ("30 9-17 * * *", "At 09:30 and every hour until 17:30, UTC."),
    ("*/15 9-17 * * *", "Every 15 minutes, between 09:00 and 17:59, UTC."),
    ("*/2 */12 * * *", "Every 2 minutes, in the hours 0 and 12, UTC."),
    ("*/61 * * * *", "Every hour, UTC."),
    ("*/25 * * * *", "At 0, 25, and 50 minutes past the hour, UTC."),
    ("5-5 * * * *", "At 5 minutes past the hour, UTC."),
    ("59/15 * * * *", "At 59 minutes past the hour, UTC."),
    ("1 * * * *", "At 1 minute past the hour, UTC."),
    ("0,1 * * * *", "At 0 and 1 minutes past the hour, UTC."),
    ("1 1 * * * *", "At 1 second past the minute, at 1 minute past the hour, UTC."),
    ("11 * * * * *", "At 11 seconds past the minute, UTC."),
    ("0 0 13 * 5", "At 00:00, on day 13 of the month or on Friday, UTC."),
    ("0 0 */2 * 1", "At 00:00, on days 1, 3, 5, …, 31 of the month if it is Monday, UTC."),
    ("0 0 1-31 * 3", "At 00:00, UTC."),
    ("0 0 L * *", "At 00:00, on the last day of the month, UTC."),
    ("0 0 LW * *", "At 00:00, on the last day from Monday to Friday of the month, UTC."),
    ("0 0 1,L * *", "At 00:00, on day 1 and the last day of the month, UTC."),
    ("0 0 * * 1#1", "At 00:00, on the first Monday of the month, UTC."),
    ("0 0 * * 1,5L", "At 00:00, on Monday and the last Friday of the month, UTC."),
    ("0 0 * * FRI-7", "At 00:00, on Friday to Sunday, UTC."),
    ("0 0 * * sun-thu", "At 00:00, on Sunday to Thursday, UTC."),
    ("0 0 * * MON,SUN", "At 00:00, on Monday and Sunday, UTC."),
    ("0 0 29 2 *", "At 00:00, on day 29 of the month, in February, UTC."),
    ("0 0 1 */6 *", "At 00:00, on day 1 of the month, in January and July, UTC."),
    ("0 0 * 6-9 *", "At 00:00, in June to September, UTC."),
    ("@yearly", "At 00:00, on day 1 of the month, in January, UTC."),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "words"), WORDS)
def test_a_cron_expression_in_words(expression: str, words: str) -> None:
    assert describe(cron(expression)) == words


def test_the_zone_is_named() -> None:
    assert describe(cron("0 9 * * *", "Europe/Berlin")) == "At 09:00, Europe/Berlin time."


def test_bounds_are_told_on_the_clock_of_the_zone() -> None:
    schedule = cron(
        "0 9 * * *", "Europe/Berlin", start_at=ANCHOR, end_at=ANCHOR + timedelta(days=60, seconds=5)
    )

    assert describe(schedule) == (
        "At 09:00, Europe/Berlin time, not before 2026-01-31 09:00 Europe/Berlin time, "
        "until 2026-04-01 10:00:05 Europe/Berlin time."
    )


INTERVALS = [
    (every(1, "minute"), "Every minute, counted from 2026-01-31 08:00 UTC."),
    (every(90, "second"), "Every 90 seconds, counted from 2026-01-31 08:00 UTC."),
    (
        every(2, "day", "Europe/Berlin"),
        "Every 2 days at 09:00, counted from 2026-01-31 09:00 Europe/Berlin time.",
    ),
    (
        every(1, "month", anchor_fires=True, start_at=ANCHOR),
        "Every month at 08:00 on day 31, or the last day of a shorter month, starting at 2026-01-31 08:00 UTC.",
    ),
]


@pytest.mark.parametrize(("schedule", "words"), INTERVALS)
def test_an_interval_in_words(schedule: Schedule, words: str) -> None:
    assert describe(schedule) == words


def test_a_one_off_in_words() -> None:
    schedule = Schedule(
        type=ScheduleType.ONCE, run_at=ANCHOR.replace(microsecond=250_000), timezone="Asia/Tokyo"
    )

    assert describe(schedule) == "Once, at 2026-01-31 17:00:00.250 Asia/Tokyo time."


def field(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(
        st.just("*"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        st.lists(st.integers(low, high), min_size=1, max_size=25).map(
            lambda items: ",".join(map(str, items))
        ),
        st.tuples(st.integers(low, high), st.integers(low, high)).map(
            lambda ends: f"{min(ends)}-{max(ends)}"
        ),
    )


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)
)
def test_every_expression_can_be_told(expression: str) -> None:
    words = describe(cron(expression))

    assert words[0].isupper()
    assert words.endswith(", UTC.")
    assert "  " not in words
    assert "None" not in words
