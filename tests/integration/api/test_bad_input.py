"""Input that is wrong or hostile: refused with the field named, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

JOB = {"name": "n", "webhookUrl": "https://example.com", "cronExpression": "@daily"}
JSON = {"Content-Type": "application/json"}


def check_body(response: Any, status: int) -> dict[str, Any]:
    """The one body of all errors."""
    body = response.get_json()
    assert response.status_code == status, body
    assert body.keys() == {"code", "status", "message", "errors"}
    assert body["code"] == status
    assert len(response.data) < 20_000
    return body


def nothing_is_stored(platform: Any) -> bool:
    return platform.database["jobs"].count_documents({}) == 0


NO_JSON = [
    b"",
    b"{",
    b"name=x",
    b"\xff",
    b'{"name": NaN}',
    b"[" * 100_000,
    b'{"a":' * 200 + b"1" + b"}" * 200,
    rb'{"name":"\ud800"}',
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_a_body_that_is_not_json_is_a_bad_request(caller: Any, platform: Any, body: bytes) -> None:
    check_body(caller("POST", "/api/cron", data=body, headers=JSON), 400)
    assert nothing_is_stored(platform)


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_says_it_is_something_else_is_not_read(caller: Any, platform: Any, type_: str) -> None:
    response = caller("POST", "/api/cron", data=json.dumps(JOB), headers={"Content-Type": type_})
    assert "Content-Type: application/json" in check_body(response, 415)["message"]
    assert nothing_is_stored(platform)


def test_a_name_that_comes_twice_is_refused(caller: Any, platform: Any) -> None:
    body = json.dumps(JOB)[:-1] + ', "webhookUrl": "https://example.org"}'
    assert "twice" in check_body(caller("POST", "/api/cron", data=body, headers=JSON), 400)["message"]
    assert nothing_is_stored(platform)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/cron/{id}"),
        ("POST", "/api/cron"),
        ("DELETE", "/api/cron/{id}"),
        ("POST", "/api/cron/{id}/pause"),
        ("GET", "/api/auth/me"),
        ("POST", "/api/auth/login"),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused(caller: Any, method: str, path: str) -> None:
    job = caller.created()
    response = caller(method, f"{path.format(id=job['id'])}?force=true", JOB if method == "POST" else None)
    assert check_body(response, 422)["errors"] == {"query": {"force": ["is not a known field"]}}
    after = caller("GET", f"/api/cron/{job['id']}").get_json()
    assert (after["status"], caller("GET", "/api/cron").get_json()["total"]) == ("active", 1)


def test_a_parameter_that_comes_twice_is_refused(caller: Any) -> None:
    body = check_body(caller("GET", "/api/cron?limit=1&limit=2"), 422)
    assert body["errors"] == {"query": {"limit": ["is given more than once"]}}


@pytest.mark.parametrize(
    ("method", "action"), [("POST", "/pause"), ("POST", "/trigger"), ("DELETE", ""), ("POST", "/resume")]
)
def test_a_body_that_nobody_reads_is_refused(caller: Any, method: str, action: str) -> None:
    job = caller.created()
    path = f"/api/cron/{job['id']}{action}"
    body = check_body(caller(method, path, {"payload": {"a": 1}}), 422)
    assert body["errors"] == {"json": {"payload": ["is not a known field"]}}
    assert "_schema" in check_body(caller(method, path, [1]), 422)["errors"]["json"]
    check_body(caller(method, path, data=b"{", headers=JSON), 400)
    check_body(caller(method, path, data=b"a=1", headers={"Content-Type": "text/plain"}), 415)
    assert caller("GET", f"/api/cron/{job['id']}").get_json()["version"] == job["version"]
    assert caller("GET", "/api/execution-logs").get_json()["items"] == []


def test_an_empty_body_is_as_good_as_none(caller: Any) -> None:
    job = caller.created()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert caller("POST", f"/api/cron/{job['id']}/pause", {}).status_code == 200
    assert caller("POST", f"/api/cron/{job['id']}/resume", data=b"", headers=form).status_code == 200


@pytest.mark.parametrize("body", [[], "text", 5, True])
def test_a_body_that_is_no_object_is_invalid(caller: Any, platform: Any, body: Any) -> None:
    check_body(caller("POST", "/api/cron", data=json.dumps(body), headers=JSON), 422)
    assert nothing_is_stored(platform)


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": {"$gt": ""}}, "name"),
    ({"name": None}, "name"),
    ({"key": "a b"}, "key"),
    ({"key": "x" * 129}, "key"),
    ({"description": "x" * 2001}, "description"),
    ({"tags": ["x"] * 21}, "tags"),
    ({"tags": ["x" * 51]}, "tags"),
    ({"tags": [{"$gt": ""}]}, "tags"),
    ({"tags": "x"}, "tags"),
    ({"alerts": ["x"]}, "alerts"),
    ({"cronExpression": "61 * * * *"}, "cronExpression"),
    ({"cronExpression": "x" * 100_000}, "cronExpression"),
    ({"cronExpression": "0 0 30 2 *"}, "cronExpression"),
    ({"cronExpression": {"$gt": ""}}, "cronExpression"),
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "../../etc/passwd"}, "timezone"),
    ({"interval": "minute", "intervalValue": 0, "cronExpression": None}, "intervalValue"),
    ({"interval": "fortnight"}, "interval"),
    ({"runAt": "tomorrow", "cronExpression": None}, "runAt"),
    ({"runAt": "2020-01-01T00:00:00Z", "cronExpression": None}, "runAt"),
    ({"delayMs": -1, "cronExpression": None}, "delayMs"),
    ({"delayMs": 10**18, "cronExpression": None}, "delayMs"),
    ({"endAt": "2020-01-01T00:00:00Z"}, "endAt"),
    ({"startAt": "2040-01-01T00:00:00"}, "startAt"),
    ({"maxRuns": 0}, "maxRuns"),
    ({"jitterMs": 3_600_001}, "jitterMs"),
    ({"webhookUrl": "example.com"}, "webhookUrl"),
    ({"webhookUrl": "javascript:alert(1)"}, "webhookUrl"),
    ({"webhookUrl": "http://localhost/"}, "webhookUrl"),
    ({"webhookUrl": "http://[::1]/"}, "webhookUrl"),
    ({"webhookUrl": "https://example.com/" + "x" * 8000}, "webhookUrl"),
    ({"method": "TRACE"}, "method"),
    ({"method": "post"}, "method"),
    ({"headers": {"X-A": "1\r\nX-B: 2"}}, "headers"),
    ({"headers": {"Content-Length": "1"}}, "headers"),
    ({"headers": {f"X-{n}": "1" for n in range(51)}}, "headers"),
    ({"headers": {"X-A": "x" * 17_000}}, "headers"),
    ({"headers": {"X-A": 1}}, "headers"),
    ({"headers": [["X-A", "1"]]}, "headers"),
    ({"query": {"a": ["1"]}}, "query"),
    ({"payload": "x" * 300_000}, "payload"),
    ({"payload": {"$where": "{{ code }}"}}, "payload"),
    ({"timeoutMs": 999}, "timeoutMs"),
    ({"timeoutMs": 30_000.5}, "timeoutMs"),
    ({"timeoutMs": True}, "timeoutMs"),
    ({"successStatuses": "99"}, "successStatuses"),
    ({"successBody": {"pattern": "("}}, "successBody"),
    ({"successBody": {"jsonPath": "$.a"}}, "successBody"),
    ({"successBody": {"$where": "1"}}, "successBody"),
    ({"followRedirects": "yes"}, "followRedirects"),
    ({"auth": {"type": "digest"}}, "auth"),
    ({"auth": {}}, "auth"),
    ({"auth": {"type": "bearer"}}, "auth"),
    ({"auth": {"type": "basic", "username": "a:b", "password": "c"}}, "auth"),
    ({"auth": {"type": "oauth2", "tokenUrl": "http://127.0.0.1/", "clientId": "a", "clientSecret": "b"}}, "auth"),
    ({"auth": "Bearer x"}, "auth"),
    ({"signingSecret": "whsec_short"}, "signingSecret"),
    ({"maxRetries": 101}, "maxRetries"),
    ({"retryDelaysMs": []}, "retryDelaysMs"),
    ({"retryDelaysMs": [1], "retryDelayMs": 1}, "retryDelaysMs"),
    ({"retryBackoff": "exponential"}, "retryBackoff"),
    ({"misfirePolicy": "never"}, "misfirePolicy"),
    ({"misfireGraceMs": 14_999}, "misfireGraceMs"),
    ({"catchUpLimit": 1001}, "catchUpLimit"),
    ({"overlapPolicy": "maybe"}, "overlapPolicy"),
    ({"disableAfterFailures": -1}, "disableAfterFailures"),
    ({"retentionDays": 0}, "retentionDays"),
    ({"isActive": "true"}, "isActive"),
    ({"id": "f" * 24}, "id"),
    ({"ownerId": "someone"}, "ownerId"),
    ({"status": "completed"}, "status"),
    ({"version": 7}, "version"),
    ({"__proto__": {}}, "__proto__"),
    ({"cron_expression": "@daily"}, "cron_expression"),
    ({"$where": "sleep(1000)"}, "$where"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "field"), FIELDS, ids=range(len(FIELDS)))
def test_what_is_wrong_is_named_and_nothing_is_stored(
    caller: Any, platform: Any, given: dict[str, Any], field: str
) -> None:
    body = check_body(caller("POST", "/api/cron", {**JOB, **given}), 422)
    assert field in body["errors"]["json"], body
    assert nothing_is_stored(platform)


@pytest.mark.parametrize(("given", "field"), FIELDS, ids=range(len(FIELDS)))
def test_a_patch_is_checked_as_a_job_is(caller: Any, given: dict[str, Any], field: str) -> None:
    job = caller.created()
    body = check_body(caller("PATCH", f"/api/cron/{job['id']}", given), 422)
    assert field in body["errors"]["json"], body
    assert caller("GET", f"/api/cron/{job['id']}").get_json()["version"] == 1


def test_read_only_fields_are_ignored_when_a_job_is_replaced(caller: Any) -> None:
    job = caller.created()
    body = {**JOB, "id": "f" * 24, "ownerId": "someone", "version": 70, "totalRuns": 9, "status": "completed"}
    replaced = caller("PUT", f"/api/cron/{job['id']}", body).get_json()
    assert (replaced["id"], replaced["ownerId"], replaced["totalRuns"]) == (job["id"], job["ownerId"], 0)
    assert (replaced["version"], replaced["status"]) == (2, "active")


def test_a_body_beyond_the_limit_is_refused(caller: Any, platform: Any) -> None:
    body = json.dumps({**JOB, "payload": "x" * 1_100_000})
    check_body(caller("POST", "/api/cron", data=body, headers=JSON), 413)
    assert nothing_is_stored(platform)


def test_many_wrong_fields_do_not_make_a_long_answer(caller: Any) -> None:
    check_body(caller("POST", "/api/cron", {"k" * 500 + str(n): 1 for n in range(1500)}), 422)


@pytest.mark.parametrize("job_id", ["1", "f" * 23, "F" * 24, "f" * 25, "$ne", "..", "%00", "{}"])
def test_what_is_no_id_is_not_found(caller: Any, job_id: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        check_body(caller(method, f"/api/cron/{job_id}", JOB if method in ("PUT", "PATCH") else None), 404)


def test_a_payload_is_data_whatever_it_holds(caller: Any, platform: Any) -> None:
    payload = {"$where": "1", "a.b": [1, 2.5, None, True, "é\u0000🙂"], "": {"$ref": "x"}, "n": 2**63}
    job = caller.created(payload=payload)
    assert caller("GET", f"/api/cron/{job['id']}").get_json()["payload"] == payload


def test_other_methods_are_named_in_the_answer(caller: Any) -> None:
    response = caller("DELETE", "/api/cron")
    check_body(response, 405)
    assert "POST" in response.headers["Allow"]


def test_an_unknown_path_has_the_body_of_all_errors(nobody: Any) -> None:
    check_body(nobody("GET", "/nowhere"), 404)
