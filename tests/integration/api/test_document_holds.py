"""The OpenAPI document holds: whatever is sent, every answer is one that it tells of, and none is a 5xx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from webhookcron.app import create_app
from webhookcron.wiring.platform import target_policy

EXAMPLES = 12
"""Of each operation, each for a caller with a key and for nobody."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def open_app(settings: Any, platform: Any, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The API without limits, with nothing that it may call, and with streams of one look."""
    monkeypatch.setattr("webhookcron.service.events.STREAM_SECONDS", 0.0)
    changed = replace(
        settings,
        rate_limit=None,
        rate_limit_anonymous=None,
        rate_limit_trigger=None,
        rate_limit_login=None,
        allowed_target_hosts=("allowed.invalid",),
    )
    return create_app(changed, replace(platform, settings=changed, target_policy=target_policy(changed)))


def explore(app: Flask, headers: Mapping[str, str]) -> dict[str, str]:
    """Send examples to every operation; what was wrong, by operation."""
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    wrong: dict[str, str] = {}
    sent = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def answers_as_documented(case: Any) -> None:
            nonlocal sent
            sent += 1
            case.validate_response(
                case.call(headers={**headers, "Accept-Encoding": "identity"}), checks=CHECKS
            )

        try:
            answers_as_documented()
        except* Exception as errors:
            wrong[operation.label] = "\n".join(str(error) for error in errors.exceptions)
    assert sent > 100
    return wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
def test_every_answer_is_documented_for_callers_with_a_key(
    open_app: Flask, new_caller: Any, role: str
) -> None:
    caller = new_caller(role)
    assert explore(open_app, {"Authorization": f"Bearer {caller._key}"}) == {}


@pytest.mark.timeout(600)
def test_every_answer_is_documented_for_nobody(open_app: Flask) -> None:
    assert explore(open_app, {}) == {}
