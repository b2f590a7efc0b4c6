"""Many jobs at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.service.jobs import new_job_id


@pytest.fixture
def jobs(caller: Any) -> list[dict[str, Any]]:
    return [caller.created(name=f"job {number}", tags=[f"t{number % 2}"]) for number in range(4)]


def bulk(caller: Any, action: str, **more: Any) -> dict[str, Any]:
    response = caller("POST", "/api/cron/bulk", {"action": action, **more})
    assert response.status_code == 200, response.get_json()
    return response.get_json()


def status_of(caller: Any, job: dict[str, Any]) -> str:
    return caller("GET", f"/api/cron/{job['id']}").get_json()["status"]


def ids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["id"] for job in jobs]


def test_it_pauses_and_resumes(caller: Any, jobs: list[dict[str, Any]], platform: Any) -> None:
    paused = bulk(caller, "deactivate", ids=ids(jobs))
    assert (paused["total"], paused["succeeded"], paused["failed"]) == (4, 4, 0)
    assert [status_of(caller, job) for job in jobs] == ["paused"] * 4
    assert platform.source.size() == 0
    bulk(caller, "activate", ids=ids(jobs[:2]))
    assert [status_of(caller, job) for job in jobs] == ["active", "active", "paused", "paused"]
    assert platform.source.size() == 2
    after = caller("GET", f"/api/cron/{jobs[0]['id']}").get_json()
    assert (after["version"], after["nextRunAt"] is not None) == (3, True)


def test_what_is_as_wanted_already_stays_as_it_is(caller: Any, jobs: list[dict[str, Any]]) -> None:
    bulk(caller, "activate", ids=ids(jobs))
    assert caller("GET", f"/api/cron/{jobs[0]['id']}").get_json()["version"] == 1


def test_it_deletes_and_cancels_what_waits(caller: Any, jobs: list[dict[str, Any]], platform: Any) -> None:
    execution = caller("POST", f"/api/cron/{jobs[0]['id']}/trigger").get_json()["execution"]
    assert bulk(caller, "delete", ids=ids(jobs[:3]))["succeeded"] == 3
    assert caller("GET", "/api/cron").get_json()["total"] == 1
    shown = caller("GET", f"/api/execution-logs/{execution['id']}").get_json()
    assert (shown["status"], shown["reason"]) == ("cancelled", "deleted")
    assert platform.source.size() == 1


def test_what_was_due_when_its_job_was_deleted_is_on_record(caller: Any, platform: Any) -> None:
    job = caller.created(cronExpression="* * * * *")
    ten_minutes_ago = platform.clock.now() - timedelta(minutes=10)
    platform.database["jobs"].update_one({"_id": job["id"]}, {"$set": {"handledThrough": ten_minutes_ago}})
    bulk(caller, "delete", ids=[job["id"]])
    log = caller("GET", f"/api/execution-logs/job/{job['id']}").get_json()["items"]
    reasons = [(execution["status"], execution["reason"]) for execution in log]
    assert len(reasons) == 10
    assert reasons.count(("skipped", "misfire")) in (8, 9)
    assert set(reasons) == {("skipped", "misfire"), ("cancelled", "deleted")}


def test_it_triggers(caller: Any, jobs: list[dict[str, Any]], pushed: list[str]) -> None:
    items = bulk(caller, "trigger", ids=ids(jobs))["items"]
    assert sorted(item["executionId"] for item in items) == sorted(pushed)
    shown = caller("GET", f"/api/execution-logs/{items[0]['executionId']}").get_json()
    assert (shown["jobId"], shown["trigger"]) == (jobs[0]["id"], "manual")


def test_each_job_has_its_own_result_in_the_order_asked(
    caller: Any, new_caller: Any, jobs: list[dict[str, Any]], platform: Any
) -> None:
    theirs = new_caller().created()
    platform.database["jobs"].update_one({"_id": jobs[1]["id"]}, {"$set": {"status": "completed"}})
    asked = [jobs[0]["id"], "0" * 24, theirs["id"], jobs[1]["id"], jobs[0]["id"]]
    items = bulk(caller, "deactivate", ids=asked)["items"]
    assert [(item["id"], (item["error"] or {}).get("code")) for item in items] == [
        (jobs[0]["id"], None),
        ("0" * 24, 404),
        (theirs["id"], 404),
        (jobs[1]["id"], 409),
    ]


def test_jobs_are_found_by_filter(caller: Any, jobs: list[dict[str, Any]]) -> None:
    dry = bulk(caller, "deactivate", filter={"tags": ["t1"]}, dryRun=True)
    assert {item["id"] for item in dry["items"]} == {jobs[1]["id"], jobs[3]["id"]}
    assert [status_of(caller, job) for job in jobs] == ["active"] * 4
    assert bulk(caller, "deactivate", filter={"tags": ["t1"]})["succeeded"] == 2
    assert bulk(caller, "deactivate", filter={"search": "job"})["total"] == 4
    assert bulk(caller, "deactivate", filter={})["total"] == 4


def test_a_filter_finds_ones_own_only(caller: Any, new_caller: Any, jobs: list[dict[str, Any]]) -> None:
    assert bulk(new_caller(), "delete", filter={})["total"] == 0
    assert bulk(new_caller("admin"), "deactivate", filter={})["total"] == 4


@pytest.mark.parametrize(
    "body",
    [
        {"action": "delete"},
        {"action": "delete", "ids": [], "filter": {}},
        {"action": "explode", "ids": []},
        {"ids": []},
        {"action": "delete", "ids": ["x"]},
        {"action": "delete", "ids": {"$gt": ""}},
        {"action": "delete", "filter": {"ownerId": {"$ne": None}}},
        {"action": "delete", "filter": {"$where": "1"}},
        {"action": "delete", "ids": ["0" * 24] * 10_001},
    ],
    ids=range(9),
)
def test_what_makes_no_sense_is_refused(caller: Any, jobs: list[dict[str, Any]], body: Any) -> None:
    assert caller("POST", "/api/cron/bulk", body).status_code == 422
    assert caller("GET", "/api/cron").get_json()["total"] == 4


def test_fire_times_up_to_a_pause_are_made(caller: Any, platform: Any) -> None:
    job = caller.created(interval="second", intervalValue=1, startAt="2020-01-01T00:00:00Z")
    platform.database["jobs"].update_one({"_id": job["id"]}, {"$set": {"status": "active"}})
    before = platform.executions.count({"jobId": job["id"]})
    stored = platform.database["jobs"].find_one({"_id": job["id"]})
    moved = stored["handledThrough"].replace(year=stored["handledThrough"].year - 1)
    platform.database["jobs"].update_one(
        {"_id": job["id"]}, {"$set": {"handledThrough": moved, "scheduleSince": moved}}
    )
    bulk(caller, "deactivate", ids=[job["id"]])
    assert platform.executions.count({"jobId": job["id"]}) > before


def test_thousands_take_seconds(caller: Any, platform: Any) -> None:
    origin = platform.jobs.get(caller.created()["id"], owner_id=None)
    count = 1_000
    platform.jobs.create_many(
        [replace(origin, id=new_job_id(origin.created_at), key=None) for _ in range(count)]
    )
    result = bulk(caller, "deactivate", filter={})
    assert (result["total"], result["failed"], result["more"]) == (count + 1, 0, False)
    assert caller("GET", "/api/cron?status=paused").get_json()["total"] == count + 1
