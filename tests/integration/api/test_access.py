"""Who may do what: keys, scopes, roles, and other owners' resources."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

ALERT = {"name": "n", "channel": "webhook", "url": "https://example.com"}
JOB = {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}

RANGE = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
USER = {"email": "new@example.com"}
PASSWORDS = {"currentPassword": "wrong password", "newPassword": "another horse battery"}

OWN, EVERYONE, ADMIN, ACCOUNT, OPEN = "own", "everyone", "admin", "account", "open"


@dataclass(frozen=True)
class Operation:
    """One operation and who may do it.

    kind    own: on something of an owner · everyone: on whatever the caller sees · admin: for admins ·
            account: on the caller's own account, so viewers may · open: without any credential.
    scope   What a key needs.
    fits    The status for a caller who may.
    """

    method: str
    path: str
    kind: str
    scope: str = ""
    body: Any = field(default=None, compare=False)
    fits: int = 200

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


OPERATIONS = [
    Operation("GET", "/api/cron", EVERYONE, "read"),
    Operation("POST", "/api/cron", EVERYONE, "write", JOB, 201),
    Operation("POST", "/api/cron/bulk", EVERYONE, "write", {"action": "delete", "ids": []}),
    Operation("GET", "/api/cron/stats", EVERYONE, "read"),
    Operation("GET", "/api/cron/{job}", OWN, "read"),
    Operation("PUT", "/api/cron/{job}", OWN, "write", JOB),
    Operation("PATCH", "/api/cron/{job}", OWN, "write", {"name": "m"}),
    Operation("PUT", "/api/cron/by-key/{name}", EVERYONE, "write", JOB, 201),
    Operation("POST", "/api/cron/{job}/pause", OWN, "write"),
    Operation("POST", "/api/cron/{job}/resume", OWN, "write"),
    Operation("POST", "/api/cron/{job}/trigger", OWN, "trigger", None, 202),
    Operation("POST", "/api/cron/{job}/clone", OWN, "write", None, 201),
    Operation("POST", "/api/cron/{job}/secret/rotate", OWN, "write"),
    Operation("POST", "/api/cron/{job}/backfill", OWN, "trigger", {**RANGE, "dryRun": True}),
    Operation("GET", "/api/cron/{job}/next", OWN, "read"),
    Operation("POST", "/api/cron/preview", EVERYONE, "read", {"cronExpression": "@daily"}),
    Operation("POST", "/api/cron/test", EVERYONE, "trigger", {"webhookUrl": "http://127.0.0.1:1/"}, 422),
    Operation("GET", "/api/execution-logs", EVERYONE, "read"),
    Operation("GET", "/api/execution-logs/export", EVERYONE, "read"),
    Operation("GET", "/api/events", EVERYONE, "read"),
    Operation("DELETE", "/api/execution-logs?to=2020-01-01T00:00:00Z", EVERYONE, "write"),
    Operation("GET", "/api/execution-logs/job/{job}", OWN, "read"),
    Operation("GET", "/api/execution-logs/{execution}", OWN, "read"),
    Operation("POST", "/api/execution-logs/{execution}/replay", OWN, "trigger", None, 409),
    Operation("POST", "/api/execution-logs/{execution}/cancel", OWN, "trigger"),
    Operation("POST", "/api/execution-logs/replay", EVERYONE, "trigger", RANGE, 202),
    Operation("DELETE", "/api/execution-logs/{execution}", OWN, "write", None, 409),
    Operation("GET", "/api/alerts", EVERYONE, "read"),
    Operation("POST", "/api/alerts", EVERYONE, "write", ALERT, 201),
    Operation("GET", "/api/alerts/{alert}", OWN, "read"),
    Operation("PATCH", "/api/alerts/{alert}", OWN, "write", {"name": "m"}),
    Operation("POST", "/api/alerts/{alert}/test", OWN, "trigger", None, 202),
    Operation("GET", "/api/alerts/{alert}/messages", OWN, "read"),
    Operation("DELETE", "/api/alerts/{alert}", OWN, "write", None, 204),
    Operation("DELETE", "/api/cron/{job}", OWN, "write", None, 204),
    Operation("POST", "/api/auth/register", OPEN, body={"email": "x", "password": "x"}, fits=422),
    Operation("POST", "/api/auth/login", OPEN, body={"email": "x", "password": "x"}, fits=401),
    Operation("POST", "/api/auth/refresh", OPEN, body={"refreshToken": "x"}, fits=401),
    Operation("POST", "/api/auth/logout", ACCOUNT, "read", None, 409),
    Operation("POST", "/api/auth/password", ACCOUNT, "write", PASSWORDS, 409),
    Operation("GET", "/api/auth/me", EVERYONE, "read"),
    Operation("GET", "/api/auth/api-keys", EVERYONE, "read"),
    Operation("POST", "/api/auth/api-keys", ACCOUNT, "write", {"name": "n", "scopes": ["write"]}, 201),
    Operation("GET", "/api/auth/api-keys/{key}", EVERYONE, "read", None, 404),
    Operation("DELETE", "/api/auth/api-keys/{key}", ACCOUNT, "write", None, 404),
    Operation("GET", "/api/users", ADMIN, "read"),
    Operation("POST", "/api/users", ADMIN, "write", USER, 201),
    Operation("GET", "/api/users/{user}", ADMIN, "read"),
    Operation("PATCH", "/api/users/{user}", ADMIN, "write", {"name": "m"}),
    Operation("DELETE", "/api/users/{user}", ADMIN, "write", None, 204),
    Operation("GET", "/api/audit", ADMIN, "read"),
    Operation("GET", "/api/stats/system", ADMIN, "read"),
]

PLACES = {
    "{job_id}": "{job}",
    "{execution_id}": "{execution}",
    "{alert_id}": "{alert}",
    "{key_id}": "{key}",
    "{user_id}": "{user}",
    "by-key/{key}": "by-key/{name}",
}


class Stage:
    """A job, its execution and an alert of one member, and everyone who might want them."""

    def __init__(self, new_caller: Any) -> None:
        self._new_caller = new_caller
        self._owner_id = secrets.token_hex(6)
        self.owner = new_caller(user_id=self._owner_id)
        job = self.owner.created()
        execution = self.owner("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]
        alert = self.owner("POST", "/api/alerts", ALERT).get_json()
        other = secrets.token_hex(6)
        new_caller(user_id=other)
        self._ids = {
            "job": job["id"],
            "execution": execution["id"],
            "alert": alert["id"],
            "name": "k",
            "key": "0" * 24,
            "user": other,
        }

    def status(self, caller: Any, operation: Operation) -> int:
        """What `caller` gets for `operation`."""
        with caller(operation.method, operation.path.format(**self._ids), operation.body) as response:
            return int(response.status_code)

    def owner_with(self, *scopes: str) -> Any:
        """The owner, with a key for some things only."""
        return self._new_caller(user_id=self._owner_id, scopes=scopes)


@pytest.fixture
def stage(new_caller: Any) -> Stage:
    return Stage(new_caller)


@pytest.fixture
def check(new_caller: Any) -> Callable[..., None]:
    """Try every operation, each on a stage of its own, and compare all statuses at once."""

    def run(who: Callable[[Stage], Any], expected: Callable[[Operation], int]) -> None:
        stages = {operation: Stage(new_caller) for operation in OPERATIONS}
        found = {str(o): stage.status(who(stage), o) for o, stage in stages.items()}
        assert found == {str(operation): expected(operation) for operation in OPERATIONS}

    return run


def test_every_operation_is_listed_here(app: Any) -> None:
    document = app.test_client().get("/openapi.json").get_json()
    served = set()
    for path, operations in document["paths"].items():
        for long, short in PLACES.items():
            path = path.replace(long, short)
        served |= {(method.upper(), path) for method in operations if method != "parameters"}
    named = {(operation.method, operation.path.partition("?")[0]) for operation in OPERATIONS}
    assert {operation for operation in served if operation[1].startswith("/api/")} == named


def test_nobody_may_do_what_is_not_open_to_all(check: Any, nobody: Any) -> None:
    check(lambda _: nobody, lambda operation: operation.fits if operation.kind == OPEN else 401)


def test_a_refusal_names_the_way_to_sign_in(nobody: Any) -> None:
    response = nobody("GET", "/api/cron")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="webhookcron"'
    assert response.get_json()["code"] == 401


def test_an_owner_does_everything_with_what_they_own(check: Any) -> None:
    check(lambda stage: stage.owner, lambda operation: 403 if operation.kind == ADMIN else operation.fits)


def test_others_resources_are_not_there(check: Any, new_caller: Any) -> None:
    expected = {ADMIN: 403, OWN: 404}
    check(lambda _: new_caller(), lambda operation: expected.get(operation.kind, operation.fits))


def test_a_viewer_reads_everyones_and_changes_nothing(check: Any, new_caller: Any) -> None:
    def expected(operation: Operation) -> int:
        if operation.kind in (OPEN, ACCOUNT):
            return operation.fits
        return operation.fits if operation.kind != ADMIN and operation.scope == "read" else 403

    check(lambda _: new_caller("viewer"), expected)


def test_an_admin_does_everything_with_everyones(check: Any, new_caller: Any) -> None:
    check(lambda _: new_caller("admin"), lambda operation: operation.fits)


@pytest.mark.parametrize("granted", ["read", "write", "trigger"])
def test_a_key_does_what_its_scopes_say(check: Any, granted: str) -> None:
    def expected(operation: Operation) -> int:
        if operation.kind == OPEN:
            return operation.fits
        return operation.fits if operation.kind != ADMIN and operation.scope == granted else 403

    check(lambda stage: stage.owner_with(granted), expected)


@pytest.mark.parametrize("granted", ["read", "write", "trigger"])
def test_an_admins_key_does_what_its_scopes_say(check: Any, new_caller: Any, granted: str) -> None:
    def expected(operation: Operation) -> int:
        return operation.fits if operation.kind == OPEN or operation.scope == granted else 403

    check(lambda _: new_caller("admin", scopes=(granted,)), expected)


@pytest.mark.parametrize("action", ["activate", "deactivate", "delete", "trigger"])
@pytest.mark.parametrize("granted", ["read", "write", "trigger"])
def test_bulk_needs_the_scope_of_its_action(stage: Stage, action: str, granted: str) -> None:
    operation = Operation("POST", "/api/cron/bulk", EVERYONE, body={"action": action, "ids": []})
    needed = "trigger" if action == "trigger" else "write"
    expected = 200 if granted == needed else 403
    assert stage.status(stage.owner_with("read", granted), operation) == expected


def test_lists_hold_ones_own(caller: Any, new_caller: Any) -> None:
    caller.created()
    assert new_caller()("GET", "/api/cron").get_json()["total"] == 0
    assert new_caller("admin")("GET", "/api/cron").get_json()["total"] == 1


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
