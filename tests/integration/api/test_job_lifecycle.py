"""What changes of a job do to the tick source, the cursor and the fire times that are due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import TickSourceUnavailable, VersionConflict
from webhookcron.core.executions import from_ms, to_ms
from webhookcron.ticks.source import TickSource


def mirrored(platform: Any, job_id: str) -> tuple[int, str] | None:
    """(version, next fire time) as the tick source has them; None when it has not."""
    version, fire_time, _ = platform.source.entries([job_id])[job_id]
    return (
        None
        if version is None
        else (version, fire_time.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    )


def move_back(platform: Any, job_id: str, by: timedelta) -> None:
    """Let a job have been made earlier, and its fire times since then be due."""
    jobs = platform.database["jobs"]
    document = jobs.find_one({"_id": job_id})
    moved = {
        name: document[name] - by
        for name in ("handledThrough", "scheduleSince", "anchorAt")
        if name in document
    }
    jobs.update_one({"_id": job_id}, {"$set": moved})


def is_to_be_mirrored(platform: Any, job_id: str) -> bool:
    return "mirrorDue" in platform.database["jobs"].find_one({"_id": job_id})


def test_a_new_job_is_in_the_tick_source_at_once(caller: Any, platform: Any) -> None:
    job = caller.created()
    assert mirrored(platform, job["id"]) == (1, job["nextRunAt"])
    assert not is_to_be_mirrored(platform, job["id"])


def test_a_paused_job_is_not_and_a_resumed_one_is_again(caller: Any, platform: Any) -> None:
    job = caller.created()
    path = f"/api/cron/{job['id']}"
    paused = caller("POST", f"{path}/pause").get_json()
    assert (paused["status"], paused["isActive"], paused["nextRunAt"]) == ("paused", False, None)
    assert mirrored(platform, job["id"]) is None
    resumed = caller("POST", f"{path}/resume").get_json()
    assert (resumed["status"], resumed["version"]) == ("active", 3)
    assert mirrored(platform, job["id"]) == (3, resumed["nextRunAt"])


def test_pausing_twice_is_pausing_once(caller: Any) -> None:
    path = f"/api/cron/{caller.created()['id']}"
    assert caller("POST", f"{path}/pause").get_json()["version"] == 2
    assert caller("POST", f"{path}/pause").get_json()["version"] == 2
    assert caller("PATCH", path, {"isActive": False}).get_json()["version"] == 2


@pytest.mark.parametrize("patch", [{"status": "paused"}, {"isActive": False}])
def test_a_patch_pauses(caller: Any, patch: dict[str, Any]) -> None:
    path = f"/api/cron/{caller.created()['id']}"
    assert caller("PATCH", path, patch).get_json()["status"] == "paused"
    assert caller("PATCH", path, {"status": "active"}).get_json()["status"] == "active"


def test_a_patch_must_not_contradict_itself(caller: Any) -> None:
    path = f"/api/cron/{caller.created()['id']}"
    assert caller("PATCH", path, {"status": "active", "isActive": False}).status_code == 422


def test_a_new_schedule_is_mirrored_under_its_version(caller: Any, platform: Any) -> None:
    job = caller.created()
    changed = caller("PATCH", f"/api/cron/{job['id']}", {"cronExpression": "0 10 * * *"}).get_json()
    assert changed["nextRunAt"] != job["nextRunAt"]
    assert mirrored(platform, job["id"]) == (2, changed["nextRunAt"])


def test_another_name_is_mirrored_with_the_same_fire_time(caller: Any, platform: Any) -> None:
    job = caller.created()
    before = platform.jobs.get(job["id"], owner_id=None)
    caller("PATCH", f"/api/cron/{job['id']}", {"name": "other"})
    after = platform.jobs.get(job["id"], owner_id=None)
    assert mirrored(platform, job["id"]) == (2, job["nextRunAt"])
    assert (after.handled_through, after.schedule_since) == (before.handled_through, before.schedule_since)


@pytest.mark.parametrize(
    "change",
    [
        ("PATCH", "", {"cronExpression": "0 9 * * *"}),
        ("PATCH", "", {"maxRuns": 100}),
        ("PATCH", "", {"jitterMs": 10}),
        ("POST", "/pause", None),
        ("PATCH", "", {"status": "paused"}),
    ],
)
def test_fire_times_that_are_due_run_before_the_rule_changes(
    caller: Any, platform: Any, pushed: list[str], change: tuple[str, str, Any]
) -> None:
    job = caller.created(interval="second", intervalValue=2)
    move_back(platform, job["id"], timedelta(seconds=5))
    method, action, body = change
    assert caller(method, f"/api/cron/{job['id']}{action}", body).status_code == 200
    created = to_ms(platform.jobs.get(job["id"], owner_id=None).created_at)
    assert pushed == [f"{job['id']}:{created - 5000 + after}" for after in (2000, 4000)]
    log = caller("GET", f"/api/execution-logs/job/{job['id']}").get_json()["items"]
    assert [execution["status"] for execution in log] == ["queued", "queued"]


def test_other_changes_leave_due_fire_times_to_the_ticker(
    caller: Any, platform: Any, pushed: list[str]
) -> None:
    job = caller.created(interval="second", intervalValue=2)
    move_back(platform, job["id"], timedelta(seconds=5))
    caller("PATCH", f"/api/cron/{job['id']}", {"name": "other"})
    assert pushed == []
    assert mirrored(platform, job["id"])[1] < job["nextRunAt"]  # type: ignore[index]


def test_fire_times_inside_a_pause_are_left_out(caller: Any, platform: Any, pushed: list[str]) -> None:
    job = caller.created(interval="second", intervalValue=1, isActive=False)
    move_back(platform, job["id"], timedelta(seconds=5))
    resumed = caller("POST", f"/api/cron/{job['id']}/resume").get_json()
    assert pushed == []
    assert platform.jobs.get(job["id"], owner_id=None).handled_through > from_ms(0)
    assert resumed["nextRunAt"] > resumed["updatedAt"]


def test_a_moment_that_passed_in_a_pause_completes_the_job(caller: Any, platform: Any) -> None:
    job = caller.created(delayMs=0, isActive=False)
    path = f"/api/cron/{job['id']}"
    completed = caller("POST", f"{path}/resume").get_json()
    assert completed["status"] == "completed"
    assert "paused" in completed["statusReason"]
    assert mirrored(platform, job["id"]) is None
    assert caller("POST", f"{path}/resume").status_code == 409
    assert caller("POST", f"{path}/pause").status_code == 409
    again = caller("PATCH", path, {"delayMs": 60_000}).get_json()
    assert (again["status"], again["statusReason"]) == ("active", None)


def test_a_deleted_job_leaves_the_tick_source(caller: Any, platform: Any) -> None:
    job = caller.created()
    caller("DELETE", f"/api/cron/{job['id']}")
    assert mirrored(platform, job["id"]) is None


def test_what_cannot_be_mirrored_now_is_mirrored_later(
    caller: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise TickSourceUnavailable("Redis did not answer")

    monkeypatch.setattr(TickSource, "put", away)
    job = caller.created()
    assert is_to_be_mirrored(platform, job["id"])


def test_a_change_that_meets_another_starts_anew(
    caller: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = caller.created()
    path = f"/api/cron/{job['id']}"
    store = type(platform.jobs)
    update = store.update_definition
    others = iter([{"description": "by someone else"}])

    def late(self: Any, changed: Any, *, expected_version: int) -> Any:
        for patch in others:
            caller("PATCH", path, patch)
        return update(self, changed, expected_version=expected_version)

    monkeypatch.setattr(store, "update_definition", late)
    changed = caller("PATCH", path, {"name": "mine"}).get_json()
    assert (changed["name"], changed["description"], changed["version"]) == ("mine", "by someone else", 3)


def test_a_change_that_never_gets_through_says_so(
    caller: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = caller.created()

    def conflict(*_: Any, **__: Any) -> None:
        raise VersionConflict(7)

    monkeypatch.setattr(type(platform.jobs), "update_definition", conflict)
    assert caller("PATCH", f"/api/cron/{job['id']}", {"name": "mine"}).status_code == 409


def test_the_last_fire_time_is_made_before_the_pause(caller: Any, pushed: list[str]) -> None:
    job = caller.created(delayMs=0)
    assert caller("POST", f"/api/cron/{job['id']}/pause").get_json()["status"] == "paused"
    assert len(pushed) == 1
    resumed = caller("POST", f"/api/cron/{job['id']}/resume").get_json()
    assert (resumed["status"], resumed["statusReason"]) == ("completed", "the schedule is over")
    assert len(pushed) == 1


def test_a_run_that_is_due_counts_for_the_old_bound(caller: Any, platform: Any, pushed: list[str]) -> None:
    job = caller.created(interval="second", intervalValue=2, maxRuns=1)
    move_back(platform, job["id"], timedelta(seconds=5))
    changed = caller("PATCH", f"/api/cron/{job['id']}", {"cronExpression": "0 9 * * *"}).get_json()
    assert len(pushed) == 1
    assert (changed["status"], changed["scheduleType"]) == ("active", "cron")
    assert mirrored(platform, job["id"]) == (changed["version"], changed["nextRunAt"])
