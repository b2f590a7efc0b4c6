"""Creating, reading, replacing, changing and deleting cron jobs over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.ticks.clock import PlatformClock

WEEKLY = {
    "name": "Weekly report",
    "cronExpression": "0 9 * * 1",
    "timezone": "Europe/Berlin",
    "webhookUrl": "https://example.com/hooks/report",
    "payload": {"report": "weekly"},
}
LONG_AGO = "2020-01-01T00:00:00Z"


def test_a_name_a_schedule_and_a_url_make_a_job(caller: Any) -> None:
    response = caller("POST", "/api/cron", WEEKLY)
    job = response.get_json()
    assert response.status_code == 201, job
    assert response.headers["Location"] == f"/api/cron/{job['id']}"
    assert response.headers["ETag"] == '"1"'
    assert (job["scheduleType"], job["status"], job["isActive"]) == ("cron", "active", True)
    assert job["signingSecret"].startswith("whsec_")
    assert job["nextRunAt"].endswith(":00:00.000Z")
    assert job["payload"] == {"report": "weekly"}


def test_a_job_is_read_as_it_was_made_but_for_its_secrets(caller: Any) -> None:
    made = caller.created(auth={"type": "bearer", "token": "hush"}, headers={"Cookie": "c=1"})
    response = caller("GET", f"/api/cron/{made['id']}")
    del made["signingSecret"]
    assert response.get_json() == made
    assert made["auth"] == {"type": "bearer", "token": "***"}
    assert made["headers"] == {"Cookie": "***"}
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Cache-Control"] == "no-store"


def test_a_job_that_is_sent_back_stays_as_it_is(caller: Any) -> None:
    made = caller.created(auth={"type": "bearer", "token": "hush"}, headers={"Cookie": "c=1"})
    path = f"/api/cron/{made['id']}"
    read = caller("GET", path).get_json()
    assert caller("PUT", path, read).get_json() == read


def test_replacing_puts_what_is_left_out_back_to_its_default(caller: Any) -> None:
    made = caller.created(description="old", tags=["a"], timeoutMs=5000)
    replaced = caller("PUT", f"/api/cron/{made['id']}", WEEKLY).get_json()
    assert (replaced["description"], replaced["tags"], replaced["timeoutMs"]) == ("", [], 30000)
    assert (replaced["version"], replaced["cronExpression"]) == (2, "0 9 * * 1")
    assert "signingSecret" not in replaced


def test_replacing_leaves_a_pause_alone_unless_told(caller: Any) -> None:
    made = caller.created(isActive=False)
    path = f"/api/cron/{made['id']}"
    assert caller("PUT", path, WEEKLY).get_json()["status"] == "paused"
    assert caller("PUT", path, {**WEEKLY, "isActive": True}).get_json()["status"] == "active"


def test_a_patch_changes_what_it_names(caller: Any) -> None:
    made = caller.created(timeoutMs=5000, description="old")
    patched = caller("PATCH", f"/api/cron/{made['id']}", {"description": "new", "timeoutMs": None}).get_json()
    assert (patched["description"], patched["timeoutMs"], patched["name"]) == ("new", 30000, "report")
    assert patched["version"] == 2


def test_a_patch_may_name_another_kind_of_schedule(caller: Any) -> None:
    made = caller.created()
    patched = caller("PATCH", f"/api/cron/{made['id']}", {"interval": "hour", "intervalValue": 2}).get_json()
    assert (patched["scheduleType"], patched["cronExpression"]) == ("interval", None)
    assert patched["nextRunAt"] > made["createdAt"]


def test_an_expression_may_hold_tabs_and_no_second_line(caller: Any) -> None:
    assert caller.created(cronExpression="0\t9\t*  * *\n")["cronExpression"] == "0 9 * * *"
    definition = {"name": "report", "webhookUrl": "https://example.com/hook"}
    for expression in ("* * * * *\n* * * * *", "* * * * *\x1b", "*\x0b* * * *"):
        refused = caller("POST", "/api/cron", {**definition, "cronExpression": expression})
        assert list(refused.get_json()["errors"]["json"]) == ["cronExpression"]


def test_a_patch_of_nothing_changes_nothing(caller: Any) -> None:
    made = caller.created()
    assert caller("PATCH", f"/api/cron/{made['id']}", {}).get_json()["version"] == 1


def test_a_change_may_be_bound_to_a_version(caller: Any) -> None:
    path = f"/api/cron/{caller.created()['id']}"
    response = caller("PATCH", path, {"name": "a"}, headers={"If-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    for method, body in (("PATCH", {"name": "b"}), ("PUT", WEEKLY), ("DELETE", None)):
        response = caller(method, path, body, headers={"If-Match": '"1"'})
        assert (response.status_code, response.headers["ETag"]) == (412, '"2"')
    assert caller("POST", f"{path}/pause", headers={"If-Match": '"1"'}).status_code == 412
    assert caller("PATCH", path, {"name": "c"}, headers={"If-Match": "*"}).status_code == 200


def test_a_key_addresses_one_job_of_its_owner(caller: Any, new_caller: Any) -> None:
    made = caller("PUT", "/api/cron/by-key/weekly", WEEKLY)
    assert made.status_code == 201
    assert made.get_json()["key"] == "weekly"
    assert made.get_json()["signingSecret"].startswith("whsec_")
    again = caller("PUT", "/api/cron/by-key/weekly", WEEKLY)
    assert (again.status_code, again.get_json()["version"]) == (200, 1)
    assert "signingSecret" not in again.get_json()
    other = new_caller()("PUT", "/api/cron/by-key/weekly", WEEKLY)
    assert other.status_code == 201
    assert other.get_json()["id"] != made.get_json()["id"]


def test_a_key_in_the_body_must_be_that_of_the_url(caller: Any) -> None:
    response = caller("PUT", "/api/cron/by-key/weekly", {**WEEKLY, "key": "monthly"})
    assert response.status_code == 422
    assert "key" in response.get_json()["errors"]["json"]


def test_a_condition_on_a_job_that_does_not_exist_fails(caller: Any) -> None:
    response = caller("PUT", "/api/cron/by-key/weekly", WEEKLY, headers={"If-Match": "*"})
    assert response.status_code == 412
    assert caller("GET", "/api/cron").get_json()["total"] == 0


def test_a_key_in_use_is_a_conflict(caller: Any) -> None:
    caller.created(key="k")
    response = caller("POST", "/api/cron", {**WEEKLY, "key": "k"})
    assert response.status_code == 409
    assert "key" in response.get_json()["errors"]["json"]
    other = caller.created()
    assert caller("PATCH", f"/api/cron/{other['id']}", {"key": "k"}).status_code == 409


def test_lists_come_in_pages(caller: Any) -> None:
    for name in ("c", "a", "b"):
        caller.created(name=name)
    first = caller("GET", "/api/cron?limit=2&sort=name").get_json()
    assert [job["name"] for job in first["items"]] == ["a", "b"]
    assert (first["page"], first["limit"], first["total"]) == (1, 2, 3)
    second = caller("GET", "/api/cron?limit=2&sort=name&page=2").get_json()
    assert [job["name"] for job in second["items"]] == ["c"]
    newest = caller("GET", "/api/cron").get_json()
    assert [job["name"] for job in newest["items"]] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=paused", ["off"]),
        ("isActive=true", ["on", "tagged"]),
        ("isActive=false", ["off"]),
        ("isActive=true&status=paused", []),
        ("tag=x", ["tagged"]),
        ("key=k", ["tagged"]),
        ("scheduleType=interval", ["on"]),
        ("sort=-name", ["tagged", "on", "off"]),
    ],
)
def test_lists_can_be_narrowed(caller: Any, query: str, names: list[str]) -> None:
    caller.created(name="off", isActive=False)
    caller.created(name="on", interval="day", intervalValue=1)
    caller.created(name="tagged", tags=["x", "y"], key="k")
    found = caller(
        "GET", f"/api/cron?{query}" if "sort" in query else f"/api/cron?sort=name&{query}"
    ).get_json()
    assert [job["name"] for job in found["items"]] == names


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "limit=101",
        "limit=x",
        "sort=ownerId",
        "sort=",
        "status=gone",
        "isActive=1",
        "filter=x",
        "name[$gt]=",
    ],
)
def test_bad_queries_are_named(caller: Any, query: str) -> None:
    response = caller("GET", f"/api/cron?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.get_json()["errors"]["query"]


def test_a_deleted_job_is_gone_and_so_are_its_waiting_executions(caller: Any) -> None:
    made = caller.created()
    path = f"/api/cron/{made['id']}"
    execution = caller("POST", f"{path}/trigger").get_json()["execution"]
    response = caller("DELETE", path)
    assert (response.status_code, response.data) == (204, b"")
    assert caller("GET", path).status_code == 404
    assert caller("DELETE", path).status_code == 404
    log = caller("GET", f"/api/execution-logs/{execution['id']}").get_json()
    assert (log["status"], log["reason"]) == ("cancelled", "deleted")
    assert len(caller("GET", f"/api/execution-logs/job/{made['id']}").get_json()["items"]) == 1


def test_a_job_can_be_deleted_with_its_log(caller: Any) -> None:
    path = f"/api/cron/{caller.created()['id']}"
    execution = caller("POST", f"{path}/trigger").get_json()["execution"]
    assert caller("DELETE", f"{path}?deleteLogs=true").status_code == 204
    assert caller("GET", f"/api/execution-logs/{execution['id']}").status_code == 404


def test_a_moment_in_the_past_is_refused_and_one_just_now_fires(caller: Any) -> None:
    response = caller(
        "POST", "/api/cron", {"name": "n", "webhookUrl": "https://example.com", "runAt": LONG_AGO}
    )
    assert response.status_code == 422
    assert "in the past" in response.get_json()["errors"]["json"]["runAt"][0]
    now = caller.created(delayMs=0)
    assert now["nextRunAt"] == now["runAt"] == now["createdAt"]


def test_a_clone_has_the_definition_and_a_secret_of_its_own(caller: Any) -> None:
    made = caller.created(key="k", auth={"type": "bearer", "token": "hush"}, tags=["x"])
    response = caller("POST", f"/api/cron/{made['id']}/clone")
    clone = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/api/cron/{clone['id']}"
    assert (clone["name"], clone["key"], clone["status"], clone["tags"]) == (
        "report (copy)",
        None,
        "paused",
        ["x"],
    )
    assert clone["auth"] == made["auth"]
    assert clone["signingSecret"] != made["signingSecret"]
    named = caller("POST", f"/api/cron/{made['id']}/clone", {"name": "other", "isActive": True}).get_json()
    assert (named["name"], named["status"]) == ("other", "active")


def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_on(caller: Any, platform: Any) -> None:
    made = caller.created()
    response = caller("POST", f"/api/cron/{made['id']}/secret/rotate", {"expireOldAfterMs": 60_000})
    rotated = response.get_json()
    assert response.headers["ETag"] == '"2"'
    present, old = platform.jobs.get(made["id"], owner_id=None).request.signing_secrets
    assert (present.secret, present.expires_at) == (rotated["signingSecret"], None)
    assert old.secret == made["signingSecret"]
    assert rotated["oldSecretExpiresAt"] is not None
    assert caller("POST", f"/api/cron/{made['id']}/secret/rotate").status_code == 200


def test_a_job_that_does_not_sign_has_no_secret_to_rotate(caller: Any) -> None:
    made = caller.created(signing=False)
    assert "signingSecret" not in made
    assert caller("POST", f"/api/cron/{made['id']}/secret/rotate").status_code == 409


def test_the_same_key_creates_one_job(caller: Any, new_caller: Any) -> None:
    headers = {"Idempotency-Key": "deploy-7"}
    first = caller("POST", "/api/cron", WEEKLY, headers=headers)
    again = caller("POST", "/api/cron", WEEKLY, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert again.headers["Location"] == first.headers["Location"]
    assert caller("GET", "/api/cron").get_json()["total"] == 1
    other = caller("POST", "/api/cron", {**WEEKLY, "name": "other"}, headers=headers)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.get_json()["errors"]["headers"]
    assert (
        new_caller()("POST", "/api/cron", WEEKLY, headers=headers).get_json()["id"] != first.get_json()["id"]
    )


def test_a_repeated_request_does_not_undo_later_changes(caller: Any) -> None:
    headers = {"Idempotency-Key": "deploy-7"}
    job = caller("POST", "/api/cron", WEEKLY, headers=headers).get_json()
    caller("PATCH", f"/api/cron/{job['id']}", {"name": "changed"})
    again = caller("POST", "/api/cron", WEEKLY, headers=headers).get_json()
    assert (again["id"], again["name"], again["version"]) == (job["id"], "changed", 2)


def test_a_deleted_job_does_not_come_back(caller: Any) -> None:
    headers = {"Idempotency-Key": "deploy-7"}
    job = caller("POST", "/api/cron", WEEKLY, headers=headers).get_json()
    caller("DELETE", f"/api/cron/{job['id']}")
    assert caller("POST", "/api/cron", WEEKLY, headers=headers).status_code == 409
    assert caller("GET", "/api/cron").get_json()["total"] == 0


def test_a_request_that_was_cut_off_is_made_up_for(caller: Any, platform: Any) -> None:
    headers = {"Idempotency-Key": "deploy-7"}
    job = caller("POST", "/api/cron", WEEKLY, headers=headers).get_json()
    platform.database["creations"].update_one({}, {"$unset": {"done": ""}})
    platform.database["jobs"].delete_one({})
    again = caller("POST", "/api/cron", WEEKLY, headers=headers)
    assert (again.status_code, again.get_json()["id"]) == (201, job["id"])


def test_a_request_is_forgotten_after_a_day(caller: Any, platform: Any) -> None:
    headers = {"Idempotency-Key": "deploy-7"}
    first = caller("POST", "/api/cron", WEEKLY, headers=headers).get_json()
    platform.database["creations"].update_one({}, {"$set": {"expireAt": datetime(2020, 1, 1, tzinfo=UTC)}})
    other = caller("POST", "/api/cron", {**WEEKLY, "name": "other"}, headers=headers)
    assert other.status_code == 201
    assert other.get_json()["id"] != first["id"]


def test_a_key_in_use_is_a_conflict_with_an_idempotency_key_as_well(caller: Any) -> None:
    caller.created(key="k")
    headers = {"Idempotency-Key": "x"}
    assert caller("POST", "/api/cron", {**WEEKLY, "key": "k"}, headers=headers).status_code == 409
    assert caller("POST", "/api/cron", {**WEEKLY, "key": "j"}, headers=headers).status_code == 201


def test_an_invalid_request_may_be_mended_under_the_same_key(caller: Any) -> None:
    headers = {"Idempotency-Key": "x"}
    assert caller("POST", "/api/cron", {**WEEKLY, "timezone": "Mars"}, headers=headers).status_code == 422
    assert caller("POST", "/api/cron", WEEKLY, headers=headers).status_code == 201


def test_a_request_is_known_again_when_its_moment_has_passed(
    caller: Any, platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = platform.clock.now() + timedelta(hours=1)
    once = {"name": "once", "webhookUrl": "https://example.com", "runAt": soon.isoformat()}
    headers = {"Idempotency-Key": "x"}
    job = caller("POST", "/api/cron", once, headers=headers).get_json()
    monkeypatch.setattr(PlatformClock, "now", lambda _: soon + timedelta(hours=1))
    assert caller("POST", "/api/cron", once).status_code == 422
    again = caller("POST", "/api/cron", once, headers=headers)
    assert (again.status_code, again.get_json()["id"]) == (201, job["id"])
