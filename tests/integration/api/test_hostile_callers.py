"""What callers with bad intentions send."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from webhookcron.service.accounts import AccountService
from webhookcron.service.tokens import LIFETIME, AccessTokens

JOB = {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}
OPERATOR = {"$gt": ""}


@pytest.fixture
def ann(platform: Any) -> Any:
    """A login."""
    return AccountService(platform).register("ann@example.com", "correct horse battery", "", address=None)


def status(make_caller: Any, token: str) -> int:
    return int(make_caller(token)("GET", "/api/cron").status_code)


# --- tokens


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def without_signature(token: str) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims_of(token))}."


def test_a_genuine_token_is_taken(ann: Any, make_caller: Any) -> None:
    assert status(make_caller, ann.access_token) == 200


@pytest.mark.parametrize(
    "tamper",
    [
        without_signature,
        lambda token: jwt.encode(claims_of(token), "another-key-of-thirty-two-bytes!!", "HS256"),
        lambda token: jwt.encode(claims_of(token), "a-secret-key-for-tests-only-and-more", "HS256"),
        lambda token: token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.rpartition(".")[0],
        lambda token: token + "x" * 100_000,
        lambda token: token.replace(".", ".."),
        lambda token: "eyJhbGciOiJSUzI1NiJ9." + token.partition(".")[2],
    ],
    ids=["alg none", "wrong key", "underived key", "changed", "unsigned", "cut", "huge", "dots", "alg"],
)
def test_tampered_tokens_are_refused(ann: Any, make_caller: Any, tamper: Any) -> None:
    assert status(make_caller, tamper(ann.access_token)) == 401


def test_expired_tokens_and_those_of_others_sessions_are_refused(
    ann: Any, make_caller: Any, platform: Any
) -> None:
    tokens = AccessTokens(platform.settings.secret_keys)
    now = platform.clock.now()
    over, _ = tokens.issue(ann.user.id, ann.session_id, now=now - LIFETIME - timedelta(seconds=1))
    assert status(make_caller, over) == 401
    for user, session in ((ann.user.id, "0" * 32), ("somebody", ann.session_id)):
        made_up, _ = tokens.issue(user, session, now=now)
        assert status(make_caller, made_up) == 401


def test_older_secret_keys_still_verify(ann: Any, platform: Any) -> None:
    rotated = AccessTokens(("a-new-secret-key-for-tests", *platform.settings.secret_keys))
    assert rotated.read(ann.access_token, now=platform.clock.now()) is not None
    replaced = AccessTokens(("a-new-secret-key-for-tests",))
    assert replaced.read(ann.access_token, now=platform.clock.now()) is None


def test_a_refresh_token_is_no_access_token(ann: Any, make_caller: Any) -> None:
    assert status(make_caller, ann.refresh_token) == 401


def test_credentials_of_removed_and_stopped_accounts_are_refused(
    new_caller: Any, platform: Any, ann: Any, make_caller: Any
) -> None:
    key = new_caller()
    users = platform.database["users"]
    users.update_many({}, {"$set": {"deletedAt": platform.clock.now()}})
    assert key("GET", "/api/cron").status_code == 401
    assert status(make_caller, ann.access_token) == 401


def test_a_role_is_looked_up_not_carried(ann: Any, make_caller: Any, platform: Any) -> None:
    platform.database["users"].update_many({}, {"$set": {"role": "viewer"}})
    assert make_caller(ann.access_token)("POST", "/api/cron", JOB).status_code == 403


# --- bodies


@pytest.mark.parametrize(
    "field",
    ["id", "ownerId", "status", "version", "createdAt", "handledThrough", "totalRuns", "mirrorDue", "_id"],
)
def test_what_the_platform_keeps_cannot_be_written(caller: Any, field: str) -> None:
    assert caller("POST", "/api/cron", {**JOB, field: "x"}).status_code == 422
    job = caller.created()
    assert caller("PATCH", f"/api/cron/{job['id']}", {field: "x"}).status_code == 422
    replaced = caller("PUT", f"/api/cron/{job['id']}", {**JOB, "ownerId": "admin", "totalRuns": 5})
    assert (replaced.get_json()["ownerId"], replaced.get_json()["totalRuns"]) == (job["ownerId"], 0)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/auth/login", {"email": OPERATOR, "password": OPERATOR}),
        ("POST", "/api/auth/login", {"email": "ann@example.com", "password": OPERATOR}),
        ("POST", "/api/auth/refresh", {"refreshToken": OPERATOR}),
        ("POST", "/api/auth/register", {"email": OPERATOR, "password": "correct horse battery"}),
        ("POST", "/api/auth/password", {"currentPassword": OPERATOR, "newPassword": "long enough"}),
        ("POST", "/api/auth/api-keys", {"name": OPERATOR, "scopes": ["read"]}),
        ("POST", "/api/auth/api-keys", {"name": "n", "scopes": OPERATOR}),
        ("POST", "/api/cron/bulk", {"action": "delete", "filter": {"tags": [OPERATOR]}}),
        ("POST", "/api/cron/bulk", {"action": "delete", "filter": {"host": OPERATOR}}),
        ("POST", "/api/execution-logs/replay", {"from": OPERATOR, "to": OPERATOR}),
        *(
            ("POST", "/api/cron", {**JOB, field: OPERATOR})
            for field in ("name", "key", "description", "tags", "timezone", "webhookUrl", "method", "alerts")
        ),
    ],
)
def test_operators_are_no_values(caller: Any, method: str, path: str, body: Any) -> None:
    assert caller(method, path, body).status_code == 422


@pytest.mark.parametrize(
    "query",
    ["status[$gt]=", "key[$ne]=x", "tag=%00", "search=%00", "ownerId[$regex]=.*", "sort=$where", "page=-1"],
)
def test_operators_are_no_parameters(caller: Any, query: str) -> None:
    assert caller("GET", f"/api/cron?{query}").status_code == 422


def test_operators_in_a_payload_are_data(caller: Any) -> None:
    payload = {"$gt": "", "a.b": {"$where": "1"}, "$set": {"role": "admin"}}
    job = caller.created(payload=payload)
    assert caller("GET", f"/api/cron/{job['id']}").get_json()["payload"] == payload


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A\r\nX-Evil": "1"},
        {"X-A": "\x00"},
        {"": "x"},
        {"A B": "x"},
        {"X:Y": "x"},
    ],
    ids=range(6),
)
def test_headers_cannot_be_smuggled_into_calls(caller: Any, headers: dict[str, str]) -> None:
    response = caller("POST", "/api/cron", {**JOB, "headers": headers})
    assert (response.status_code, "headers" in response.get_json()["errors"]["json"]) == (422, True)


@pytest.mark.parametrize(
    "path", ["/api/cron?key=%0d%0aX-Evil:1", "/api/cron/%0d%0aX-Evil:1", "/%0d%0aX-Evil:1"]
)
def test_headers_cannot_be_smuggled_into_answers(caller: Any, path: str) -> None:
    response = caller("GET", path)
    assert response.status_code in (404, 422)
    assert "X-Evil" not in response.headers


@pytest.mark.parametrize(
    "body",
    ["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, '{"name": ' + "9" * 5_000 + "}"],
    ids=["open", "nested", "digits"],
)
@pytest.mark.parametrize("path", ["/api/cron", "/api/auth/login", "/api/cron/bulk"])
def test_monstrous_json_is_refused(caller: Any, path: str, body: str) -> None:
    response = caller("POST", path, headers={"Content-Type": "application/json"}, data=body)
    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/api/cron", "/api/auth/login", "/api/cron/bulk"])
def test_bodies_that_are_too_large_are_refused(caller: Any, path: str) -> None:
    response = caller(
        "POST", path, headers={"Content-Type": "application/json"}, data=b'"' + b"x" * 1_100_000 + b'"'
    )
    assert response.status_code == 413


def test_every_answer_forbids_what_browsers_should_not_do(caller: Any, nobody: Any) -> None:
    for response in (
        caller("GET", "/api/cron"),
        nobody("GET", "/api/cron"),
        nobody("GET", "/none"),
        caller("POST", "/api/cron", {}),
    ):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert caller("GET", "/api/cron").headers["Cache-Control"] == "no-store"
