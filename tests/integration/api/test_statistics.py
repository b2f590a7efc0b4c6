"""Figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

STATS = "/api/cron/stats"


@pytest.fixture
def hours(platform: Any) -> Any:
    """Adds an hour's roll-up of an owner, so many hours ago."""

    def add(owner: str, hours_ago: int, counts: dict[str, int], duration_ms: int = 0) -> None:
        now = platform.clock.now().replace(minute=0, second=0, microsecond=0)
        hour_at = now - timedelta(hours=hours_ago)
        ran = counts.get("success", 0) + counts.get("failed", 0)
        platform.database["rollups"].insert_one(
            {
                "_id": f"{owner}||{hours_ago}",
                "ownerId": owner,
                "jobId": None,
                "hourAt": hour_at,
                "counts": counts,
                "durationMsSum": duration_ms * ran,
                "durationBuckets": {"4": ran} if ran else {},
            }
        )

    return add


def test_nothing_yet_has_no_rates(caller: Any) -> None:
    found = caller("GET", STATS).get_json()
    assert (found["total"], set(found["byStatus"].values())) == (0, {0})
    day = found["executions"]["last24Hours"]
    assert (day["successRate"], day["averageDurationMs"], day["p95DurationMs"]) == (None, None, None)


def test_jobs_are_counted_by_status_and_type(caller: Any) -> None:
    caller.created()
    caller.created(interval="hour", intervalValue=1, isActive=False)
    found = caller("GET", STATS).get_json()
    assert found["total"] == 2
    assert found["byStatus"] == {"active": 1, "paused": 1, "completed": 0, "disabled": 0}
    assert found["byType"] == {"cron": 1, "interval": 1, "once": 0}


def test_executions_are_counted_by_period(new_caller: Any, hours: Any) -> None:
    ann = new_caller(user_id="ann")
    hours("ann", 1, {"success": 9, "failed": 1, "skipped": 2}, 80)
    hours("ann", 100, {"success": 10}, 60)
    hours("ann", 400, {"success": 10})
    hours("bob", 1, {"failed": 5})
    found = ann("GET", STATS).get_json()["executions"]
    day, week = found["last24Hours"], found["last7Days"]
    assert day["byStatus"] == {"success": 9, "failed": 1, "timeout": 0, "skipped": 2, "cancelled": 0}
    assert (day["successRate"], day["averageDurationMs"]) == (0.9, 80)
    assert 50 < day["p95DurationMs"] <= 100
    assert (week["byStatus"]["success"], week["successRate"], week["averageDurationMs"]) == (19, 0.95, 70)


def test_admins_see_everyones_figures(new_caller: Any, hours: Any) -> None:
    new_caller(user_id="ann").created()
    hours("ann", 1, {"success": 1})
    hours("bob", 1, {"failed": 1})
    found = new_caller("admin")("GET", STATS).get_json()
    assert (found["total"], found["executions"]["last24Hours"]["successRate"]) == (1, 0.5)


def test_the_system_tells_admins_who_is_there(new_caller: Any, platform: Any) -> None:
    platform.instances.beat("ticker", host="a", pid=7)
    found = new_caller("admin")("GET", "/api/stats/system").get_json()
    assert [(i["role"], i["host"], i["pid"]) for i in found["instances"]] == [("ticker", "a", 7)]
    assert found["instancesSeen"] == 1


def test_health_tells_what_runs_and_waits(nobody: Any, caller: Any, platform: Any) -> None:
    job = caller.created()
    caller("POST", f"/api/cron/{job['id']}/trigger")
    health = nobody("GET", "/health").get_json()
    assert (health["queueDepth"], health["runningExecutions"], health["activeJobs"]) == (1, 0, 1)
    assert health["instancesSeen"] == 0
    assert health["memoryBytes"] is None or health["memoryBytes"] > 1_000_000
    assert "instances" not in health
