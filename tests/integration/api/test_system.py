"""Health, stores that are away, and the documentation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft7Validator
from werkzeug.http import HTTP_STATUS_CODES

from webhookcron.api.openapi import operations
from webhookcron.api.openapi_examples import BY_OPERATION, BY_SCHEMA
from webhookcron.app import create_app
from webhookcron.config import Settings
from webhookcron.wiring.platform import connect

NOWHERE = "127.0.0.1:1"


@pytest.fixture(params=["mongodb", "redis"])
def away(request: pytest.FixtureRequest, settings: Settings) -> Iterator[tuple[str, Any]]:
    """The name of a store that is away, and a client of an app without it."""
    changed = {
        "mongodb": {"mongodb_uri": f"mongodb://{NOWHERE}/x"},
        "redis": {"redis_url": f"redis://{NOWHERE}/0"},
    }[request.param]
    without = connect(replace(settings, **changed), part="api")
    yield request.param, create_app(settings, without).test_client()
    without.close()


def test_health_tells_of_both_stores(nobody: Any, caller: Any) -> None:
    caller.created()
    response = nobody("GET", "/health")
    health = response.get_json()
    assert (response.status_code, health["status"]) == (200, "ok")
    assert health["services"]["mongodb"]["status"] == health["services"]["redis"]["status"] == "up"
    assert (health["activeJobs"], health["mirroredJobs"], health["oldestDueAt"]) == (1, 1, None)
    assert response.headers["Cache-Control"] == "no-store"


def test_the_embedded_store_tells_what_it_keeps(nobody: Any, platform: Any) -> None:
    embedded = bool(platform.jobs.server_info().get("webhookcronEmbedded"))
    mongodb = nobody("GET", "/health").get_json()["services"]["mongodb"]
    assert mongodb["embedded"] is embedded
    assert mongodb["finishedExecutionsKept"] == (50_000 if embedded else None)


def test_a_job_that_is_due_for_long_shows(nobody: Any, caller: Any) -> None:
    job = caller.created(delayMs=0)
    assert nobody("GET", "/health").get_json()["oldestDueAt"] == job["runAt"]


def test_a_store_that_is_away_makes_the_platform_unfit(away: tuple[str, Any]) -> None:
    name, client = away
    health = client.get("/health")
    assert health.status_code == 503
    assert health.get_json()["services"][name]["status"] == "down"
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


def test_requests_are_answered_while_a_store_is_away(away: tuple[str, Any]) -> None:
    _, client = away
    response = client.get("/api/cron", headers={"Authorization": "Bearer whk_any"})
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert response.get_json().keys() == {"code", "status", "message", "errors"}


def test_the_app_starts_while_mongodb_is_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    without = connect(replace(settings, mongodb_uri=f"mongodb://{NOWHERE}/x"), part="api")
    monkeypatch.setattr("webhookcron.wiring.platform.connect", lambda _, part: without)
    with contextlib.closing(without):
        app = create_app(without.settings)
        assert app.test_client().get("/health/live").status_code == 200


def test_the_app_brings_its_indexes_along(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = connect(settings, part="api")
    monkeypatch.setattr("webhookcron.wiring.platform.connect", lambda _, part: fresh)
    with contextlib.closing(fresh):
        create_app(settings)
        assert "checkAt_1" in fresh.database["executions"].index_information()


OPEN_TO_ALL = {"/api/auth/register", "/api/auth/login", "/api/auth/refresh"}


def test_every_operation_is_documented(nobody: Any) -> None:
    document = nobody("GET", "/openapi.json").get_json()
    assert document["openapi"] == "3.0.3"
    ids = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            where = f"{method} {path}"
            ids.append(operation["operationId"])
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"], where
            if path.startswith("/api/"):
                open_to_all = path in OPEN_TO_ALL
                assert operation["security"] == ([] if open_to_all else [{"bearer": []}]), where
                refusals = {"429", "503"} if open_to_all else {"401", "403", "429", "503"}
                assert refusals <= operation["responses"].keys(), where
            if "requestBody" in operation:
                assert "example" in operation["requestBody"]["content"]["application/json"], where
                assert {"400", "413", "415", "422"} <= operation["responses"].keys(), where
    assert len(ids) == len(set(ids))


def nullable_said_otherwise(value: Any) -> Any:
    """OpenAPI 3.0 schemas as JSON Schema has them."""
    if isinstance(value, list):
        return [nullable_said_otherwise(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    said = {name: nullable_said_otherwise(inner) for name, inner in value.items() if name != "nullable"}
    return {"anyOf": [said, {"type": "null"}]} if value.get("nullable") is True else said


def answers(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All answers that a document tells of, each with its place."""
    yield from document["components"]["responses"].items()
    for operation in operations(document):
        for status, response in operation["responses"].items():
            if "$ref" not in response:
                yield f"{operation['operationId']} {status}", response


