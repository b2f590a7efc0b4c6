"""Triggering, the log, backfill, replay and cancel over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.errors import BrokerUnavailable
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger, schedule_execution_id

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
LOG = "/api/execution-logs"


def put(platform: Any, job: dict[str, Any], at: datetime, status: str = "success", **fields: Any) -> str:
    """Store an execution as the platform would; its id."""
    execution = Execution(
        **{
            "id": schedule_execution_id(job["id"], at),
            "job_id": job["id"],
            "owner_id": job["ownerId"],
            "job_name": job["name"],
            "host": "example.com",
            "trigger": Trigger.SCHEDULE,
            "status": ExecutionStatus(status),
            "scheduled_at": at,
            "queued_at": at,
            **fields,
        }
    )
    platform.executions.insert([execution])
    return execution.id


@pytest.fixture
def job(caller: Any) -> dict[str, Any]:
    return caller.created()


def test_a_trigger_makes_one_execution_now(caller: Any, job: dict[str, Any], pushed: list[str]) -> None:
    response = caller("POST", f"/api/cron/{job['id']}/trigger")
    execution = response.get_json()["execution"]
    assert response.status_code == 202
    assert (execution["trigger"], execution["status"], execution["jobName"]) == ("manual", "queued", "report")
    assert pushed == [execution["id"]]


def test_the_same_key_triggers_once(caller: Any, job: dict[str, Any]) -> None:
    path, headers = f"/api/cron/{job['id']}/trigger", {"Idempotency-Key": "once"}
    first = caller("POST", path, headers=headers).get_json()
    assert caller("POST", path, headers=headers).get_json() == first
    assert len(caller("GET", LOG).get_json()["items"]) == 1


def test_a_paused_job_can_be_triggered(caller: Any) -> None:
    job = caller.created(isActive=False)
    assert caller("POST", f"/api/cron/{job['id']}/trigger").status_code == 202


def test_a_trigger_outlives_a_broker_that_is_away(caller: Any, job: dict[str, Any], platform: Any) -> None:
    def away(ids: Any) -> None:
        raise BrokerUnavailable("no broker")

    # Platform is frozen; the services ask it for `enqueue` at every call.
    object.__setattr__(platform, "enqueue", away)
    execution = caller("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]
    stored = platform.database["executions"].find_one({"_id": execution["id"]})
    assert stored["checkAt"] > stored["queuedAt"]


def test_the_log_comes_in_pages_that_do_not_shift(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    for minute in range(5):
        put(platform, job, NOON + timedelta(minutes=minute))
    first = caller("GET", f"{LOG}?limit=2").get_json()
    put(platform, job, NOON + timedelta(hours=1))
    second = caller("GET", f"{LOG}?limit=2&cursor={first['nextCursor']}").get_json()
    third = caller("GET", f"{LOG}?limit=2&cursor={second['nextCursor']}").get_json()
    minutes = [item["scheduledAt"][14:16] for page in (first, second, third) for item in page["items"]]
    assert minutes == ["04", "03", "02", "01", "00"]
    assert third["nextCursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["manual", "12:02", "12:01", "12:00"]),
        ("status=failed", ["12:01"]),
        ("status=failed,success", ["12:02", "12:01", "12:00"]),
        ("trigger=manual", ["manual"]),
        ("from=2026-01-15T12:01:00Z&to=2026-01-15T12:02:00Z", ["12:01"]),
        ("jobId=ffffffffffffffffffffffff", []),
    ],
)
def test_the_log_can_be_narrowed(
    caller: Any, platform: Any, job: dict[str, Any], query: str, found: list[str]
) -> None:
    put(platform, job, NOON)
    put(platform, job, NOON + timedelta(minutes=1), "failed")
    put(platform, job, NOON + timedelta(minutes=2))
    caller("POST", f"/api/cron/{job['id']}/trigger")
    items = caller("GET", f"{LOG}?{query}").get_json()["items"]
    shown = [item["scheduledAt"][11:16] if item["trigger"] == "schedule" else "manual" for item in items]
    assert shown == found


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "cursor=abc", "status=odd", "from=yesterday", "jobId[$ne]=1", "jobId=x"]
)
def test_bad_queries_are_named(caller: Any, query: str) -> None:
    response = caller("GET", f"{LOG}?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.get_json()["errors"]["query"]


def test_the_log_of_a_job_is_its_own(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    other = caller.created()
    put(platform, job, NOON)
    put(platform, other, NOON)
    items = caller("GET", f"{LOG}/job/{job['id']}").get_json()["items"]
    assert [item["jobId"] for item in items] == [job["id"]]
    assert caller("GET", f"{LOG}/job/{'f' * 24}").status_code == 404


def test_an_execution_is_shown_with_its_attempts(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    execution_id = put(platform, job, NOON, "failed")
    platform.database["executions"].update_one(
        {"_id": execution_id},
        {
            "$set": {"responseStatus": 500, "error": {"kind": "temporary_status", "message": "status 500"}},
            "$push": {
                "attempts": {
                    "number": 1,
                    "startedAt": NOON,
                    "durationMs": 12,
                    "phases": {"totalMs": 12.5},
                    "requestMethod": "POST",
                    "requestUrl": "https://example.com/hook",
                    "requestHeaders": [["Authorization", "[redacted]"]],
                    "responseStatus": 500,
                    "responseHeaders": [["Content-Type", "text/plain"]],
                    "responseBody": "no",
                    "error": {"kind": "temporary_status", "message": "status 500"},
                }
            },
        },
    )
    shown = caller("GET", f"{LOG}/{execution_id}").get_json()
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["responseBody"], attempt["truncated"]) == (1, "no", False)
    assert attempt["requestHeaders"] == [["Authorization", "[redacted]"]]
    assert (shown["responseStatus"], shown["responseBody"]) == (500, "no")
    assert shown["error"] == {"kind": "temporary_status", "message": "status 500"}


@pytest.mark.parametrize("execution_id", ["x", "f" * 24, f"{'f' * 24}:5", f"{'f' * 24}:$ne", "%00"])
def test_what_is_no_execution_is_not_found(caller: Any, execution_id: str) -> None:
    assert caller("GET", f"{LOG}/{execution_id}").status_code == 404


def test_a_finished_execution_can_be_removed(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    execution_id = put(platform, job, NOON)
    assert caller("DELETE", f"{LOG}/{execution_id}").status_code == 204
    assert caller("GET", f"{LOG}/{execution_id}").status_code == 404


def test_one_under_way_or_after_the_cursor_cannot(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    under_way = put(platform, job, NOON, "running")
    ahead = put(platform, job, datetime.now(UTC) + timedelta(days=1))
    assert caller("DELETE", f"{LOG}/{under_way}").status_code == 409
    assert caller("DELETE", f"{LOG}/{ahead}").status_code == 409


def test_the_log_of_a_manual_trigger_can_be_removed_at_once(caller: Any, job: dict[str, Any]) -> None:
    execution = caller("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]
    caller("POST", f"{LOG}/{execution['id']}/cancel")
    assert caller("DELETE", f"{LOG}/{execution['id']}").status_code == 204


def test_a_queued_execution_can_be_cancelled_once(caller: Any, platform: Any, job: dict[str, Any]) -> None:
    execution = caller("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]
    cancelled = caller("POST", f"{LOG}/{execution['id']}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.get_json()["execution"]["status"] == "cancelled"
    assert caller("POST", f"{LOG}/{execution['id']}/cancel").status_code == 409
    stored = platform.database["executions"].find_one({"_id": execution["id"]})
    assert (stored["status"], stored.get("nextAttemptAt")) == ("cancelled", None)
    assert stored["expireAt"] > stored["completedAt"]


def test_a_replay_is_a_new_execution_of_the_same_fire_time(
    caller: Any, platform: Any, job: dict[str, Any], pushed: list[str]
) -> None:
    origin = put(platform, job, NOON, "failed")
    replay = caller("POST", f"{LOG}/{origin}/replay").get_json()["execution"]
    assert (replay["trigger"], replay["replayOf"], replay["scheduledAt"]) == (
        "replay",
        origin,
        "2026-01-15T12:00:00.000Z",
    )
    assert pushed == [replay["id"]]
    assert caller("POST", f"{LOG}/{replay['id']}/replay").status_code == 409


def test_what_stands_for_many_or_for_a_deleted_job_cannot_be_replayed(
    caller: Any, platform: Any, job: dict[str, Any]
) -> None:
    summary = put(platform, job, NOON, "skipped", skipped_count=500)
    single = put(platform, job, NOON + timedelta(minutes=1), "failed")
    assert caller("POST", f"{LOG}/{summary}/replay").status_code == 409
    caller("DELETE", f"/api/cron/{job['id']}")
    assert caller("POST", f"{LOG}/{single}/replay").status_code == 409


def test_failed_executions_can_be_replayed_together(
    caller: Any, platform: Any, job: dict[str, Any], pushed: list[str]
) -> None:
    for minute, status in enumerate(("failed", "success", "timeout", "failed")):
        put(platform, job, NOON + timedelta(minutes=minute), status)
    body = {"from": "2026-01-15T00:00:00Z", "to": "2026-01-15T12:03:00Z", "dryRun": True}
    listed = caller("POST", f"{LOG}/replay", body)
    assert (listed.status_code, listed.get_json()["count"], pushed) == (200, 2, [])
    made = caller("POST", f"{LOG}/replay", {**body, "dryRun": False, "limit": 1}).get_json()
    assert (made["count"], made["more"], len(pushed)) == (1, True, 1)
    assert made["executions"][0]["replayOf"].endswith(
        str(int((NOON + timedelta(minutes=2)).timestamp()) * 1000)
    )


def test_an_empty_range_is_no_range_to_replay(caller: Any) -> None:
    body = {"from": "2026-01-15T00:00:00Z", "to": "2026-01-15T00:00:00Z"}
    assert caller("POST", f"{LOG}/replay", body).status_code == 422


def test_past_fire_times_can_be_run(caller: Any, pushed: list[str]) -> None:
    job = caller.created(cronExpression="0 * * * *")
    body = {"from": "2026-01-15T00:00:00Z", "to": "2026-01-15T03:00:00Z", "dryRun": True}
    listed = caller("POST", f"/api/cron/{job['id']}/backfill", body)
    assert (listed.status_code, listed.get_json()["count"], pushed) == (200, 4, [])
    assert listed.get_json()["fireTimes"][0] == "2026-01-15T00:00:00.000Z"
    headers = {"Idempotency-Key": "january"}
    made = caller("POST", f"/api/cron/{job['id']}/backfill", {**body, "dryRun": False}, headers=headers)
    assert made.status_code == 202
    assert [execution["trigger"] for execution in made.get_json()["executions"]] == ["backfill"] * 4
    caller("POST", f"/api/cron/{job['id']}/backfill", {**body, "dryRun": False}, headers=headers)
    assert len(caller("GET", f"{LOG}?limit=100").get_json()["items"]) == 4


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-01-15T00:00:00Z", "2026-01-14T00:00:00Z", "before from"),
        ("2026-01-15T00:00:00Z", "2100-01-01T00:00:00Z", "must not lie after"),
        ("2020-01-01T00:00:00Z", "2020-03-01T00:00:00Z", "1441 fire times"),
    ],
)
def test_a_backfill_has_bounds(caller: Any, first: str, last: str, said: str) -> None:
    job = caller.created(cronExpression="0 * * * *")
    response = caller("POST", f"/api/cron/{job['id']}/backfill", {"from": first, "to": last})
    assert response.status_code == 422
    assert said in response.get_json()["errors"]["json"]["to"][0]
