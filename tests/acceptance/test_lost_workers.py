"""Workers that die or stall in the middle of a call."""

import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

TIMEOUT_MS = 2_000
LEASE = timedelta(milliseconds=TIMEOUT_MS) + timedelta(seconds=15)


def never(name: str, url: str) -> dict[str, Any]:
    """A job that fires by hand only."""
    return {
        "name": name,
        "cronExpression": "0 0 29 2 *",
        "webhookUrl": url,
        "timeoutMs": TIMEOUT_MS,
        "maxRetries": 0,
    }


def test_a_call_of_a_killed_worker_is_made_again_within_its_lease_and_fifteen_seconds(
    start_platform: Callable[..., Any],
    receiver: Any,
    eventually: Callable[..., Any],
    holder_of_port: Callable[[int, list[int]], int],
) -> None:
    platform = start_platform("--workers", "2")
    job = platform.create_job(**never("killed", receiver.url))
    receiver.delay_seconds = 1.5

    assert platform.request("POST", f"/api/cron/{job['id']}/trigger").status_code == 202
    first = eventually(lambda: receiver.calls[:1], within=20, what="the call is under way")[0]
    os.kill(holder_of_port(first.peer_port, platform.pids("worker")), signal.SIGKILL)
    receiver.delay_seconds = 0.0
    second = eventually(
        lambda: receiver.calls[1:2], within=LEASE.total_seconds() + 15, what="the call is made again"
    )[0]

    assert second.webhook_id == first.webhook_id
    assert second.headers["x-webhookcron-attempt"] == "2"
    execution = eventually(
        lambda: [e for e in platform.executions_of(job["id"]) if e["status"] == "success"],
        within=10,
        what="its outcome is recorded",
    )[0]
    detail = platform.request("GET", f"/api/execution-logs/{execution['id']}").json()
    assert [(a["error"] or {}).get("kind") for a in detail["attempts"]] == ["lost", None]


def test_a_worker_that_stalled_beyond_its_lease_cannot_overwrite_the_outcome(
    start_platform: Callable[..., Any],
    receiver: Any,
    eventually: Callable[..., Any],
    holder_of_port: Callable[[int, list[int]], int],
) -> None:
    platform = start_platform("--workers", "2")
    job = platform.create_job(**never("stalled", receiver.url))
    receiver.delay_seconds = 1.0

    assert platform.request("POST", f"/api/cron/{job['id']}/trigger").status_code == 202
    first = eventually(lambda: receiver.calls[:1], within=20, what="the call is under way")[0]
    stalled = holder_of_port(first.peer_port, platform.pids("worker"))
    os.kill(stalled, signal.SIGSTOP)
    receiver.delay_seconds = 0.0
    try:
        # From here on the target refuses, so that the two workers would record different outcomes.
        receiver.status = 400
        failed = eventually(
            lambda: [e for e in platform.executions_of(job["id"]) if e["status"] == "failed"],
            within=LEASE.total_seconds() + 20,
            what="another worker took over",
        )[0]
    finally:
        os.kill(stalled, signal.SIGCONT)

    # The stalled worker is back when it delivers again.
    receiver.status = 200
    before = len(receiver.calls)
    for _ in range(20):
        assert platform.request("POST", f"/api/cron/{job['id']}/trigger").status_code == 202
    eventually(
        lambda: (
            stalled
            in {holder_of_port(call.peer_port, platform.pids("worker")) for call in receiver.calls[before:]}
        ),
        within=20,
        what="the stalled worker delivers again",
    )
    detail = platform.request("GET", f"/api/execution-logs/{failed['id']}").json()
    assert detail["status"] == "failed"
    assert [(a["responseStatus"], (a["error"] or {}).get("kind")) for a in detail["attempts"]] == [
        (None, "lost"),
        (400, "bad_status"),
    ]
    assert datetime.fromisoformat(detail["completedAt"]) == datetime.fromisoformat(failed["completedAt"])
    counted = platform.request("GET", f"/api/cron/{job['id']}").json()
    assert counted["failedRuns"] == 1
