"""Accounts, API keys and the audit trail over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

PASSWORD = "correct horse battery"
ANN = {"email": "ann@example.com", "password": PASSWORD}


@pytest.fixture
def admin(new_caller: Any) -> Any:
    return new_caller("admin")


@pytest.fixture
def login(nobody: Any, make_caller: Any) -> Any:
    """Register the first account; (tokens, a caller with its access token)."""
    tokens = nobody("POST", "/api/auth/register", {**ANN, "name": "Ann"})
    assert tokens.status_code == 201, tokens.get_json()
    body = tokens.get_json()
    return body, make_caller(body["accessToken"])


def test_registering_logs_in(login: Any) -> None:
    tokens, ann = login
    assert (tokens["user"]["email"], tokens["user"]["role"]) == ("ann@example.com", "admin")
    me = ann("GET", "/api/auth/me").get_json()
    assert (me["user"]["name"], me["scopes"], me["keyId"]) == ("Ann", ["read", "trigger", "write"], None)
    assert ann.created()["ownerId"] == tokens["user"]["id"]


def test_what_is_created_is_found_where_the_answer_says(admin: Any, login: Any) -> None:
    for path, body in (
        ("/api/users", {"email": "bob@example.com"}),
        ("/api/auth/api-keys", {"name": "n", "scopes": ["read"]}),
        ("/api/alerts", {"name": "n", "channel": "webhook", "url": "https://example.com"}),
        ("/api/cron", {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}),
        (
            "/api/cron/by-key/k",
            {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"},
        ),
    ):
        made = admin("PUT" if "by-key" in path else "POST", path, body)
        assert made.status_code == 201
        found = admin("GET", made.headers["Location"])
        assert (found.status_code, found.get_json()["id"]) == (200, made.get_json()["id"])
        shown_once = {"/api/users": "password", "/api/auth/api-keys": "key"}.get(path, "signingSecret")
        assert (shown_once in made.get_json(), shown_once in found.get_json()) == (True, False)
    tokens, _ = login
    assert admin("GET", f"/api/users/{tokens['user']['id']}").get_json()["email"] == ANN["email"]


def test_a_login_is_refreshed_and_ended(login: Any, nobody: Any, make_caller: Any) -> None:
    tokens, _ = login
    again = nobody("POST", "/api/auth/login", ANN).get_json()
    fresh = nobody("POST", "/api/auth/refresh", {"refreshToken": again["refreshToken"]}).get_json()
    caller = make_caller(fresh["accessToken"])
    assert caller("GET", "/api/auth/me").status_code == 200
    assert caller("POST", "/api/auth/logout").status_code == 204
    assert caller("GET", "/api/auth/me").status_code == 401
    assert nobody("POST", "/api/auth/refresh", {"refreshToken": fresh["refreshToken"]}).status_code == 401
    assert make_caller(tokens["accessToken"])("GET", "/api/auth/me").status_code == 200


def test_wrong_passwords_are_refused_then_put_off(login: Any, nobody: Any) -> None:
    answers = [nobody("POST", "/api/auth/login", {**ANN, "password": "wrong"}) for _ in range(11)]
    # Registering was an attempt, too.
    assert [answer.status_code for answer in answers] == [401] * 9 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    unknown = nobody("POST", "/api/auth/login", {"email": "eve@example.com", "password": "wrong"})
    assert unknown.get_json()["message"] == answers[0].get_json()["message"]


def test_ones_password_is_changed(login: Any, nobody: Any) -> None:
    _, ann = login
    change = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    assert ann("POST", "/api/auth/password", {**change, "newPassword": "short"}).status_code == 422
    assert ann("POST", "/api/auth/password", change).status_code == 204
    assert nobody("POST", "/api/auth/login", {**ANN, "password": change["newPassword"]}).status_code == 200


# --- accounts


def test_an_admin_makes_changes_and_removes_accounts(admin: Any, nobody: Any, make_caller: Any) -> None:
    made = admin("POST", "/api/users", {"email": "Bob@example.com", "role": "viewer"})
    assert made.status_code == 201
    bob = made.get_json()
    credentials = {"email": "bob@example.com", "password": bob.pop("password")}
    login = nobody("POST", "/api/auth/login", credentials).get_json()
    as_bob = make_caller(login["accessToken"])
    assert as_bob("POST", "/api/cron", {}).status_code == 403

    path = f"/api/users/{bob['id']}"
    assert admin("PATCH", path, {"role": "member", "name": "Bob"}).get_json()["role"] == "member"
    assert as_bob.created()["ownerId"] == bob["id"]
    assert "password" not in str(admin("GET", "/api/users").get_json())
    assert admin("DELETE", path).status_code == 409
    assert admin("PATCH", path, {"isActive": False}).get_json()["isActive"] is False
    assert as_bob("GET", "/api/cron").status_code == 401
    assert nobody("POST", "/api/auth/login", credentials).status_code == 401

    admin("POST", "/api/cron/bulk", {"action": "delete", "filter": {"ownerId": bob["id"]}})
    assert admin("DELETE", path).status_code == 204
    assert admin("DELETE", path).status_code == 404
    assert bob["id"] not in {user["id"] for user in admin("GET", "/api/users").get_json()["items"]}


def test_an_address_has_one_account(admin: Any) -> None:
    admin("POST", "/api/users", {"email": "bob@example.com"})
    refused = admin("POST", "/api/users", {"email": "BOB@example.com"})
    assert (refused.status_code, list(refused.get_json()["errors"]["json"])) == (409, ["email"])


def test_nobody_takes_away_their_own_rights(admin: Any) -> None:
    me = admin("GET", "/api/users").get_json()["items"][0]["id"]
    for change in ({"role": "member"}, {"isActive": False}):
        assert admin("PATCH", f"/api/users/{me}", change).status_code == 409
    assert admin("DELETE", f"/api/users/{me}").status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"email": "bob"},
        {"email": "bob@example.com", "role": "root"},
        {"email": "bob@example.com", "password": "short"},
        {"email": "bob@example.com", "id": "admin"},
        {"email": "bob@example.com", "passwordHash": "x"},
        {"email": {"$gt": ""}},
    ],
)
def test_what_cannot_be_an_account_is_refused(admin: Any, body: Any) -> None:
    assert admin("POST", "/api/users", body).status_code == 422


# --- keys


def test_a_key_is_made_used_and_removed(caller: Any, make_caller: Any, platform: Any) -> None:
    made = caller("POST", "/api/auth/api-keys", {"name": "ci", "scopes": ["read", "read"]})
    assert made.status_code == 201
    key = made.get_json()
    assert key["scopes"] == ["read"]
    program = make_caller(key["key"])
    assert program("GET", "/api/cron").status_code == 200
    assert program("POST", "/api/cron", {}).status_code == 403
    listed = caller("GET", "/api/auth/api-keys")
    assert key["key"] not in listed.get_data(as_text=True)
    (ci,) = [found for found in listed.get_json()["items"] if found["name"] == "ci"]
    assert ci["lastUsedAt"] is not None
    stored = platform.database["apiKeys"].find_one({"_id": key["id"]})
    assert key["key"] not in str(stored)
    assert caller("DELETE", f"/api/auth/api-keys/{key['id']}").status_code == 204
    assert program("GET", "/api/cron").status_code == 401
    assert caller("DELETE", f"/api/auth/api-keys/{key['id']}").status_code == 404


def test_a_key_gives_no_more_than_it_has(new_caller: Any, platform: Any) -> None:
    writer = new_caller(scopes=("write",))
    body = {"name": "n", "scopes": ["write", "trigger"]}
    assert writer("POST", "/api/auth/api-keys", body).status_code == 403
    ends = datetime.now(UTC) + timedelta(hours=1)
    platform.database["apiKeys"].update_many({}, {"$set": {"expiresAt": ends}})
    short = new_caller(scopes=("write",))
    platform.database["apiKeys"].update_many({}, {"$set": {"expiresAt": ends}})
    body = {"name": "n", "scopes": ["write"]}
    assert short("POST", "/api/auth/api-keys", body).status_code == 403
    later = (ends + timedelta(hours=1)).isoformat()
    assert short("POST", "/api/auth/api-keys", {**body, "expiresAt": later}).status_code == 403
    sooner = (ends - timedelta(minutes=1)).isoformat()
    assert short("POST", "/api/auth/api-keys", {**body, "expiresAt": sooner}).status_code == 201


def test_a_key_that_is_over_from_the_start_is_refused(caller: Any) -> None:
    body = {"name": "n", "scopes": ["read"], "expiresAt": "2020-01-01T00:00:00Z"}
    refused = caller("POST", "/api/auth/api-keys", body)
    assert (refused.status_code, list(refused.get_json()["errors"]["json"])) == (422, ["expiresAt"])


def test_others_keys_are_not_there(caller: Any, new_caller: Any) -> None:
    key = new_caller()("POST", "/api/auth/api-keys", {"name": "n", "scopes": ["read"]}).get_json()
    assert caller("DELETE", f"/api/auth/api-keys/{key['id']}").status_code == 404


# --- audit


def test_the_audit_trail_says_who_did_what(caller: Any, admin: Any) -> None:
    job = caller.created(name="report")
    path = f"/api/cron/{job['id']}"
    caller("PATCH", path, {"name": "other", "headers": {"Authorization": "a-secret"}})
    caller("POST", f"{path}/pause")
    caller("POST", f"{path}/trigger")
    admin("DELETE", path)
    trail = admin("GET", f"/api/audit?resourceId={job['id']}").get_json()
    actions = [entry["action"] for entry in trail["items"]]
    assert actions == ["job.delete", "job.trigger", "job.pause", "job.change", "job.create"]
    assert trail["total"] == 5
    changed = trail["items"][3]
    assert changed["userId"] == job["ownerId"]
    assert changed["address"] == "127.0.0.1"
    assert changed["keyId"]
    assert {"name", "headers"} <= set(changed["details"]["fields"])
    assert "a-secret" not in str(trail)
    assert trail["items"][0]["details"]["ownerId"] == job["ownerId"]


def test_the_audit_trail_is_filtered(caller: Any, admin: Any) -> None:
    caller.created()
    owner = caller("GET", "/api/auth/me").get_json()["user"]["id"]
    for query, count in (
        (f"userId={owner}", 1),
        ("userId=nobody", 0),
        ("action=job.create", 1),
        ("to=2020-01-01T00:00:00Z", 0),
        ("from=2020-01-01T00:00:00Z", 1),
    ):
        assert admin("GET", f"/api/audit?{query}").get_json()["total"] == count


def test_failed_logins_are_in_the_audit_trail(login: Any, nobody: Any) -> None:
    _, ann = login
    nobody("POST", "/api/auth/login", {**ANN, "password": "wrong"})
    (entry,) = ann("GET", "/api/audit?action=user.loginFailed").get_json()["items"]
    assert (entry["userId"], entry["address"]) == (None, "127.0.0.1")


def test_looking_leaves_no_trace(caller: Any, admin: Any) -> None:
    caller("GET", "/api/cron")
    caller("GET", "/api/execution-logs")
    assert admin("GET", "/api/audit").get_json()["total"] == 0