def test_every_answer_has_an_example_that_fits(nobody: Any) -> None:
    document = nobody("GET", "/openapi.json").get_json()
    components = nullable_said_otherwise(document["components"])
    seen = 0
    for place, response in answers(document):
        assert ("content" in response) == (not place.endswith(" 204")), place
        for content in response.get("content", {}).values():
            schema = {"allOf": [nullable_said_otherwise(content["schema"])], "components": components}
            wrong = [error.message for error in Draft7Validator(schema).iter_errors(content["example"])]
            assert not wrong, (place, wrong)
            seen += 1
    assert seen > 50


def test_every_error_example_tells_its_own_status(nobody: Any) -> None:
    document = nobody("GET", "/openapi.json").get_json()
    for name, response in document["components"]["responses"].items():
        example = response["content"]["application/json"]["example"]
        assert example["code"] == HTTPStatus[name].value
        assert example["status"] == HTTP_STATUS_CODES[example["code"]]


def test_what_examples_show_is_what_answers_have(caller: Any, platform: Any) -> None:
    job = caller.created()
    assert job.keys() == BY_OPERATION["createJob", 201].keys()
    assert caller("GET", f"/api/cron/{job['id']}").get_json().keys() == BY_SCHEMA["Job"].keys()
    made = caller("POST", f"/api/cron/{job['id']}/trigger").get_json()
    assert made["execution"].keys() == BY_SCHEMA["Triggered"]["execution"].keys()
    shown = caller("GET", f"/api/execution-logs/{made['execution']['id']}").get_json()
    assert shown.keys() == BY_SCHEMA["ExecutionDetail"].keys()
    assert caller("GET", "/api/cron/stats").get_json().keys() == BY_SCHEMA["Statistics"].keys()
    assert caller("GET", "/health").get_json().keys() == BY_SCHEMA["Health"].keys()


def test_new_resources_are_documented_with_their_place(nobody: Any) -> None:
    document = nobody("GET", "/openapi.json").get_json()
    for operation in operations(document):
        created = operation["responses"].get("201")
        assert created is None or "Location" in created["headers"], operation["operationId"]


def test_the_page_needs_nothing_from_elsewhere(nobody: Any) -> None:
    response = nobody("GET", "/api-docs")
    page = response.get_data(as_text=True)
    assert "//" not in page.replace("<!doctype", "")
    assert "<script>" not in page
    policy = response.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "docs.js", "favicon-32x32.png"):
        assert f"/api-docs/{asset}" in page
        with nobody("GET", f"/api-docs/{asset}") as found:
            assert found.status_code == 200
            assert found.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["oauth2-redirect.html", "../app.py", "%2e%2e/%2e%2e/app.py", "docs.html", "x"]
)
def test_nothing_else_is_served(nobody: Any, name: str) -> None:
    assert nobody("GET", f"/api-docs/{name}").status_code == 404
