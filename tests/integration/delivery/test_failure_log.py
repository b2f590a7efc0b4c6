"""What the log says of executions that fail, and that it says nothing of those that go well."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.failure_log import log_failures
from webhookcron.delivery.transport_types import HttpResult


def told(world: Any, now: Any, status: int) -> list[dict[str, Any]]:
    claimed = world.claim(now)
    records = world.records(claimed, now, "token", result=HttpResult(status=status, body=b"s3cret"))
    with structlog.testing.capture_logs() as logs:
        log_failures(records)
    return list(logs)


def test_an_execution_that_failed_has_a_line_with_its_ids(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))
    [execution] = world.log(job)
    assert told(world, world.at(60), 503) == [
        {
            "event": "execution.failed",
            "log_level": "info",
            "job_id": job.id,
            "execution_id": execution.id,
            "attempt": 1,
            "kind": "temporary_status",
            "response_status": 503,
        }
    ]


def test_an_attempt_that_is_repeated_is_told_at_debug(world: Any) -> None:
    world.job(retry=RetryPolicy(max_retries=1))
    world.tick(world.at(60))
    [line] = told(world, world.at(60), 503)
    assert (line["event"], line["log_level"]) == ("attempt.failed", "debug")


@pytest.mark.parametrize("count", [1, 3])
def test_what_goes_well_is_not_told(world: Any, count: int) -> None:
    for _ in range(count):
        world.job()
    world.tick(world.at(60))
    assert told(world, world.at(60), 200) == []


def test_a_lost_attempt_is_told_with_its_execution(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))
    world.claim(world.at(60))
    with structlog.testing.capture_logs() as logs:
        world.sweep(world.at(600))
    assert [(line["event"], line.get("job_id")) for line in logs] == [
        ("attempt.lost", job.id),
        ("sweep.leases_ran_out", None),
    ]
