"""The public face: the table of cases, the bounds, and the functions agreeing with each other."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.schedules import (
    IntervalUnit,
    Schedule,
    ScheduleType,
    count_fire_times,
    fire_times_between,
    is_fire_time,
    jittered,
    latest_fire_time,
    next_fire_time,
    next_fire_times,
    previous_fire_time,
    resolve_wall_time,
    validate_cron_expression,
)

TABLE = json.loads((Path(__file__).parent / "data" / "cron_cases.json").read_text(encoding="utf-8"))
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "America/St_Johns",
    "Pacific/Apia",
]


def cron(expression: str, timezone: str = "UTC", **bounds: Any) -> Schedule:
    return Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone, **bounds)


def every(value: int, unit: str, anchor: datetime, timezone: str = "UTC", **fields: Any) -> Schedule:
    return Schedule(
        type=ScheduleType.INTERVAL,
        interval=IntervalUnit(unit),
        interval_value=value,
        anchor_at=anchor,
        timezone=timezone,
        **fields,
    )


def once(run_at: datetime, **bounds: Any) -> Schedule:
    return Schedule(type=ScheduleType.ONCE, run_at=run_at, **bounds)


def table_expression(entry: dict[str, Any]) -> Any:
    """The expression of an entry; long ones are given as parts and how often each is repeated."""
    if "expr_parts" in entry:
        return "".join(text * times for text, times in entry["expr_parts"])
    return entry["expr"]


# --- the table of cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", TABLE["cases"], ids=lambda case: f"{case['expr']} {case['tz']} {case['start']}"
)
def test_it_gives_the_next_five_fire_times_of_the_table(case: dict[str, Any]) -> None:
    found = next_fire_times(case["expr"], case["tz"], datetime.fromisoformat(case["start"]), 5)

    assert [moment.isoformat() for moment in found] in [case["expected"], *case.get("also_ok", [])]


@pytest.mark.parametrize("entry", TABLE["refuse"], ids=lambda entry: entry["why"])
def test_it_refuses_what_the_table_refuses(entry: dict[str, Any]) -> None:
    expression = table_expression(entry)

    with pytest.raises(ValueError) as refusal:
        next_fire_times(expression, "UTC", NOON, 1)

    assert 10 < len(str(refusal.value)) <= 300
    if isinstance(expression, str) and len(expression) > 60:
        assert expression not in str(refusal.value)


@pytest.mark.parametrize("entry", TABLE["accept"], ids=lambda entry: entry["expr"])
def test_it_accepts_what_the_table_accepts(entry: dict[str, Any]) -> None:
    [moment] = next_fire_times(table_expression(entry), "UTC", NOON, 1)

    assert moment > NOON


# --- next_fire_times --------------------------------------------------------------------------------------


def test_fire_times_are_listed_in_the_zone_with_its_offset() -> None:
    [moment] = next_fire_times("0 9 * * *", "Europe/Berlin", NOON, 1)

    assert moment.isoformat() == "2026-05-06T09:00:00+02:00"
    assert str(moment.tzinfo) == "Europe/Berlin"


REFUSED_ARGUMENTS: list[tuple[str, Any, Any, Any, Any]] = [
    ("no expression", None, "UTC", NOON, 1),
    ("a list as expression", ["* * * * *"], "UTC", NOON, 1),
    ("bytes as expression", b"* * * * *", "UTC", NOON, 1),
    ("a number as expression", 5, "UTC", NOON, 1),
    ("an unknown zone", "* * * * *", "Mars/Olympus", NOON, 1),
    ("an empty zone", "* * * * *", "", NOON, 1),
    ("no zone", "* * * * *", None, NOON, 1),
    ("a list as zone", "* * * * *", ["UTC"], NOON, 1),
    ("a start without offset", "* * * * *", "UTC", datetime(2026, 5, 5), 1),
    ("text as start", "* * * * *", "UTC", "2026-05-05T00:00:00Z", 1),
    ("a count of zero", "* * * * *", "UTC", NOON, 0),
    ("a count below zero", "* * * * *", "UTC", NOON, -1),
    ("a count far too high", "* * * * *", "UTC", NOON, 1_000_000),
    ("true as count", "* * * * *", "UTC", NOON, True),
    ("text as count", "* * * * *", "UTC", NOON, "5"),
    ("a time that the zone skips in every year", "*/5 2 * 3 0L", "Europe/Berlin", NOON, 1),
    ("a start at the end of the calendar", "* * * * *", "UTC", datetime.max.replace(tzinfo=UTC), 1),
]


@pytest.mark.parametrize("arguments", REFUSED_ARGUMENTS, ids=lambda arguments: arguments[0])
def test_it_refuses_unfit_arguments_with_a_readable_message(
    arguments: tuple[str, Any, Any, Any, Any],
) -> None:
    with pytest.raises(ValueError) as refusal:
        next_fire_times(*arguments[1:])

    assert str(refusal.value).endswith((".", "?"))
    assert len(str(refusal.value)) <= 300


def test_the_earliest_moments_python_knows_are_no_problem() -> None:
    start = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))

    assert next_fire_times("0 0 * * *", "Asia/Tokyo", start, 1)[0].year == 2


def test_a_cron_expression_is_normalised() -> None:
    assert validate_cron_expression("  0\t9 * *  mon-fri\n") == "0 9 * * MON-FRI"
    assert validate_cron_expression("@Daily") == "0 0 * * *"


# --- bounds -----------------------------------------------------------------------------------------------


def test_a_fire_time_that_equals_start_at_counts() -> None:
    schedule = cron("0 12 * * *", start_at=NOON)

    assert next_fire_time(schedule, NOON - timedelta(days=30)) == NOON


def test_no_fire_time_is_earlier_than_start_at() -> None:
    schedule = cron("0 12 * * *", start_at=NOON + timedelta(milliseconds=1))

    assert next_fire_time(schedule, NOON - timedelta(days=30)) == NOON + timedelta(days=1)
    assert previous_fire_time(schedule, NOON + timedelta(hours=1)) is None


def test_a_fire_time_that_equals_end_at_counts_and_is_the_last() -> None:
    schedule = cron("0 12 * * *", end_at=NOON)

    assert next_fire_time(schedule, NOON - timedelta(seconds=1)) == NOON
    assert next_fire_time(schedule, NOON) is None
    assert latest_fire_time(schedule, NOON - timedelta(days=1), NOON + timedelta(days=300)) == NOON


def test_bounds_hold_for_counting_and_listing() -> None:
    schedule = cron("0 * * * *", start_at=NOON, end_at=NOON + timedelta(hours=2))
    day = (NOON - timedelta(hours=12), NOON + timedelta(hours=12))

    assert count_fire_times(schedule, *day, limit=100) == 3
    assert len(fire_times_between(schedule, *day, limit=100)) == 3


def test_bounds_in_other_zones_are_the_same_instants() -> None:
    tokyo = timezone(timedelta(hours=9))
    schedule = cron("0 12 * * *", start_at=NOON.astimezone(tokyo), end_at=NOON.astimezone(tokyo))

    assert fire_times_between(schedule, NOON - timedelta(days=5), NOON + timedelta(days=5), 9) == [NOON]


# --- once -------------------------------------------------------------------------------------------------


def test_once_fires_at_its_moment_and_never_again() -> None:
    schedule = once(NOON)

    assert next_fire_time(schedule, NOON - timedelta(days=1)) == NOON
    assert next_fire_time(schedule, NOON) is None
    assert is_fire_time(schedule, NOON)
    assert latest_fire_time(schedule, NOON - timedelta(days=1), NOON) == NOON
    assert latest_fire_time(schedule, NOON, NOON + timedelta(days=1)) is None
    assert count_fire_times(schedule, NOON - timedelta(days=1), NOON, limit=10) == 1


def test_once_outside_its_bounds_never_fires() -> None:
    assert next_fire_time(once(NOON, end_at=NOON - timedelta(seconds=1)), NOON - timedelta(days=1)) is None
    assert next_fire_time(once(NOON, start_at=NOON + timedelta(seconds=1)), NOON - timedelta(days=1)) is None


WALL_TIMES = [
    ("an ordinary one", datetime(2026, 5, 5, 9), "2026-05-05T07:00:00+00:00"),
    ("in a gap, the end of it", datetime(2026, 3, 29, 2, 30), "2026-03-29T01:00:00+00:00"),
    ("in a fold, the first", datetime(2026, 10, 25, 2, 30), "2026-10-25T00:30:00+00:00"),
    ("in a fold marked as second, the first", datetime(2026, 10, 25, 2, 30, fold=1), "2026-10-25T00:30:00+00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wall", "instant"), WALL_TIMES, ids=[name for name, _, _ in WALL_TIMES])
def test_a_bare_wall_time_is_one_instant(name: str, wall: datetime, instant: str) -> None:
    assert resolve_wall_time(wall, "Europe/Berlin").isoformat() == instant


@pytest.mark.parametrize("wall", [NOON, datetime.max, datetime.min])
def test_what_is_no_bare_wall_time_of_the_calendar_is_refused(wall: datetime) -> None:
    with pytest.raises(ValueError, match=r"wall time"):
        resolve_wall_time(wall, "UTC")


# --- what a schedule must hold ----------------------------------------------------------------------------

REFUSED_SCHEDULES: list[tuple[str, Callable[[], Schedule]]] = [
    ("cron without expression", lambda: Schedule(type=ScheduleType.CRON)),
    ("cron with a wrong expression", lambda: cron("61 * * * *")),
    ("cron with an unknown zone", lambda: cron("* * * * *", "Nowhere")),
    ("cron with a moment to run at", lambda: cron("* * * * *", run_at=NOON)),
    ("interval without its value", lambda: Schedule(type=ScheduleType.INTERVAL, interval=IntervalUnit.DAY)),
    ("interval of zero", lambda: every(0, "day", NOON)),
    ("interval below zero", lambda: every(-5, "second", NOON)),
    ("interval of true", lambda: every(True, "second", NOON)),
    ("interval of half", lambda: every(0.5, "hour", NOON)),  # type: ignore[arg-type]
    ("interval of more than a century", lambda: every(101, "year", NOON)),
    ("interval with a naive anchor", lambda: every(1, "day", datetime(2026, 5, 5))),
    ("interval with a cron expression", lambda: every(1, "day", NOON, cron_expression="* * * * *")),
    ("once without its moment", lambda: Schedule(type=ScheduleType.ONCE)),
    ("once with a naive moment", lambda: once(datetime(2026, 5, 5))),
    ("a naive bound", lambda: once(NOON, end_at=datetime(2026, 5, 5))),
    ("a bound at the end of the calendar", lambda: once(NOON, end_at=datetime.max.replace(tzinfo=UTC))),
    ("an unknown type", lambda: Schedule(type="weekly")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    "make", [make for _, make in REFUSED_SCHEDULES], ids=[name for name, _ in REFUSED_SCHEDULES]
)
def test_a_schedule_that_makes_no_sense_is_refused(make: Callable[[], Schedule]) -> None:
    with pytest.raises(ValueError):
        make()


# --- the functions agree ----------------------------------------------------------------------------------

EXPRESSIONS = [
    "* * * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "5-59/20 1-3 * * *",
    "30 2 * * *",
    "0 0 LW * *",
    "0 0 * * 1#1",
]

schedules = st.one_of(
    st.builds(cron, st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES)),
    st.builds(
        lambda value, unit, anchor, zone, fires: every(value, unit, anchor, zone, anchor_fires=fires),
        st.integers(1, 40),
        st.sampled_from([unit.value for unit in IntervalUnit]),
        st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(
            lambda moment: moment.replace(tzinfo=UTC)
        ),
        st.sampled_from(ZONES),
        st.booleans(),
    ),
)
# Often within a day of a clock change of one of the zones.
moments = st.one_of(
    st.datetimes(datetime(1990, 1, 1), datetime(2045, 1, 1)),
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds),
        st.sampled_from(
            [datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2011, 12, 30), datetime(2026, 10, 4)]
        ),
        st.floats(-100_000, 100_000, allow_nan=False),
    ),
).map(lambda moment: moment.replace(tzinfo=UTC))


@settings(max_examples=150, deadline=None)
@given(schedules, moments)
def test_fire_times_increase_strictly_and_come_after_the_start(schedule: Schedule, start: datetime) -> None:
    previous = start
    for _ in range(8):
        moment = next_fire_time(schedule, previous)
        assert moment is not None
        assert moment > previous
        assert moment.tzinfo is UTC
        assert is_fire_time(schedule, moment)
        previous = moment


@settings(max_examples=150, deadline=None)
@given(schedules, moments, st.floats(0, 0.999999))
def test_the_next_fire_time_is_the_same_from_anywhere_since_the_one_before(
    schedule: Schedule, start: datetime, share: float
) -> None:
    first = next_fire_time(schedule, start)
    assert first is not None
    second = next_fire_time(schedule, first)
    assert second is not None

    assert next_fire_time(schedule, first + (second - first) * share) == second
    assert previous_fire_time(schedule, second) == first


@settings(max_examples=150, deadline=None)
@given(schedules, moments, st.integers(0, 12))
def test_latest_count_and_list_agree(schedule: Schedule, start: datetime, fires: int) -> None:
    until = start
    for _ in range(fires):
        following = next_fire_time(schedule, until)
        assert following is not None
        until = following
    listed = fire_times_between(schedule, start, until, limit=100)

    assert len(listed) == fires
    assert latest_fire_time(schedule, start, until) == (listed[-1] if listed else None)
    assert count_fire_times(schedule, start, until, limit=100) == fires
    assert fire_times_between(schedule, start, until, limit=3) == listed[:3]
    assert count_fire_times(schedule, start, until, limit=3) == min(3, fires)


def test_years_of_second_level_fire_times_are_counted_without_listing_them() -> None:
    decade = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    seconds = int((decade[1] - decade[0]).total_seconds())

    assert count_fire_times(cron("* * * * * *", "Europe/Berlin"), *decade, limit=10**12) == seconds
    assert count_fire_times(every(1, "second", NOON.replace(year=2000)), *decade, limit=10**12) == seconds
    assert latest_fire_time(cron("* * * * * *"), *decade) == decade[1]


def test_nothing_is_in_a_range_that_ends_before_it_starts() -> None:
    earlier = NOON - timedelta(days=1)

    for schedule in (cron("* * * * *", "Europe/Berlin"), every(1, "minute", earlier), once(NOON)):
        assert count_fire_times(schedule, NOON, earlier, limit=10) == 0
        assert fire_times_between(schedule, NOON, earlier, limit=10) == []
        assert latest_fire_time(schedule, NOON, earlier) is None


# --- jitter -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text(max_size=30), moments, st.integers(0, 3_600_000))
def test_jitter_is_within_its_bounds_and_always_the_same(
    job_id: str, moment: datetime, jitter_ms: int
) -> None:
    shifted = jittered(job_id, moment, jitter_ms)

    assert timedelta(0) <= shifted - moment <= timedelta(milliseconds=jitter_ms)
    assert jittered(job_id, moment, jitter_ms) == shifted


def test_jitter_is_the_same_in_every_process_and_version() -> None:
    # Tickers of two versions run side by side during an upgrade: a change here splits their schedules.
    assert jittered("job", NOON, 60_000) - NOON == timedelta(milliseconds=54_197)


def test_jitter_spreads_over_its_whole_range() -> None:
    shifts = {
        (jittered(f"job{number}", NOON, 3) - NOON) // timedelta(milliseconds=1) for number in range(200)
    }

    assert shifts == {0, 1, 2, 3}


def test_jitter_differs_from_fire_time_to_fire_time() -> None:
    assert (
        len({jittered("job", NOON + timedelta(days=n), 60_000) - NOON - timedelta(days=n) for n in range(20)})
        > 10
    )


# --- purity -----------------------------------------------------------------------------------------------


def test_importing_it_loads_no_framework_and_no_driver() -> None:
    script = (
        "import sys, webhookcron.core.schedules, webhookcron.core.clock_changes\n"
        "print(sorted({'flask', 'pymongo', 'redis', 'requests', 'celery', 'pycurl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
