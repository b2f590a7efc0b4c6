"""Definitions and jobs for tests of the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from webhookcron.core.jobs import Job
from webhookcron.core.targets import TargetPolicy
from webhookcron.service.definitions import DefinitionRules
from webhookcron.service.errors import Invalid
from webhookcron.service.job_states import new_job

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """Tuesday, 2030-01-15T12:00:00Z."""
    return NOW


@pytest.fixture
def rules() -> DefinitionRules:
    return DefinitionRules(
        target_policy=TargetPolicy.of(), default_timezone="UTC", random_bytes=lambda size: b"\x07" * size
    )


@pytest.fixture
def fields() -> Callable[..., dict[str, Any]]:
    """The fields of a definition that is in order, with others laid over; a schedule given replaces the cron."""

    def make(**given: Any) -> dict[str, Any]:
        schedule = {"interval", "interval_value", "run_at", "delay_ms", "cron_expression"}
        base: dict[str, Any] = {"name": "report", "webhook_url": "https://example.com/hook"}
        if not schedule & given.keys():
            base["cron_expression"] = "0 9 * * *"
        return {**base, **given}

    return make


@pytest.fixture
def refusals(rules: DefinitionRules, fields: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """What is wrong with a definition: sentences by field; empty when it is in order."""

    def check(stored: Job | None = None, **given: Any) -> dict[str, Any]:
        try:
            rules.build(fields(**given), now=NOW, stored=stored)
        except Invalid as error:
            return error.errors
        return {}

    return check


@pytest.fixture
def job(rules: DefinitionRules, fields: Callable[..., dict[str, Any]]) -> Callable[..., Job]:
    """A job created at NOW with these fields."""

    def make(*, active: bool = True, at: datetime = NOW, **given: Any) -> Job:
        definition = rules.build(fields(**given), now=at)
        return new_job(definition, job_id="a" * 24, owner_id="ann", now=at, active=active)

    return make
