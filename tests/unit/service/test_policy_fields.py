"""From the fields of policies to Policies, or to what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from webhookcron.core.jobs import Policies
from webhookcron.core.retries import Backoff
from webhookcron.service.definitions import DefinitionRules


@pytest.fixture
def policies(
    rules: DefinitionRules, fields: Callable[..., dict[str, Any]], now: datetime
) -> Callable[..., Policies]:
    def make(**given: Any) -> Policies:
        return rules.build(fields(**given), now=now).policies

    return make


def test_nothing_given_means_the_defaults(policies: Callable[..., Policies]) -> None:
    assert policies() == Policies()
    assert policies(max_retries=None, overlap_policy=None, jitter_ms=None) == Policies()


def test_the_default_delays_written_out_are_the_default(policies: Callable[..., Policies]) -> None:
    assert policies(retry_delays_ms=[60_000, 300_000, 900_000]) == Policies()


def test_a_curve_takes_its_fields(policies: Callable[..., Policies]) -> None:
    retry = policies(retry_delay_ms=100, retry_backoff="exponential", retry_max_delay_ms=1000).retry
    assert (retry.retry_delay_ms, retry.retry_backoff, retry.retry_max_delay_ms) == (
        100,
        Backoff.EXPONENTIAL,
        1000,
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"retry_delays_ms": [1], "retry_delay_ms": 1}, "retry_delays_ms"),
        ({"retry_backoff": "exponential"}, "retry_backoff"),
        ({"retry_max_delay_ms": 5}, "retry_max_delay_ms"),
        ({"max_runs": 2, "delay_ms": 5}, "max_runs"),
    ],
)
def test_it_names_the_field_that_is_wrong(
    refusals: Callable[..., dict[str, Any]], given: dict[str, Any], field: str
) -> None:
    assert field in refusals(**given)
