"""Who may do what: keys, scopes, roles, and other owners' resources."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

ALERT = {"name": "n", "channel": "webhook", "url": "https://example.com"}
JOB = {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}

# Method, path, body, scope. {job} and {execution} are those of the first member.
OPERATIONS: list[tuple[str, str, Any, str]] = [
    ("GET", "/api/cron", None, "read"),
    ("POST", "/api/cron", JOB, "write"),
    ("GET", "/api/cron/{job}", None, "read"),
    ("PUT", "/api/cron/{job}", JOB, "write"),
    ("PATCH", "/api/cron/{job}", {"name": "m"}, "write"),
    ("PUT", "/api/cron/by-key/k", JOB, "write"),
    ("POST", "/api/cron/{job}/pause", None, "write"),
    ("POST", "/api/cron/{job}/resume", None, "write"),
    ("POST", "/api/cron/{job}/trigger", None, "trigger"),
    ("POST", "/api/cron/{job}/clone", None, "write"),
    ("POST", "/api/cron/{job}/secret/rotate", None, "write"),
    (
        "POST",
        "/api/cron/{job}/backfill",
        {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"},
        "trigger",
    ),
    ("GET", "/api/cron/{job}/next", None, "read"),
    ("POST", "/api/cron/preview", {"cronExpression": "@daily"}, "read"),
    ("POST", "/api/cron/test", {"webhookUrl": "http://127.0.0.1:1/"}, "trigger"),
    ("GET", "/api/execution-logs", None, "read"),
    ("GET", "/api/execution-logs/job/{job}", None, "read"),
    ("GET", "/api/execution-logs/{execution}", None, "read"),
    ("POST", "/api/execution-logs/{execution}/cancel", None, "trigger"),
    ("POST", "/api/execution-logs/{execution}/replay", None, "trigger"),
    (
        "POST",
        "/api/execution-logs/replay",
        {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"},
        "trigger",
    ),
    ("DELETE", "/api/execution-logs/{execution}", None, "write"),
    ("GET", "/api/alerts", None, "read"),
    ("POST", "/api/alerts", ALERT, "write"),
    ("GET", "/api/alerts/{alert}", None, "read"),
    ("PATCH", "/api/alerts/{alert}", {"name": "m"}, "write"),
    ("POST", "/api/alerts/{alert}/test", None, "trigger"),
    ("GET", "/api/alerts/{alert}/messages", None, "read"),
    ("DELETE", "/api/alerts/{alert}", None, "write"),
    ("DELETE", "/api/cron/{job}", None, "write"),
]

OF_ONE_OWNER = [operation for operation in OPERATIONS if "{" in operation[1]]


@pytest.fixture
def path_of(caller: Any) -> Callable[[str], str]:
    """Paths of a job of the first member and of its execution."""
    job = caller.created()
    execution = caller("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]
    alert = caller("POST", "/api/alerts", ALERT).get_json()
    return lambda path: path.format(job=job["id"], execution=execution["id"], alert=alert["id"])


def test_every_operation_is_listed_here(app: Any) -> None:
    document = app.test_client().get("/openapi.json").get_json()
    served = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters" and path.startswith("/api/")
    }
    named = {(method, path.replace("by-key/k", "by-key/{key}")) for method, path, _, _ in OPERATIONS}
    names = {"{job_id}": "{job}", "{execution_id}": "{execution}", "{alert_id}": "{alert}"}
    for long, short in names.items():
        served = {(method, path.replace(long, short)) for method, path in served}
    assert served == named


@pytest.mark.parametrize(("method", "path", "body", "scope"), OPERATIONS)
def test_nobody_may_do_anything(
    nobody: Any, path_of: Callable[[str], str], method: str, path: str, body: Any, scope: str
) -> None:
    response = nobody(method, path_of(path), body)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="webhookcron"'
    assert response.get_json()["code"] == 401


@pytest.mark.parametrize(("method", "path", "body", "scope"), OPERATIONS)
def test_a_key_does_what_its_scopes_say(
    new_caller: Any,
    platform: Any,
    caller: Any,
    path_of: Callable[[str], str],
    method: str,
    path: str,
    body: Any,
    scope: str,
) -> None:
    owner = platform.database["users"].find_one({})["_id"]
    for granted in ("read", "write", "trigger"):
        response = new_caller(scopes=(granted,), user_id=owner)(method, path_of(path), body)
        assert (response.status_code == 403) == (granted != scope)


@pytest.mark.parametrize(("method", "path", "body", "scope"), OF_ONE_OWNER)
def test_others_resources_are_not_found(
    new_caller: Any, path_of: Callable[[str], str], method: str, path: str, body: Any, scope: str
) -> None:
    assert new_caller()(method, path_of(path), body).status_code == 404


@pytest.mark.parametrize(("method", "path", "body", "scope"), OPERATIONS)
def test_a_viewer_reads_everyones_and_changes_nothing(
    new_caller: Any, path_of: Callable[[str], str], method: str, path: str, body: Any, scope: str
) -> None:
    status = new_caller("viewer")(method, path_of(path), body).status_code
    assert status == (200 if scope == "read" else 403)


def test_lists_hold_ones_own(caller: Any, new_caller: Any) -> None:
    caller.created()
    assert new_caller()("GET", "/api/cron").get_json()["total"] == 0
    assert new_caller("admin")("GET", "/api/cron").get_json()["total"] == 1


def test_an_admin_changes_everyones(new_caller: Any, path_of: Callable[[str], str]) -> None:
    assert new_caller("admin")("PATCH", path_of("/api/cron/{job}"), {"name": "m"}).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer whk_wrong",
        "Basic d2hrOng=",
        "whk_wrong",
        "Bearer whk_" + "x" * 100_000,
    ],
    ids=range(7),
)
def test_what_is_no_key_is_refused(nobody: Any, authorization: str) -> None:
    assert nobody("GET", "/api/cron", headers={"Authorization": authorization}).status_code == 401


def test_an_expired_key_and_that_of_a_deleted_user_are_refused(new_caller: Any, platform: Any) -> None:
    keys, users = platform.database["apiKeys"], platform.database["users"]
    expired = new_caller()
    keys.update_many({}, {"$set": {"expiresAt": datetime.now(UTC) - timedelta(seconds=1)}})
    assert expired("GET", "/api/cron").status_code == 401
    orphan = new_caller()
    users.delete_many({})
    assert orphan("GET", "/api/cron").status_code == 401
