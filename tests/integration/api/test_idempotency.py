"""The same Idempotency-Key: the same answer, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.executions import Execution, ExecutionStatus, Trigger

KEY = {"headers": {"Idempotency-Key": "once"}}


@pytest.fixture
def job(caller: Any) -> dict[str, Any]:
    return caller.created(interval="minute", intervalValue=1, startAt="2020-01-01T00:00:00Z")


def failed(job: dict[str, Any], number: int) -> Execution:
    at = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    return Execution(
        id=f"{job['id']}:{number}",
        job_id=job["id"],
        owner_id=job["ownerId"],
        job_name="n",
        host="h",
        trigger=Trigger.SCHEDULE,
        status=ExecutionStatus.FAILED,
        scheduled_at=at,
        queued_at=at,
    )


REPLAY = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}


def test_a_trigger_is_made_once(caller: Any, job: dict[str, Any], pushed: list[str]) -> None:
    first, second = (caller("POST", f"/api/cron/{job['id']}/trigger", **KEY) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert len(pushed) == 1


def test_a_replay_of_many_is_made_once_though_more_match_by_then(
    caller: Any, job: dict[str, Any], platform: Any
) -> None:
    platform.executions.insert([failed(job, 1), failed(job, 2)])
    first = caller("POST", "/api/execution-logs/replay", REPLAY, **KEY).get_json()
    platform.executions.insert([failed(job, 3)])
    second = caller("POST", "/api/execution-logs/replay", REPLAY, **KEY).get_json()
    assert [e["id"] for e in first["executions"]] == [e["id"] for e in second["executions"]]
    assert first["count"] == 2


def test_a_key_is_good_for_one_request(caller: Any, job: dict[str, Any], platform: Any) -> None:
    other = caller.created(name="other")
    platform.executions.insert([failed(job, 1), failed(job, 2)])
    caller("POST", f"/api/cron/{job['id']}/trigger", **KEY)
    for path, body in (
        (f"/api/cron/{other['id']}/trigger", None),
        ("/api/cron", {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}),
        ("/api/execution-logs/replay", REPLAY),
        (f"/api/execution-logs/{job['id']}:1/replay", None),
    ):
        refused = caller("POST", path, body, **KEY)
        assert refused.status_code == 422, path
        assert list(refused.get_json()["errors"]["headers"]) == ["Idempotency-Key"]


def test_another_range_under_a_key_is_refused(caller: Any, job: dict[str, Any], platform: Any) -> None:
    path = f"/api/cron/{job['id']}/backfill"
    body = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T00:02:00Z"}
    first = caller("POST", path, body, **KEY)
    assert (first.status_code, first.get_json()["count"]) == (202, 3)
    assert caller("POST", path, body, **KEY).get_json() == first.get_json()
    assert caller("POST", path, {**body, "to": "2020-01-01T00:03:00Z"}, **KEY).status_code == 422


def test_keys_of_different_users_do_not_meet(caller: Any, new_caller: Any, job: dict[str, Any]) -> None:
    theirs = new_caller()
    other = theirs.created()
    assert caller("POST", f"/api/cron/{job['id']}/trigger", **KEY).status_code == 202
    assert theirs("POST", f"/api/cron/{other['id']}/trigger", **KEY).status_code == 202


def test_what_was_refused_is_not_remembered(caller: Any, job: dict[str, Any], platform: Any) -> None:
    platform.executions.insert([failed(job, 1)])
    platform.database["executions"].update_many({}, {"$set": {"status": "running"}})
    path = f"/api/execution-logs/{job['id']}:1/replay"
    assert caller("POST", path, **KEY).status_code == 409
    assert caller("POST", f"/api/cron/{job['id']}/trigger", **KEY).status_code == 202


def test_a_key_is_forgotten_after_a_day(caller: Any, job: dict[str, Any], platform: Any) -> None:
    path = f"/api/cron/{job['id']}/trigger"
    caller("POST", path, **KEY)
    platform.database["creations"].update_many({}, {"$set": {"expireAt": datetime(2020, 1, 1, tzinfo=UTC)}})
    other = caller.created()
    assert caller("POST", f"/api/cron/{other['id']}/trigger", **KEY).status_code == 202


def test_a_request_that_was_cut_off_is_carried_on(
    caller: Any, job: dict[str, Any], platform: Any, monkeypatch: Any
) -> None:
    path = f"/api/cron/{job['id']}/trigger"
    first = caller("POST", path, **KEY).get_json()
    platform.database["creations"].update_many({}, {"$unset": {"done": "", "made": ""}})
    assert caller("POST", path, **KEY).get_json()["execution"]["id"] == first["execution"]["id"]
