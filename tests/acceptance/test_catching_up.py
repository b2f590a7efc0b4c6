"""Tickers away for a while: what each policy makes of the fire times that passed meanwhile."""

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

GRACE_MS = 15_000
AWAY_SECONDS = 22.0
MAX_RUNS = 30
CATCH_UP_LIMIT = 3
EVERY_SECOND = {"interval": "second", "intervalValue": 1}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def in_order(platform: Any, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The job's scheduled executions, the earliest fire time first."""
    return sorted(platform.executions_of(job["id"]), key=lambda execution: execution["scheduledAt"])


def outcomes(executions: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Status and reason, runs of equal ones once: the shape of what happened."""
    shape: list[tuple[str, str | None]] = []
    for execution in executions:
        outcome = (execution["status"], execution["reason"])
        if not shape or shape[-1] != outcome:
            shape.append(outcome)
    return shape


def assert_each_second_once(executions: list[dict[str, Any]]) -> None:
    moments = [moment(execution["scheduledAt"]) for execution in executions]
    assert all(later - earlier == timedelta(seconds=1) for earlier, later in pairwise(moments)), moments


@pytest.mark.parametrize("flushed", [False, True], ids=["redis kept", "redis flushed"])
def test_each_policy_accounts_for_every_fire_time_that_passed_without_tickers(
    flushed: bool,
    start_platform: Callable[..., Any],
    start_receiver: Callable[[], Any],
    eventually: Callable[..., Any],
) -> None:
    platform = start_platform("--tickers", "2")
    quick, slow = start_receiver(), start_receiver()
    slow.delay_seconds = 1.6

    def create(name: str, target: Any = quick, **policies: Any) -> dict[str, Any]:
        return dict(
            platform.create_job(
                name=name,
                webhookUrl=target.url,
                misfireGraceMs=GRACE_MS,
                maxRetries=0,
                **EVERY_SECOND,
                **policies,
            )
        )

    once = create("fireOnce", misfirePolicy="fireOnce")
    skip = create("skip", misfirePolicy="skip")
    everything = create("fireAll", misfirePolicy="fireAll", catchUpLimit=CATCH_UP_LIMIT)
    bounded = create("maxRuns", misfirePolicy="skip", maxRuns=MAX_RUNS)
    queued = create("queue", slow, misfirePolicy="skip", overlapPolicy="queue")
    jobs = (once, skip, everything, bounded, queued)
    eventually(
        lambda: all(len(in_order(platform, job)) >= 3 for job in jobs), within=30, what="three fires of each"
    )

    tickers = platform.pids("ticker")
    for pid in tickers:
        os.kill(pid, signal.SIGSTOP)
    stopped_at = time.monotonic()
    if flushed:
        with redis.Redis.from_url(platform.redis_url) as client:
            client.flushall()
    eventually(
        lambda: time.monotonic() - stopped_at >= AWAY_SECONDS, within=AWAY_SECONDS + 5, what="time passes"
    )
    for pid in tickers:
        os.kill(pid, signal.SIGCONT)

    def completed() -> bool:
        return bool(platform.request("GET", f"/api/cron/{bounded['id']}").json()["status"] == "completed")

    eventually(completed, within=60, what="the bounded job is completed")
    for job in jobs:
        assert platform.request("POST", f"/api/cron/{job['id']}/pause").status_code in (200, 409)

    def all_final(job: dict[str, Any]) -> bool:
        return all(execution["completedAt"] for execution in in_order(platform, job))

    eventually(lambda: all(all_final(job) for job in jobs), within=60, what="everything is final")

    of_once, of_skip, of_all, of_bounded, of_queued = (in_order(platform, job) for job in jobs)
    for executions in (of_once, of_skip, of_all, of_bounded, of_queued):
        assert_each_second_once(executions)

    assert outcomes(of_once)[:3] == [("success", None), ("skipped", "misfire"), ("success", None)]
    last_skipped = next(i for i, (e, n) in enumerate(pairwise(of_once)) if e["reason"] and not n["reason"])
    run, following = of_once[last_skipped + 1 : last_skipped + 3]
    in_time_since = moment(run["queuedAt"]) - timedelta(milliseconds=GRACE_MS)
    assert moment(run["scheduledAt"]) <= in_time_since <= moment(following["scheduledAt"]), (
        "fireOnce runs the latest of the missed ones"
    )

    assert outcomes(of_skip)[:3] == [("success", None), ("skipped", "misfire"), ("success", None)]
    for execution in of_skip:
        if execution["status"] == "skipped" and execution["reason"] == "misfire":
            assert moment(execution["scheduledAt"]) < moment(execution["completedAt"]) - timedelta(
                milliseconds=GRACE_MS
            )

    assert outcomes(of_all)[:3] == [("success", None), ("skipped", "catchUpLimit"), ("success", None)]
    first_run_after = next(i for i, e in enumerate(of_all) if e["reason"] == "catchUpLimit")
    caught_up = [e for e in of_all[first_run_after:] if e["status"] == "success"][:CATCH_UP_LIMIT]
    for earlier, later in pairwise(caught_up):
        assert moment(earlier["completedAt"]) <= moment(later["queuedAt"]), "in order, one after the other"

    assert sum(execution["status"] == "success" for execution in of_bounded) == MAX_RUNS
    assert of_bounded[-1]["status"] == "success", "nothing is recorded after the last run"

    runs = [e for e in of_queued if e["status"] == "success"]
    spans = sorted((moment(e["startedAt"]), moment(e["completedAt"])) for e in runs)
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(spans)), "no two run at the same time"
    assert {(e["status"], e["reason"]) for e in of_queued} <= {
        ("success", None),
        ("skipped", "overlap"),
        ("skipped", "misfire"),
        ("skipped", "paused"),
    }
    called = {call.webhook_id for call in (*quick.calls, *slow.calls)}
    assert called == {
        e["id"] for executions in (of_once, of_skip, of_all, of_bounded, of_queued) for e in executions
        if e["status"] == "success"
    }  # fmt: skip
