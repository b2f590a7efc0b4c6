"""What a schedule will do, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

PREVIEW = "/api/cron/preview"


def test_a_schedule_is_shown_in_its_zone_and_in_words(caller: Any) -> None:
    body = {
        "cronExpression": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "from": "2030-03-30T00:00:00Z",
        "count": 3,
    }
    preview = caller("POST", PREVIEW, body).get_json()
    assert preview["fireTimes"] == [
        {"utc": "2030-03-30T01:30:00.000Z", "local": "2030-03-30T02:30:00.000+01:00"},
        {"utc": "2030-03-31T01:00:00.000Z", "local": "2030-03-31T03:00:00.000+02:00"},
        {"utc": "2030-04-01T00:30:00.000Z", "local": "2030-04-01T02:30:00.000+02:00"},
    ]
    assert preview["description"].startswith("At 02:30")
    gap, fold = preview["clockChanges"][:2]
    assert (gap["kind"], gap["effect"], gap["wallTimes"]) == ("gap", "moved", ["2030-03-31T02:30:00"])
    assert (fold["kind"], fold["effect"]) == ("fold", "firstPassOnly")
    assert "02:30 does not happen" in gap["sentence"]


def test_the_first_moment_asked_for_counts(caller: Any) -> None:
    body = {"cronExpression": "0 12 * * *", "from": "2030-03-30T12:00:00Z", "count": 1}
    assert caller("POST", PREVIEW, body).get_json()["fireTimes"][0]["utc"] == "2030-03-30T12:00:00.000Z"


@pytest.mark.parametrize(
    "schedule",
    [
        {"cronExpression": "30 2 * * *", "timezone": "Europe/Berlin"},
        {"interval": "second", "intervalValue": 1, "timezone": "Pacific/Kiritimati"},
        {"interval": "month", "intervalValue": 1, "timezone": "Pacific/Kiritimati"},
    ],
)
@pytest.mark.parametrize("year", [7_500, 9_997, 9_998])
def test_a_schedule_can_be_shown_up_to_the_end_of_the_calendar(
    caller: Any, schedule: dict[str, Any], year: int
) -> None:
    preview = caller("POST", PREVIEW, {**schedule, "from": f"{year}-12-30T23:59:00Z"})
    assert preview.status_code == 200
    times = [fire_time["utc"] for fire_time in preview.get_json()["fireTimes"]]
    assert len(times) == 10 or year == 9_998
    assert all(f"{year}-12-30" < moment <= "9998-12-31T00:00:00.000Z" for moment in times)


@pytest.mark.parametrize(("jitter_ms", "waiting"), [(3_600_000, 2), (0, 0)])
def test_what_waits_for_its_jitter_is_shown_first(
    caller: Any, platform: Any, jitter_ms: int, waiting: int
) -> None:
    job = caller.created(
        interval="minute", intervalValue=1, startAt="2020-01-01T00:00:00Z", jitterMs=jitter_ms
    )
    upcoming = datetime.fromisoformat(job["nextRunAt"])
    minute = timedelta(minutes=1)
    platform.database["jobs"].update_one(
        {"_id": job["id"]}, {"$set": {"handledThrough": upcoming - (waiting + 1) * minute}}
    )
    shown = caller("GET", f"/api/cron/{job['id']}/next?count=3").get_json()["fireTimes"]
    times = [datetime.fromisoformat(fire_time["utc"]) for fire_time in shown]
    # The minute may have turned meanwhile.
    passed = 0 if waiting else (times[0] - upcoming) // minute
    assert times == [upcoming + (n - waiting + passed) * minute for n in range(3)]


def test_a_job_that_starts_in_thousands_of_years_shows_its_fire_times(caller: Any) -> None:
    job = caller.created(cronExpression="0 0 1 1 *", startAt="9000-01-01T00:00:00Z")
    shown = caller("GET", f"/api/cron/{job['id']}/next?count=2").get_json()["fireTimes"]
    assert [fire_time["utc"] for fire_time in shown] == [
        "9000-01-01T00:00:00.000Z",
        "9001-01-01T00:00:00.000Z",
    ]


def test_nothing_is_stored(caller: Any, platform: Any) -> None:
    assert caller("POST", PREVIEW, {"delayMs": 0}).get_json()["scheduleType"] == "once"
    assert platform.database["jobs"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scheduleType"),
        ({"cronExpression": "x"}, "cronExpression"),
        ({"delayMs": 0, "count": 101}, "count"),
    ],
)
def test_what_is_wrong_is_named(caller: Any, body: dict[str, Any], field: str) -> None:
    response = caller("POST", PREVIEW, body)
    assert response.status_code == 422
    assert field in response.get_json()["errors"]["json"]


def test_the_next_fire_times_of_a_job_start_with_its_next_run(caller: Any) -> None:
    job = caller.created(maxRuns=2)
    shown = caller("GET", f"/api/cron/{job['id']}/next?count=5").get_json()["fireTimes"]
    assert len(shown) == 2
    assert shown[0]["utc"] == job["nextRunAt"]


def test_a_job_that_is_due_now_shows_it(caller: Any) -> None:
    job = caller.created(delayMs=0)
    assert caller("GET", f"/api/cron/{job['id']}/next").get_json()["fireTimes"][0]["utc"] == job["runAt"]


def test_a_completed_job_has_none(caller: Any) -> None:
    job = caller.created(delayMs=0, isActive=False)
    caller("POST", f"/api/cron/{job['id']}/resume")
    assert caller("GET", f"/api/cron/{job['id']}/next").get_json()["fireTimes"] == []


def test_what_stays_within_bounds_takes_no_time(caller: Any) -> None:
    rare = {"cronExpression": "0 0 29 2 *", "count": 100}
    assert len(caller("POST", PREVIEW, rare).get_json()["fireTimes"]) == 100
