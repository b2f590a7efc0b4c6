"""The doctor names every fault of a broken set-up, and what to do about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure

from webhookcron.core.errors import BrokerUnavailable
from webhookcron.maintenance.doctor.examination import examine
from webhookcron.maintenance.doctor.findings import Finding, Verdict
from webhookcron.maintenance.doctor.mongodb import mongodb_findings
from webhookcron.maintenance.doctor.redis import broker_findings, redis_findings
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.storage.schema_version import migrate

KEYS = ("a-secret-key-for-tests-only-0123456789",)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def by_name(findings: Any) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings}


@pytest.fixture
def environ(
    mongodb_uri: str, redis_url: str, redis_client: Any, mongo_database: Database[Any]
) -> dict[str, str]:
    migrate(mongo_database, now=NOW)
    ensure_indexes(mongo_database)
    return {
        "MONGODB_URI": f"{mongodb_uri.rstrip('/')}/{mongo_database.name}",
        "REDIS_URL": redis_url,
        "WEBHOOKCRON_SECRET_KEY": KEYS[0],
    }


def test_a_sound_set_up_has_no_fault(environ: dict[str, str]) -> None:
    findings = list(examine(environ))
    assert [finding for finding in findings if finding.verdict is Verdict.FAULT] == []
    assert by_name(findings)["indexes"].verdict is Verdict.OK


def test_every_wrong_setting_is_named_at_once(environ: dict[str, str]) -> None:
    broken = {
        **environ,
        "WEBHOOKCRON_PORT": "99999",
        "WEBHOOKCRON_TIMEZONE": "Mars/Base",
        "WEBHOOKCRON_SECRET_KEY": "short",
        "WEBHOOKCRON_PROT": "1",
    }
    found = by_name(examine(broken))
    for name in ("WEBHOOKCRON_PORT", "WEBHOOKCRON_TIMEZONE", "WEBHOOKCRON_SECRET_KEY"):
        assert found[name].verdict is Verdict.FAULT
        assert found[name].advice
    assert "WEBHOOKCRON_PORT" in found["WEBHOOKCRON_PROT"].message
    assert "short" not in found["WEBHOOKCRON_SECRET_KEY"].message


def test_stores_that_are_away_are_named_with_what_to_do() -> None:
    found = by_name(
        examine(
            {
                "MONGODB_URI": "mongodb://127.0.0.1:1/db?serverSelectionTimeoutMS=50",
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "WEBHOOKCRON_SECRET_KEY": KEYS[0],
            }
        )
    )
    for name in ("MongoDB", "Redis", "broker"):
        assert found[name].verdict is Verdict.FAULT
        assert found[name].advice


def test_a_missing_index_and_a_secret_that_no_key_opens_are_faults(
    environ: dict[str, str], mongo_database: Database[Any], world: Any
) -> None:
    mongo_database["executions"].drop_index("checkAt_1")
    mongo_database["jobs"].insert_one({"_id": "j", "signingSecrets": [{"sealed": "gAAAAAsomething"}]})
    found = by_name(examine(environ))
    assert "executions.checkAt_1" in found["indexes"].message
    assert "webhookcron indexes" in found["indexes"].advice
    assert found["stored secrets"].verdict is Verdict.FAULT


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("jobs", {"_id": "j", "request": {"auth": {"sealedToken": "gAAAAAsomething"}}}),
        ("alerts", {"_id": "a", "sealedSecret": "gAAAAAsomething"}),
    ],
)
def test_a_secret_of_any_kind_that_no_key_opens_is_a_fault(
    environ: dict[str, str], mongo_database: Database[Any], collection: str, document: dict[str, Any]
) -> None:
    mongo_database[collection].insert_one(document)
    finding = by_name(examine(environ))["stored secrets"]
    assert finding.verdict is Verdict.FAULT
    assert f"{collection}/{document['_id']}" in finding.message


@pytest.mark.parametrize(
    ("status", "verdict"), [(200, Verdict.OK), (404, Verdict.WARNING), (401, Verdict.WARNING)]
)
def test_a_collector_that_takes_no_traces_is_warned_of(
    environ: dict[str, str], status: int, verdict: Verdict
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status if self.headers["x-tenant"] == "cron" else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
        traced = {**environ, "WEBHOOKCRON_TRACES_URL": url, "WEBHOOKCRON_TRACES_HEADERS": "X-Tenant=cron"}
        found = by_name(examine(traced))
        thread.join()
    assert found["collector of traces"].verdict is verdict


def test_a_collector_that_is_away_is_warned_of(environ: dict[str, str]) -> None:
    traced = {**environ, "WEBHOOKCRON_TRACES_URL": "http://127.0.0.1:1/v1/traces"}
    assert by_name(examine(traced))["collector of traces"].verdict is Verdict.WARNING


def test_a_database_of_a_newer_release_is_a_fault(
    environ: dict[str, str], mongo_database: Database[Any]
) -> None:
    mongo_database["meta"].update_one({"_id": "schema"}, {"$set": {"version": 99, "readableFrom": 99}})
    assert by_name(examine(environ))["schema"].verdict is Verdict.FAULT


def test_a_short_key_and_old_keys_are_warned_of(environ: dict[str, str]) -> None:
    short = by_name(examine({**environ, "WEBHOOKCRON_SECRET_KEY": "x" * 20}))
    old = by_name(examine({**environ, "WEBHOOKCRON_SECRET_KEY": f"{KEYS[0]},{'y' * 40}"}))
    assert short["WEBHOOKCRON_SECRET_KEY"].verdict is Verdict.WARNING
    assert "reencrypt" in old["WEBHOOKCRON_SECRET_KEY"].advice


# --- servers that this machine does not have


class FakeDatabase:
    """Answers `hello` and `buildInfo`; everything else is refused."""

    def __init__(self, hello: dict[str, Any], version: str = "8.0.4") -> None:
        self._answers = {"hello": hello, "buildInfo": {"version": version}}

    def command(self, name: str) -> dict[str, Any]:
        return self._answers[name]

    def __getitem__(self, name: str) -> Any:
        raise OperationFailure("not authorized on db to execute command", 13)


def test_a_single_old_server_with_a_wrong_clock_and_no_rights_is_all_told() -> None:
    server: Any = FakeDatabase({"localTime": NOW.replace(tzinfo=None) - timedelta(minutes=5)}, "4.4.1")
    found = by_name(mongodb_findings(server, KEYS, clock=lambda: NOW))
    assert found["clock of MongoDB"].verdict is Verdict.WARNING
    assert found["MongoDB replica set"].verdict is Verdict.WARNING
    assert found["MongoDB"].verdict is Verdict.FAULT
    assert "readWrite" in found["MongoDB"].advice


def test_a_replica_set_is_recognised() -> None:
    server: Any = FakeDatabase({"setName": "rs0", "localTime": NOW.replace(tzinfo=None)})
    found = by_name(mongodb_findings(server, KEYS, clock=lambda: NOW))
    assert found["MongoDB replica set"].verdict is Verdict.OK


class FakeRedis:
    def __init__(self, policy: str = "noeviction", **information: Any) -> None:
        self._policy, self._information = policy, information

    def info(self) -> dict[str, Any]:
        return {"redis_version": "7.4.0", "role": "master", "aof_enabled": 1, **self._information}

    def time(self) -> tuple[int, int]:
        return int(NOW.timestamp()), 0

    def config_get(self, _name: str) -> dict[str, str]:
        return {"maxmemory-policy": self._policy}


@pytest.mark.parametrize(
    ("redis", "about", "verdict"),
    [
        (FakeRedis("allkeys-lru"), "Redis eviction", Verdict.FAULT),
        (FakeRedis(aof_enabled=0), "Redis persistence", Verdict.WARNING),
        (FakeRedis(role="slave"), "Redis role", Verdict.FAULT),
        (FakeRedis(redis_version="5.0.1"), "Redis", Verdict.FAULT),
        (FakeRedis(maxmemory=100, used_memory=90), "Redis memory", Verdict.WARNING),
    ],
)
def test_a_redis_that_would_lose_something_is_told(redis: Any, about: str, verdict: Verdict) -> None:
    assert by_name(redis_findings(redis, clock=lambda: NOW))[about].verdict is verdict


def test_a_clock_of_redis_that_differs_is_told() -> None:
    redis: Any = FakeRedis()
    found = by_name(redis_findings(redis, clock=lambda: NOW + timedelta(seconds=30)))
    assert found["clock of Redis"].verdict is Verdict.WARNING


@pytest.mark.parametrize(("depth", "verdict"), [(0, Verdict.OK), (5_000, Verdict.WARNING)])
def test_a_queue_that_grows_is_warned_of(depth: int, verdict: Verdict) -> None:
    assert broker_findings(lambda: depth)[0].verdict is verdict


def test_a_broker_that_is_away_is_a_fault() -> None:
    def away() -> int:
        raise BrokerUnavailable

    assert broker_findings(away)[0].verdict is Verdict.FAULT


# --- the command


@pytest.mark.parametrize(("broken", "code"), [({}, 0), ({"WEBHOOKCRON_PORT": "x"}, 1)])
def test_the_command_ends_with_a_code_that_says_whether_there_is_a_fault(
    environ: dict[str, str], broken: dict[str, str], code: int
) -> None:
    command = [sys.executable, "-m", "webhookcron", "doctor", "--json"]
    ended = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **environ, **broken},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert {json.loads(line)["verdict"] for line in ended.stdout.splitlines()} <= set(Verdict)
