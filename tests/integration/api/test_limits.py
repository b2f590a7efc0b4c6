"""How often one may ask, from where, and what answers carry."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask

from webhookcron.app import create_app
from webhookcron.ticks import client as redis_connections


@pytest.fixture
def app_with(settings: Any, platform: Any) -> Callable[..., Flask]:
    """An app with other settings, on the same stores."""

    def make(redis: Any = None, **changes: Any) -> Flask:
        changed = replace(settings, **changes)
        return create_app(changed, replace(platform, settings=changed, redis=redis or platform.redis))

    return make


def key_of(caller: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {caller._key}"}


def test_every_key_is_counted_by_itself(app_with: Any, caller: Any, new_caller: Any) -> None:
    client = app_with(rate_limit="3 per minute").test_client()
    answers = [client.get("/api/cron", headers=key_of(caller)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["RateLimit-Limit"] == "3"
    assert refused.headers["RateLimit-Policy"] == "3;w=60"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert all(0 < int(answer.headers["RateLimit-Reset"]) <= 60 for answer in answers)
    assert (refused.get_json()["code"], "3 per minute" in refused.get_json()["message"]) == (429, True)
    assert client.get("/api/cron", headers=key_of(new_caller())).status_code == 200


def test_those_who_are_not_signed_in_are_counted_by_address(app_with: Any, caller: Any) -> None:
    client = app_with(rate_limit_anonymous="2 per minute").test_client()
    for number in range(2):
        made_up = {"Authorization": f"Bearer whk_{number}"}
        assert client.get("/api/cron", headers=made_up).status_code == 401
    assert client.post("/api/auth/login", json={}).status_code == 429
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    assert client.post("/api/auth/login", json={}, environ_overrides=elsewhere).status_code == 422
    assert client.get("/api/cron", headers=key_of(caller)).status_code == 200


def test_triggers_have_a_limit_of_their_own(app_with: Any, caller: Any) -> None:
    job = caller.created()
    client = app_with(rate_limit_trigger="1 per minute").test_client()
    path = f"/api/cron/{job['id']}/trigger"
    answers = [client.post(path, headers=key_of(caller)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert client.get("/api/cron", headers=key_of(caller)).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/openapi.json", "/api-docs"])
def test_health_and_documentation_are_not_counted(app_with: Any, path: str) -> None:
    client = app_with(rate_limit_anonymous="1 per minute").test_client()
    for _ in range(3):
        with client.get(path) as response:
            assert response.status_code == 200
            assert "RateLimit-Limit" not in response.headers


def test_no_limit_is_no_limit(app_with: Any) -> None:
    off = {"rate_limit": None, "rate_limit_anonymous": None, "rate_limit_trigger": None}
    response = app_with(**off).test_client().get("/api/cron")
    assert (response.status_code, "RateLimit-Limit" in response.headers) == (401, False)


def test_while_redis_is_away_each_process_counts_for_itself(
    app_with: Any, caller: Any, tmp_path: Any
) -> None:
    with redis_connections.connect(f"unix://{tmp_path}/none") as away:
        client = app_with(redis=away, rate_limit="2 per minute").test_client()
        statuses = [client.get("/api/cron", headers=key_of(caller)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


# --- proxies


def test_browsers_that_came_over_tls_are_told_to_stay(app_with: Any) -> None:
    client = app_with(trusted_proxies=(ip_network("127.0.0.0/8"),)).test_client()
    told = client.get("/health/live", headers={"X-Forwarded-Proto": "https"})
    assert told.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in client.get("/health/live").headers


def test_callers_behind_trusted_proxies_are_counted_apart(app_with: Any) -> None:
    trusted = app_with(rate_limit_anonymous="1 per minute", trusted_proxies=(ip_network("127.0.0.0/8"),))
    statuses = [
        trusted.test_client().get("/api/cron", headers={"X-Forwarded-For": address}).status_code
        for address in ("192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.1")
    ]
    assert statuses == [401, 401, 429]


def test_others_cannot_make_up_where_they_come_from(app_with: Any) -> None:
    client = app_with(rate_limit_anonymous="1 per minute").test_client()
    statuses = [
        client.get("/api/cron", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(2)
    ]
    assert statuses == [401, 429]


# --- other origins


def test_pages_of_allowed_origins_may_read_answers(app_with: Any, caller: Any) -> None:
    client = app_with(allowed_origins=("https://app.example.com",)).test_client()
    origin = {"Origin": "https://app.example.com"}
    answer = client.get("/api/cron", headers={**origin, **key_of(caller)})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    preflight = client.options(
        "/api/cron", headers={**asked, "Access-Control-Request-Headers": "authorization"}
    )
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize("allowed", [(), ("https://app.example.com",)])
def test_pages_of_other_origins_may_not(app_with: Any, caller: Any, allowed: tuple[str, ...]) -> None:
    client = app_with(allowed_origins=allowed).test_client()
    for origin in ("https://evil.example.com", "https://app.example.com.evil.com", "null"):
        answer = client.get("/api/cron", headers={"Origin": origin, **key_of(caller)})
        assert "Access-Control-Allow-Origin" not in answer.headers


# --- compression


def test_long_answers_are_compressed_when_asked(app: Any, caller: Any) -> None:
    caller.created(description="long " * 300)
    response = caller("GET", "/api/cron", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"long long" in gzip.decompress(response.get_data())


def test_an_etag_is_the_same_compressed_or_not(caller: Any) -> None:
    job = caller.created(description="long " * 300)
    response = caller("GET", f"/api/cron/{job['id']}", headers={"Accept-Encoding": "gzip"})
    assert response.headers["ETag"] == '"1"'
