"""What the overview and the list of jobs tell of executions, from roll-ups and the end of the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.executions import ExecutionStatus, schedule_execution_id
from webhookcron.core.rollups import hour_at, hour_of
from webhookcron.service.activity import ActivityService
from webhookcron.service.recent_runs import RecentRuns

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def _the_clock_stands_still(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hour ends between what a test writes and what it reads."""
    monkeypatch.setattr(type(platform.clock), "now", lambda _clock: NOW)


def put_run(platform: Any, job: Any, seconds_ago: int, **fields: Any) -> None:
    """An execution as far as these figures look at it."""
    moment = NOW - timedelta(seconds=seconds_ago)
    platform.database["executions"].insert_one(
        {
            "_id": schedule_execution_id(job.id, moment),
            "jobId": job.id,
            "ownerId": job.owner_id,
            "status": "success",
            "trigger": "schedule",
            "scheduledAt": moment,
            "startedAt": moment + timedelta(milliseconds=20),
            "attemptCount": 1,
            **fields,
        }
    )


def put_hour(platform: Any, owner_id: str, hours_ago: int, **counts: int) -> None:
    hour = hour_of(NOW) - hours_ago
    platform.database["rollups"].insert_one(
        {
            "_id": f"{owner_id}||{hour}",
            "ownerId": owner_id,
            "jobId": None,
            "hourAt": hour_at(hour),
            "counts": counts,
            "durationMsSum": 0,
            "durationBuckets": {},
        }
    )


def test_each_job_gets_its_latest_runs(platform: Any, new_job: Callable[..., Any]) -> None:
    calm, other, idle = new_job(), new_job(), new_job()
    for number in range(7):
        put_run(platform, calm, number * 60, status="failed" if number == 0 else "success")
    put_run(platform, other, 5)
    found = RecentRuns(platform).of_jobs([calm, other, idle], 5)
    assert [run.scheduled_at for run in found[calm.id]] == [
        NOW - timedelta(minutes=number) for number in range(5)
    ]
    assert found[calm.id][0].status is ExecutionStatus.FAILED
    assert len(found[other.id]) == 1
    assert found[idle.id] == []


def test_a_busy_job_leaves_room_for_the_others(platform: Any, new_job: Callable[..., Any]) -> None:
    busy, calm = new_job(), new_job()
    for number in range(30):
        put_run(platform, busy, number)
    for number in range(3):
        put_run(platform, calm, 3_600 + number)
    found = RecentRuns(platform).of_jobs([busy, calm], 4)
    assert [len(found[job.id]) for job in (busy, calm)] == [4, 3]


def test_hours_are_complete_and_summed(platform: Any, visitor: Any) -> None:
    owner = visitor.principal.user_id
    put_hour(platform, owner, 0, success=3)
    put_hour(platform, owner, 1, success=2, failed=1)
    put_hour(platform, owner, 4, success=9)
    put_hour(platform, "someone else", 0, success=100)
    activity = ActivityService(platform)
    hours = activity.hours(visitor.principal, 4)
    assert [part.counts.get(ExecutionStatus.SUCCESS, 0) for part in hours] == [0, 0, 2, 3]
    assert hours[-1].starts_at == hour_at(hour_of(NOW))
    (first, second) = activity.hours(visitor.principal, 4, together=2)
    assert (first.counts, second.starts_at) == ({}, hour_at(hour_of(NOW) - 1))
    assert second.counts == {ExecutionStatus.SUCCESS: 5, ExecutionStatus.FAILED: 1}


def test_punctuality_is_that_of_scheduled_first_attempts(
    platform: Any, visitor: Any, new_job: Callable[..., Any]
) -> None:
    activity, job = ActivityService(platform), new_job()
    assert activity.punctuality(visitor.principal) is None
    for number in range(99):
        put_run(platform, job, number)
    put_run(platform, job, 200, startedAt=NOW, trigger="backfill")
    put_run(platform, job, 201, startedAt=NOW, attemptCount=2)
    put_run(platform, job, 202, startedAt=None)
    put_run(platform, job, 203, startedAt=NOW)
    found = activity.punctuality(visitor.principal)
    assert found is not None
    assert (found.count, found.median, found.p99) == (
        100,
        timedelta(milliseconds=20),
        timedelta(milliseconds=20),
    )


def test_the_overview_draws_them(platform: Any, visitor: Any) -> None:
    put_hour(platform, visitor.principal.user_id, 1, success=990, failed=7, timeout=3, skipped=5)
    page = visitor.get("/dashboard/")
    assert "99.0 %" in page.text
    assert "990 succeeded, 10 failed, 5 others" in page.text
    week = visitor.get("/dashboard/?period=week")
    assert "990 succeeded, 10 failed, 5 others" in week.text
    assert visitor.get("/dashboard/?period=nonsense").status == 200


def test_pages_tell_when_time_is_not_known(
    stranger: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_clock: Any) -> datetime:
        raise TickSourceUnavailable("Redis never answered")

    monkeypatch.setattr(type(platform.clock), "now", unknown)
    for page in (stranger.get("/dashboard/jobs"), stranger.get("/dashboard/login")):
        assert page.status == 503
        assert "Redis is away" in page.text
