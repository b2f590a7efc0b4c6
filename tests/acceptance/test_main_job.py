"""The main promise, shown from outside: a job fires each second, once per fire time, whatever dies on the way."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis

pytestmark = pytest.mark.acceptance

EVERY_SECOND = "* * * * * *"
ONE_SECOND = timedelta(seconds=1)


def moments(executions: list[dict[str, Any]]) -> list[datetime]:
    return sorted(datetime.fromisoformat(execution["scheduledAt"]) for execution in executions)


def assert_one_per_second(fire_times: list[datetime]) -> None:
    """Each second from the first to the last, once."""
    assert not [moment for moment, count in Counter(fire_times).items() if count > 1], "a fire time ran twice"
    gaps = [(earlier, later) for earlier, later in pairwise(fire_times) if later - earlier != ONE_SECOND]
    assert not gaps, "fire times are missing"


def first_final(platform: Any, job_id: str, count: int) -> list[dict[str, Any]]:
    """The executions of the job's first `count` fire times once all of them are final; empty before."""
    executions = sorted(platform.executions_of(job_id), key=lambda execution: execution["scheduledAt"])[
        :count
    ]
    complete = len(executions) == count and all(execution["completedAt"] for execution in executions)
    return executions if complete else []


def test_a_job_fires_each_second_is_logged_and_goes_on_after_a_restart(
    platform: Any, receiver: Any, eventually: Callable[..., Any]
) -> None:
    job = platform.create_job(
        name="Every second",
        cronExpression=EVERY_SECOND,
        webhookUrl=receiver.url,
        payload={"report": "weekly"},
    )

    eventually(lambda: len(receiver.calls) >= 10, within=30, what="ten calls")
    assert {call.method for call in receiver.calls} == {"POST"}
    assert {call.body for call in receiver.calls} == {b'{"report":"weekly"}'}
    assert platform.stop(signal.SIGINT) == 0
    before = len(receiver.calls)
    platform.start()

    logged = platform.executions_of(job["id"])
    assert len(logged) >= before, "the log outlived the stop"
    eventually(lambda: len(receiver.calls) >= before + 10, within=30, what="ten calls after the restart")
    executions = eventually(
        lambda: first_final(platform, job["id"], before + 5), within=30, what="the executions are final"
    )
    assert_one_per_second(moments(executions))
    assert {execution["status"] for execution in executions} == {"success"}
    assert {execution["responseStatus"] for execution in executions} == {200}
    assert {execution["responseBody"] for execution in executions} == {"thanks"}
    calls = Counter(call.webhook_id for call in receiver.calls)
    assert {calls[execution["id"]] for execution in executions} == {1}, "each fire time was called once"


@pytest.mark.timeout(300)
def test_sixty_seconds_of_fire_times_survive_kills_and_an_emptied_redis(
    start_platform: Callable[..., Any],
    receiver: Any,
    eventually: Callable[..., Any],
    holder_of_port: Callable[[int, list[int]], int],
) -> None:
    platform = start_platform("--tickers", "2", "--workers", "2")
    job = platform.create_job(
        name="Every second",
        cronExpression=EVERY_SECOND,
        webhookUrl=receiver.url,
        timeoutMs=2000,
        maxRetries=0,
    )

    def fired(count: int) -> None:
        eventually(
            lambda: len(platform.executions_of(job["id"])) >= count, within=90, what=f"{count} executions"
        )

    fired(10)
    os.kill(platform.pids("ticker")[0], signal.SIGKILL)

    fired(20)
    receiver.delay_seconds = 1.5
    calls_before = len(receiver.calls)
    eventually(lambda: len(receiver.calls) > calls_before, within=30, what="a call is under way")
    interrupted = receiver.calls[calls_before]
    os.kill(holder_of_port(interrupted.peer_port, platform.pids("worker")), signal.SIGKILL)
    receiver.delay_seconds = 0.0

    fired(35)
    with redis.Redis.from_url(platform.redis_url) as client:
        client.flushall()

    executions = eventually(
        lambda: first_final(platform, job["id"], 61),
        within=180,
        what="the executions of 61 fire times are final",
    )
    assert_one_per_second(moments(executions))
    assert {execution["status"] for execution in executions} == {"success"}
    calls = Counter(call.webhook_id for call in receiver.calls)
    assert all(calls[execution["id"]] for execution in executions), "every fire time was delivered"
    again = {execution["id"] for execution in executions if calls[execution["id"]] > 1}
    assert interrupted.webhook_id in again, "the interrupted call was made again"
    attempts = {execution["id"]: execution["attemptCount"] for execution in executions}
    assert all(attempts[webhook_id] > 1 for webhook_id in again), "only what was interrupted was called again"
    for role in ("ticker", "worker"):
        eventually(
            lambda role=role: len(platform.pids(role)) == 2, within=30, what=f"two of {role} run again"
        )
