"""From the fields of a schedule to a Schedule, or to what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.intervals import IntervalUnit
from webhookcron.core.jobs import Job
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.service.definitions import DefinitionRules
from webhookcron.service.schedule_fields import first_cursor

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def schedule(
    rules: DefinitionRules, fields: Callable[..., dict[str, Any]], now: datetime
) -> Callable[..., Schedule]:
    def make(stored: Job | None = None, **given: Any) -> Schedule:
        return rules.build(fields(**given), now=now, stored=stored).schedule

    return make


def test_it_infers_the_type_from_the_fields(schedule: Callable[..., Schedule], now: datetime) -> None:
    assert schedule(cron_expression="0 9 * * 1").type is ScheduleType.CRON
    assert schedule(interval="minute", interval_value=5).type is ScheduleType.INTERVAL
    assert schedule(run_at=now + HOUR).type is ScheduleType.ONCE
    assert schedule(delay_ms=0).type is ScheduleType.ONCE


def test_it_takes_the_platforms_zone_where_none_is_given(
    fields: Callable[..., dict[str, Any]], rules: DefinitionRules, now: datetime
) -> None:
    berlin = replace(rules, default_timezone="Europe/Berlin")
    assert berlin.build(fields(), now=now).schedule.timezone == "Europe/Berlin"
    assert berlin.build(fields(timezone="Asia/Tokyo"), now=now).schedule.timezone == "Asia/Tokyo"


def test_white_space_in_an_expression_becomes_single_blanks(
    schedule: Callable[..., Schedule], job: Callable[..., Job]
) -> None:
    assert schedule(cron_expression=" 0\t9  * * mon\r\n").cron_expression == "0 9 * * mon"
    stored = job(cron_expression="0 9 * * 1")
    stored = replace(stored, schedule=replace(stored.schedule, cron_expression="0  9 * * 1"))
    assert schedule(stored=stored, cron_expression="0  9 * * 1") is stored.schedule


def test_a_delay_counts_from_now(schedule: Callable[..., Schedule], now: datetime) -> None:
    assert schedule(delay_ms=1500).run_at == now + timedelta(milliseconds=1500)


def test_a_bare_run_at_is_a_wall_time_in_the_zone(schedule: Callable[..., Schedule]) -> None:
    made = schedule(run_at=datetime(2030, 7, 1, 9), timezone="Europe/Berlin")
    assert made.run_at == datetime(2030, 7, 1, 7, tzinfo=UTC)


def test_an_interval_counts_from_its_creation(schedule: Callable[..., Schedule], now: datetime) -> None:
    made = schedule(interval="hour", interval_value=2)
    assert (made.anchor_at, made.anchor_fires) == (now, False)


def test_an_interval_with_a_start_fires_at_the_start(
    schedule: Callable[..., Schedule], now: datetime
) -> None:
    made = schedule(interval="hour", interval_value=2, start_at=now + MINUTE)
    assert (made.anchor_at, made.anchor_fires) == (now + MINUTE, True)


def test_an_interval_that_stays_keeps_its_anchor(
    schedule: Callable[..., Schedule], job: Callable[..., Job], now: datetime
) -> None:
    stored = job(interval="hour", interval_value=2, at=now - MINUTE)
    assert schedule(stored=stored, interval="hour", interval_value=2) is stored.schedule
    with_end = schedule(stored=stored, interval="hour", interval_value=2, end_at=now + HOUR * 9)
    assert with_end.anchor_at == now - MINUTE


def test_an_interval_that_changes_counts_anew(
    schedule: Callable[..., Schedule], job: Callable[..., Job], now: datetime
) -> None:
    stored = job(interval="hour", interval_value=2, at=now - MINUTE)
    changed = schedule(stored=stored, interval="hour", interval_value=3)
    assert (changed.interval, changed.anchor_at) == (IntervalUnit.HOUR, now)


def test_a_moment_within_the_grace_fires_at_once(schedule: Callable[..., Schedule], now: datetime) -> None:
    made = schedule(run_at=now - timedelta(seconds=59))
    assert first_cursor(made, now) < now - timedelta(seconds=59)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"cron_expression": None}, "schedule_type", "a schedule is needed"),
        ({"cron_expression": "* * *"}, "cron_expression", "field"),
        ({"cron_expression": "0 0 30 2 *"}, "cron_expression", ""),
        ({"timezone": "Berlin"}, "timezone", "Europe/Berlin"),
        ({"cron_expression": "@daily", "interval": "hour", "interval_value": 1}, "interval", "only one"),
        ({"interval": "hour"}, "interval_value", "together"),
        ({"interval_value": 3}, "interval", "together"),
        ({"interval": "year", "interval_value": 101}, "interval_value", "1 to 100"),
        ({"schedule_type": "once"}, "schedule_type", "once"),
        ({"schedule_type": "interval", "cron_expression": None}, "interval", "a schedule is needed"),
        ({"run_at": datetime(2030, 1, 15, 11, 58, tzinfo=UTC)}, "run_at", "in the past"),
        ({"run_at": datetime(2031, 1, 1, tzinfo=UTC), "delay_ms": 1}, "delay_ms", "only one"),
        ({"end_at": datetime(2030, 1, 15, 11, tzinfo=UTC)}, "end_at", "in the past"),
        (
            {"start_at": datetime(2031, 1, 2, tzinfo=UTC), "end_at": datetime(2031, 1, 1, tzinfo=UTC)},
            "end_at",
            "before startAt",
        ),
        ({"end_at": datetime(2030, 1, 16, 8, tzinfo=UTC)}, "end_at", "no fire time left"),
        (
            {"run_at": datetime(2031, 1, 1, tzinfo=UTC), "start_at": datetime(2032, 1, 1, tzinfo=UTC)},
            "start_at",
            "no fire time left",
        ),
    ],
)  # fmt: skip
def test_it_names_the_field_that_is_wrong(
    refusals: Callable[..., dict[str, Any]], given: dict[str, Any], field: str, said: str
) -> None:
    errors = refusals(**given)
    assert field in errors
    assert said in errors[field][0]


def test_a_wrong_zone_does_not_hide_a_wrong_expression(refusals: Callable[..., dict[str, Any]]) -> None:
    assert set(refusals(timezone="Mars/Olympus", cron_expression="99 * * * *")) == {
        "timezone",
        "cron_expression",
    }


def test_a_schedule_that_is_over_may_stay(
    refusals: Callable[..., dict[str, Any]], job: Callable[..., Job], now: datetime
) -> None:
    long_ago = now - timedelta(days=100)
    stored = job(run_at=long_ago, at=long_ago)
    assert refusals(stored=stored, run_at=long_ago) == {}
    assert "run_at" in refusals(stored=stored, run_at=long_ago + MINUTE)


def test_a_longer_grace_lets_an_older_moment_in(
    refusals: Callable[..., dict[str, Any]], now: datetime
) -> None:
    assert "run_at" in refusals(run_at=now - HOUR)
    assert refusals(run_at=now - HOUR, misfire_grace_ms=2 * 3_600_000) == {}
