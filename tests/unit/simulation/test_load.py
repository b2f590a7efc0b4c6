from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.intervals import IntervalUnit
from webhookcron.core.schedules import Schedule, ScheduleType, fire_times_between
from webhookcron.simulation.load import RangeTooLong, SimulatedJob, simulate
from webhookcron.simulation.offsets import stable_offset, suggested_offsets, with_suggestions

START = datetime(2030, 1, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def cron(expression: str, host: str = "a.example", label: str = "job", **more: int) -> SimulatedJob:
    schedule = Schedule(type=ScheduleType.CRON, cron_expression=expression)
    return SimulatedJob(label=label, seed=label, host=host, schedule=schedule, **more)


def every(value: int, unit: IntervalUnit, host: str = "a.example") -> SimulatedJob:
    anchor = START - timedelta(seconds=13)
    schedule = Schedule(type=ScheduleType.INTERVAL, interval=unit, interval_value=value, anchor_at=anchor)
    return SimulatedJob(label="job", seed="job", host=host, schedule=schedule)


def test_it_counts_by_minute_and_host() -> None:
    jobs = [cron("0 * * * *"), cron("0 * * * *", "b.example"), cron("*/20 * * * *")]

    load = simulate(jobs, START, START + HOUR)

    assert load.per_minute == {
        START: 3,
        START + timedelta(minutes=20): 1,
        START + timedelta(minutes=40): 1,
    }
    assert [(host.host, host.jobs, host.executions, host.peak) for host in load.hosts] == [
        ("a.example", 2, 4, 2),
        ("b.example", 1, 1, 1),
    ]
    assert (load.peaks[0].minute, load.peaks[0].hosts) == (START, (("a.example", 2), ("b.example", 1)))
    assert load.fullest_instant == (START, 3)
    assert (load.total, load.minutes, load.peak) == (5, 60, 3)


def test_the_end_of_the_range_is_not_in_it() -> None:
    assert simulate([cron("0 * * * *")], START, START + HOUR).total == 1
    assert simulate([cron("0 * * * *")], START, START + HOUR + timedelta(seconds=1)).total == 2


def test_jitter_moves_each_job_by_itself() -> None:
    jobs = [cron("0 0 * * *", label=f"job {n}", jitter_ms=1_800_000) for n in range(40)]

    load = simulate(jobs, START, START + HOUR)

    assert load.total == 40
    assert load.peak < 10
    assert max(load.per_minute) <= START + timedelta(minutes=30)


JOBS = [
    cron("*/10 * * * * *"),
    cron("5,7,50 1-3 * * * *"),
    every(7, IntervalUnit.SECOND),
    every(90, IntervalUnit.SECOND),
    every(3, IntervalUnit.MINUTE),
    every(1, IntervalUnit.DAY),
]


@settings(max_examples=30)
@given(st.sampled_from(JOBS), st.integers(0, 3600), st.integers(60, 7200))
def test_counting_by_arithmetic_gives_what_walking_gives(job: SimulatedJob, offset: int, length: int) -> None:
    # Whole minutes: a schedule finer than a minute is counted by the minute.
    start = START + timedelta(seconds=offset // 60 * 60)
    end = start + timedelta(seconds=length // 60 * 60)
    tick = timedelta(microseconds=1)
    walked = Counter(
        moment.replace(second=0)
        for moment in fire_times_between(job.schedule, start - tick, end - tick, 10_000)
    )

    assert simulate([job], start, end).per_minute == dict(walked)


def test_a_range_that_needs_too_much_work_is_refused_with_one_that_fits() -> None:
    jobs = [cron(f"{n} * * * * *") for n in range(60)]

    with pytest.raises(RangeTooLong, match=r"about \d+ hours would fit"):
        simulate(jobs, START, START + timedelta(days=300))


@pytest.mark.parametrize("length", [timedelta(0), timedelta(days=367), timedelta(days=-1)])
def test_a_range_that_is_none_is_refused(length: timedelta) -> None:
    with pytest.raises(ValueError, match="range"):
        simulate([], START, START + length)


def test_many_jobs_with_one_schedule_cost_as_much_as_one() -> None:
    steps: list[tuple[int, int]] = []

    simulate([cron("* * * * *")] * 5_000, START, START + HOUR, progress=lambda *step: steps.append(step))

    assert steps == [(60, 60)]


def test_crowded_minutes_get_stable_offsets() -> None:
    jobs = [cron("0 * * * *", label=f"job {n}") for n in range(30)] + [cron("17 * * * *", label="other")]
    load = simulate(jobs, START, START + HOUR)

    suggestions = suggested_offsets(jobs, load)
    after = simulate(with_suggestions(jobs, suggestions), START, START + HOUR)

    assert {suggestion.job.label for suggestion in suggestions} <= {f"job {n}" for n in range(30)}
    assert suggestions == suggested_offsets(jobs, load)
    assert after.total == load.total
    assert after.peak < load.peak / 3


def test_nothing_is_suggested_where_no_minute_is_shared() -> None:
    jobs = [cron("0 * * * *", label="hourly"), cron("30 9 * * *", label="daily")]
    load = simulate(jobs, START, START + timedelta(days=1))

    assert load.peak == 1
    assert suggested_offsets(jobs, load) == []


@pytest.mark.parametrize(
    ("expression", "moved"),
    [
        ("0 9 * * 1", "{60} 9 * * 1"),
        ("0 0 9 * * 1", "0 {60} 9 * * 1"),
        ("*/15 * * * *", "{15}-59/15 * * * *"),
        # Clock changes would treat them otherwise.
        ("*/15 2 * * *", None),
        # Not every so many minutes: the last step is shorter.
        ("*/7 * * * *", None),
        ("0,30 * * * *", None),
        ("* * * * *", None),
        ("1 9 * * *", None),
    ],
)
def test_only_the_minute_moves_and_only_where_it_is_plain(expression: str, moved: str | None) -> None:
    job = cron(expression, label="some job")
    crowd = [cron("0 * * * *", label=f"job {n}") for n in range(100)]
    load = simulate([*crowd, job], START, START + timedelta(days=7))

    found = [suggestion.expression for suggestion in suggested_offsets([job], load)]

    for modulus in (60, 15):
        moved = moved and moved.replace(f"{{{modulus}}}", str(stable_offset("some job", modulus)))
    assert found == ([moved] if moved else [])
