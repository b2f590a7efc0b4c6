"""Definitions as fields again: what is shown, and what a patch is laid over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.jobs import Job
from webhookcron.service.definition_fields import definition_fields, patched
from webhookcron.service.definitions import Definition, DefinitionRules
from webhookcron.service.errors import Invalid

EVERYTHING = {
    "key": "k",
    "description": "Every morning",
    "tags": ["a", "b"],
    "timezone": "Europe/Berlin",
    "max_runs": 7,
    "jitter_ms": 500,
    "delete_after_completion": True,
    "method": "PUT",
    "headers": {"X-Open": "1", "X-Key": "secret"},
    "secret_headers": ["X-Key"],
    "query": {"q": "{{ attempt }}"},
    "payload": {"a": [1, None, True]},
    "content_type": "application/vnd.x+json",
    "timeout_ms": 5000,
    "success_statuses": "200,202",
    "success_body": {"jsonPath": "$.ok", "equals": True},
    "follow_redirects": True,
    "auth": {"type": "header", "header_name": "X-Token", "header_value": "hush"},
    "max_retries": 1,
    "retry_delay_ms": 1000,
    "retry_backoff": "exponential",
    "retry_max_delay_ms": 9000,
    "misfire_policy": "skip",
    "misfire_grace_ms": 15_000,
    "catch_up_limit": 3,
    "overlap_policy": "queue",
    "disable_after_failures": 4,
    "retention_days": 2,
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        EVERYTHING,
        {"interval": "day", "interval_value": 2},
        {"delay_ms": 60_000},
        {"retry_delays_ms": [1, 2]},
    ],
)
def test_what_is_shown_can_be_sent_back(
    rules: DefinitionRules, job: Callable[..., Job], now: datetime, given: dict[str, Any]
) -> None:
    stored = job(**given)
    again = rules.build(definition_fields(stored), now=now + timedelta(days=1), stored=stored)
    assert again.same_as(Definition.of(stored))


def test_no_secret_is_shown(job: Callable[..., Job]) -> None:
    shown = repr(definition_fields(job(**EVERYTHING)))
    assert "secret'" not in shown
    assert "hush" not in shown
    assert "whsec_" not in shown


@pytest.mark.parametrize(
    ("stored", "patch", "expected"),
    [
        ({}, {"interval": "hour", "interval_value": 2}, {"schedule_type": None, "cron_expression": None}),
        ({"interval": "hour", "interval_value": 2}, {"interval_value": 3}, {"interval": "hour"}),
        ({"delay_ms": 5}, {"cron_expression": "@daily"}, {"run_at": None}),
        ({"delay_ms": 5}, {"delay_ms": 9}, {"run_at": None, "delay_ms": 9}),
        ({"retry_delays_ms": [5]}, {"retry_delay_ms": 9}, {"retry_delays_ms": None}),
        (
            {"retry_delay_ms": 9, "retry_backoff": "exponential"},
            {"retry_delays_ms": [5]},
            {"retry_delay_ms": None, "retry_backoff": None},
        ),
        (
            {"retry_delay_ms": 9, "retry_backoff": "exponential"},
            {"retry_delay_ms": None},
            {"retry_backoff": None, "retry_max_delay_ms": None},
        ),
        ({"timeout_ms": 5000}, {"timeout_ms": None}, {"timeout_ms": None, "method": "POST"}),
    ],
)
def test_a_patch_drops_what_it_takes_the_place_of(
    job: Callable[..., Job], stored: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    result = patched(job(**stored), patch)
    assert {name: result[name] for name in expected} == expected


def test_a_patch_keeps_secrets(rules: DefinitionRules, job: Callable[..., Job], now: datetime) -> None:
    stored = job(**EVERYTHING)
    changed = rules.build(patched(stored, {"name": "other"}), now=now, stored=stored)
    assert changed.request == stored.request
    assert changed.name == "other"


def test_a_name_cannot_be_put_back_to_a_default(
    rules: DefinitionRules, job: Callable[..., Job], now: datetime
) -> None:
    stored = job()
    with pytest.raises(Invalid) as refused:
        rules.build(patched(stored, {"name": None}), now=now, stored=stored)
    assert "name" in refused.value.errors


def test_json_tells_apart_what_python_takes_for_equal(
    rules: DefinitionRules, job: Callable[..., Job], now: datetime
) -> None:
    stored = job(payload={"a": 1})
    changed = rules.build(patched(stored, {"payload": {"a": True}}), now=now, stored=stored)
    assert not changed.same_as(Definition.of(stored))
