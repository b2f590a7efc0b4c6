"""Clock changes: found exactly, of every size, in the past and the far future."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.wallclock import (
    ClockChangeKind,
    clock_change_at,
    clock_changes,
    first_instant,
    last_instant,
    wall_reading,
)
from webhookcron.core.zones import zone, zone_names

# zone, a wall time that the change skips or repeats, its kind, and the first wall time after it
CHANGES = [
    ("Europe/Berlin", "2026-03-29T02:59:59", "gap", "2026-03-29T02:00:00", "2026-03-29T03:00:00"),
    ("Europe/Berlin", "2026-10-25T02:00:00", "fold", "2026-10-25T02:00:00", "2026-10-25T03:00:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:10:00", "gap", "2026-10-04T02:00:00", "2026-10-04T02:30:00"),
    ("Antarctica/Troll", "2026-03-29T02:59:00", "gap", "2026-03-29T01:00:00", "2026-03-29T03:00:00"),
    ("Pacific/Apia", "2011-12-30T23:59:59", "gap", "2011-12-30T00:00:00", "2011-12-31T00:00:00"),
    ("Asia/Manila", "1844-12-31T12:00:00", "gap", "1844-12-31T00:00:00", "1845-01-01T00:00:00"),
    ("America/St_Johns", "2009-11-01T00:00:59", "fold", "2009-10-31T23:01:00", "2009-11-01T00:01:00"),
    ("Africa/Monrovia", "1972-01-07T00:30:00", "gap", "1972-01-07T00:00:00", "1972-01-07T00:44:30"),
    ("America/New_York", "2199-11-03T01:30:00", "fold", "2199-11-03T01:00:00", "2199-11-03T02:00:00"),
]


@pytest.mark.parametrize(("name", "wall", "kind", "first", "end"), CHANGES)
def test_the_change_at_a_wall_time_is_found_to_the_second(
    name: str, wall: str, kind: str, first: str, end: str
) -> None:
    change = clock_change_at(datetime.fromisoformat(wall), zone(name))

    assert change is not None
    assert change.kind is ClockChangeKind(kind)
    assert (change.first_wall.isoformat(), change.end_wall.isoformat()) == (first, end)
    assert change.at.astimezone(zone(name)).utcoffset() == change.offset_after
    assert (change.at - timedelta(seconds=1)).astimezone(zone(name)).utcoffset() == change.offset_before


@pytest.mark.parametrize(("name", "wall", "kind", "first", "end"), CHANGES)
def test_the_seconds_beside_a_change_are_ordinary(
    name: str, wall: str, kind: str, first: str, end: str
) -> None:
    assert clock_change_at(datetime.fromisoformat(first) - timedelta(seconds=1), zone(name)) is None
    assert clock_change_at(datetime.fromisoformat(end), zone(name)) is None


def test_the_changes_of_a_range_leave_out_its_start_and_take_in_its_end() -> None:
    tz = zone("Europe/Berlin")
    spring, autumn = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)

    assert [change.at for change in clock_changes(tz, spring - timedelta(microseconds=1), autumn)] == [
        spring,
        autumn,
    ]
    assert [change.at for change in clock_changes(tz, spring, autumn - timedelta(microseconds=1))] == []


def test_the_two_changes_closest_to_each_other_are_both_found() -> None:
    # Recife tried summer time for a week: a week less an hour lies between its changes.
    found = list(
        clock_changes(
            zone("America/Recife"), datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)
        )
    )

    assert [change.kind.value for change in found[-2:]] == ["gap", "fold"]
    assert found[-1].at - found[-2].at == timedelta(hours=167)


def test_no_change_is_made_up_where_a_zone_file_ends_and_its_rule_begins() -> None:
    # Nuuk stayed on its summer time in 2023; for the wall times of the evening, zoneinfo says otherwise.
    tz = zone("America/Nuuk")
    evening = datetime(2023, 10, 28, 23, 53)

    assert clock_change_at(evening, tz) is None
    assert first_instant(evening, tz) == datetime(2023, 10, 29, 1, 53, tzinfo=UTC)
    assert not list(
        clock_changes(tz, datetime(2023, 10, 27, 1, 53, tzinfo=UTC), datetime(2023, 10, 31, tzinfo=UTC))
    )


def test_a_zone_without_changes_has_none() -> None:
    assert not list(
        clock_changes(zone("UTC"), datetime(1900, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    )


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(zone_names())),
    st.datetimes(datetime(1890, 1, 1), datetime(2150, 1, 1)),
    st.integers(0, 200_000),
)
def test_the_instant_of_a_wall_time_never_decreases(name: str, wall: datetime, seconds: int) -> None:
    tz = zone(name)

    assert first_instant(wall, tz) <= first_instant(wall + timedelta(seconds=seconds), tz)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(zone_names())), st.datetimes(datetime(1890, 1, 1), datetime(2150, 1, 1)))
def test_every_moment_is_found_again_from_its_wall_time(name: str, moment: datetime) -> None:
    tz = zone(name)
    instant = moment.replace(tzinfo=UTC)
    wall = wall_reading(instant, tz)
    change = clock_change_at(wall, tz)

    assert last_instant(wall, tz) >= first_instant(wall, tz)
    assert instant == (last_instant(wall, tz) if change and instant >= change.at else first_instant(wall, tz))
