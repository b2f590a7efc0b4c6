"""Intervals: elapsed time up to the hour, the wall clock of the original anchor from the day on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.intervals import MAX_INTERVAL_VALUES, Interval, IntervalUnit
from webhookcron.core.zones import zone

# unit, value, anchor (local), zone, the local fire times that follow it
SEQUENCES = [
    ("day", 1, "2026-03-28T02:30:00+01:00", "Europe/Berlin",
     ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
    ("day", 1, "2026-10-24T02:30:00+02:00", "Europe/Berlin",
     ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ("day", 1, "2026-10-25T02:30:00+01:00", "Europe/Berlin",
     ["2026-10-26T02:30:00+01:00", "2026-10-27T02:30:00+01:00"]),
    ("hour", 24, "2026-03-28T02:30:00+01:00", "Europe/Berlin",
     ["2026-03-29T03:30:00+02:00", "2026-03-30T03:30:00+02:00"]),
    ("hour", 1, "2026-10-25T01:30:00+02:00", "Europe/Berlin",
     ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]),
    ("week", 2, "2026-03-15T02:30:00+01:00", "Europe/Berlin",
     ["2026-03-29T03:00:00+02:00", "2026-04-12T02:30:00+02:00"]),
    ("month", 1, "2026-01-31T09:00:00+01:00", "Europe/Berlin",
     ["2026-02-28T09:00:00+01:00", "2026-03-31T09:00:00+02:00", "2026-04-30T09:00:00+02:00"]),
    ("month", 13, "2023-01-31T00:00:00+00:00", "UTC",
     ["2024-02-29T00:00:00+00:00", "2025-03-31T00:00:00+00:00"]),
    ("year", 1, "2024-02-29T12:00:00+00:00", "UTC",
     ["2025-02-28T12:00:00+00:00", "2026-02-28T12:00:00+00:00", "2027-02-28T12:00:00+00:00",
      "2028-02-29T12:00:00+00:00"]),
    ("day", 1, "2011-12-28T00:00:00-10:00", "Pacific/Apia",
     ["2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"]),
    ("day", 1, "2011-12-28T10:00:00-10:00", "Pacific/Apia",
     ["2011-12-29T10:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T10:00:00+14:00"]),
    ("second", 7, "2026-05-05T12:00:00.123000+00:00", "UTC",
     ["2026-05-05T12:00:07.123000+00:00", "2026-05-05T12:00:14.123000+00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "value", "anchor", "timezone", "expected"), SEQUENCES)
def test_the_fire_times_after_the_anchor(
    unit: str, value: int, anchor: str, timezone: str, expected: list[str]
) -> None:
    tz = zone(timezone)
    moment = datetime.fromisoformat(anchor).astimezone(UTC)
    interval = Interval(unit=IntervalUnit(unit), value=value, anchor=moment, first=1, tz=tz)

    found = []
    for _ in expected:
        following = interval.next_instant(moment)
        assert following is not None
        assert interval.latest_instant(following) == following
        found.append(following.astimezone(tz).isoformat())
        moment = following
    assert found == expected


@pytest.mark.parametrize(("first", "expected"), [(0, timedelta(0)), (1, timedelta(days=3))])
def test_the_anchor_fires_only_where_the_start_was_given(first: int, expected: timedelta) -> None:
    anchor = datetime(2026, 5, 5, 12, tzinfo=UTC)
    interval = Interval(unit=IntervalUnit.DAY, value=3, anchor=anchor, first=first, tz=zone("Europe/Berlin"))

    assert interval.next_instant(anchor - timedelta(days=400)) == anchor + expected
    assert interval.latest_instant(anchor + expected - timedelta(microseconds=1)) is None


def test_an_anchor_in_a_second_pass_fires_at_itself() -> None:
    anchor = datetime.fromisoformat("2026-10-25T02:30:00+01:00").astimezone(UTC)
    interval = Interval(unit=IntervalUnit.DAY, value=1, anchor=anchor, first=0, tz=zone("Europe/Berlin"))

    assert interval.next_instant(anchor - timedelta(hours=3)) == anchor


@pytest.mark.parametrize("unit", IntervalUnit)
def test_there_is_no_fire_time_after_the_calendar(unit: IntervalUnit) -> None:
    anchor = datetime(9990, 1, 1, tzinfo=UTC)
    interval = Interval(
        unit=unit, value=MAX_INTERVAL_VALUES[unit], anchor=anchor, first=1, tz=zone("America/New_York")
    )

    assert interval.next_instant(datetime(9995, 1, 1, tzinfo=UTC)) is None
    assert interval.latest_instant(datetime(9998, 1, 1, tzinfo=UTC)) is None


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(IntervalUnit)),
    st.integers(1, 30),
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Beirut"]),
    st.integers(0, 200),
)
def test_far_fire_times_are_those_that_stepping_reaches(
    unit: IntervalUnit, value: int, start: datetime, timezone: str, steps: int
) -> None:
    anchor = start.replace(tzinfo=UTC)
    interval = Interval(unit=unit, value=value, anchor=anchor, first=0, tz=zone(timezone))
    moment = anchor
    for _ in range(steps):
        following = interval.next_instant(moment)
        assert following is not None
        assert interval.latest_instant(following - timedelta(microseconds=1)) == moment
        moment = following

    if unit in (IntervalUnit.SECOND, IntervalUnit.MINUTE, IntervalUnit.HOUR):
        assert interval.count(anchor, moment) == steps
        assert (moment - anchor) % timedelta(seconds=1) == timedelta(0)
    else:
        local = moment.astimezone(zone(timezone))
        expected = anchor.astimezone(zone(timezone))
        on_time = local.time() == expected.time()
        assert on_time or steps == 0 or local.utcoffset() != (local - timedelta(days=1)).utcoffset()
