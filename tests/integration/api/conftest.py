"""The API on the stores of this test process, and callers with keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from webhookcron.app import create_app
from webhookcron.config import Settings
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.wiring.platform import Platform, connect

Pushed = list[str]


class Caller:
    """A user of the API: requests with a key."""

    def __init__(self, client: FlaskClient, key: str | None) -> None:
        self._client = client
        self._key = key

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        headers = {**options.pop("headers", {})}
        if self._key is not None:
            headers.setdefault("Authorization", f"Bearer {self._key}")
        if body is not None:
            options["json"] = body
        return self._client.open(path, method=method, headers=headers, **options)

    def created(self, **fields: Any) -> dict[str, Any]:
        """A new job with these fields, as the API shows it."""
        definition = {
            "name": "report",
            "webhookUrl": "https://example.com/hook",
            **({} if fields.keys() & SCHEDULES else {"cronExpression": "0 9 * * *"}),
            **fields,
        }
        response = self("POST", "/api/cron", definition)
        assert response.status_code == 201, response.get_json()
        return response.get_json()


SCHEDULES = {"cronExpression", "interval", "runAt", "delayMs"}


@pytest.fixture
def settings(mongodb_uri: str, redis_url: str, mongo_database: Database[Any]) -> Settings:
    return Settings(
        mongodb_uri=f"{mongodb_uri.rstrip('/')}/{mongo_database.name}",
        redis_url=redis_url,
        celery_broker_url="memory://",
        secret_keys=("a-secret-key-for-tests-only",),
    )


@pytest.fixture
def pushed() -> Pushed:
    """Ids of executions that were handed to the workers."""
    return []


@pytest.fixture
def platform(settings: Settings, redis_client: Any, pushed: Pushed) -> Iterator[Platform]:
    connected = connect(settings, part="api")
    ensure_indexes(connected.database)
    scheduler = Scheduler(
        jobs=connected.jobs,
        executions=connected.executions,
        source=connected.source,
        enqueue=pushed.extend,
        retention=timedelta(days=settings.retention_days),
    )
    connected = replace(connected, enqueue=pushed.extend, scheduler=scheduler)
    yield connected
    connected.close()


@pytest.fixture
def app(settings: Settings, platform: Platform) -> Flask:
    return create_app(settings, platform)


@pytest.fixture
def new_caller(app: Flask, platform: Platform) -> Callable[..., Caller]:
    """Makes a user with a role and a key with scopes."""

    def make(
        role: str = "member",
        scopes: tuple[str, ...] = ("read", "write", "trigger"),
        user_id: str | None = None,
    ) -> Caller:
        now = datetime.now(UTC)
        user_id = user_id or secrets.token_hex(6)
        platform.database["users"].update_one({"_id": user_id}, {"$set": {"role": role}}, upsert=True)
        _, key = platform.api_keys.create(user_id, "test", scopes, now=now)
        return Caller(app.test_client(), key)

    return make


@pytest.fixture
def caller(new_caller: Callable[..., Caller]) -> Caller:
    """A member with all scopes."""
    return new_caller()


@pytest.fixture
def make_caller(app: Flask) -> Callable[[str], Caller]:
    """Makes a caller with a key or an access token."""
    return lambda credential: Caller(app.test_client(), credential)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """A caller without a key."""
    return Caller(app.test_client(), None)
