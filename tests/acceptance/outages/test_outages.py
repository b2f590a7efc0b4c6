"""MongoDB away, Redis away, both away, and slow: the API says so in time, nothing ends, all goes on by itself."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psutil
import pytest
import requests

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

EVERY_SECOND = "* * * * * *"
SHORT_OUTAGE_SECONDS = 6.0
BEYOND_THE_GRACE_SECONDS = 18.0
"""The shortest grace of a job is 15 s."""

MOST_CPU = 0.35
"""The share of a processor that a process may use while a store is away; one that spins uses all of it."""


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Any]) -> Any:
    return start_site(tickers=2, workers=1)


@pytest.fixture
def observer(site: Any, receiver: Any, eventually: Callable[..., Any]) -> Iterator[str]:
    """A job that fires each second; afterwards every second of its life must have its one execution."""
    job_id = site.create_job(
        name="Observer", cronExpression=EVERY_SECOND, webhookUrl=receiver.url, misfireGraceMs=15000
    )
    eventually(
        lambda: site.delivered_after(job_id, datetime.min.replace(tzinfo=UTC)), within=30, what="a first call"
    )
    yield job_id
    back_at = datetime.now(UTC)
    eventually(lambda: site.delivered_after(job_id, back_at), within=30, what="calls go on")
    paused = eventually(
        lambda: site.request("POST", f"/api/cron/{job_id}/pause"), within=10, what="the job is paused"
    ).json()
    job = site.database["jobs"].find_one({"_id": job_id})
    assert paused["status"] == "paused"
    first = job["createdAt"].replace(microsecond=0) + timedelta(seconds=1)
    due = [first + timedelta(seconds=n) for n in range(int((job["pausedFrom"] - first).total_seconds()) + 1)]
    executions = eventually(lambda: all_final(site, job_id), within=60, what="all executions are final")
    assert [execution["scheduledAt"] for execution in executions] == due
    assert {e["status"] for e in executions} <= {"success", "skipped"}
    assert all(e.get("reason") for e in executions if e["status"] == "skipped")
    assert site.dead() == []


def all_final(site: Any, job_id: str) -> list[dict[str, Any]]:
    """The job's executions once all are final; empty before."""
    executions: list[dict[str, Any]] = site.executions(job_id)
    return executions if all("completedAt" in e for e in executions) else []


@contextmanager
def quiet_processors(site: Any) -> Iterator[None]:
    """No process may spin meanwhile."""
    before, since = site.cpu_seconds(), time.monotonic()
    yield
    elapsed = time.monotonic() - since
    used = {name: (after - before[name]) / elapsed for name, after in site.cpu_seconds().items()}
    assert {name: share for name, share in used.items() if share > MOST_CPU} == {}


@contextmanager
def outage(site: Any, mode: Any, *proxies: Any, seconds: float) -> Iterator[None]:
    """The stores behind `proxies` are away for `seconds` at least, and while the body runs."""
    ends = time.monotonic() + seconds
    for proxy in proxies:
        proxy.become(mode)
    try:
        with quiet_processors(site):
            yield
            time.sleep(max(0.0, ends - time.monotonic()))
        assert site.dead() == []
    finally:
        for proxy in proxies:
            proxy.become(type(mode).PASS)


def test_the_api_answers_503_in_time_while_mongodb_is_down(site: Any, observer: str, modes: Any) -> None:
    with outage(site, modes.REFUSE, site.mongodb, seconds=SHORT_OUTAGE_SECONDS):
        for method, path, body in (
            ("GET", "/api/cron", None),
            ("POST", f"/api/cron/{observer}/pause", None),
            ("POST", f"/api/cron/{observer}/trigger", None),
        ):
            response = site.request(method, path, json=body)
            assert (response.status_code, response.json()["code"]) == (503, 503), f"{method} {path}"
            assert response.headers["Retry-After"]
        assert site.request("GET", "/health/ready").status_code == 503
        assert site.request("GET", "/health/live").status_code == 200


def test_the_api_answers_503_in_time_while_mongodb_hangs(site: Any, observer: str, modes: Any) -> None:
    with outage(site, modes.STALL, site.mongodb, seconds=SHORT_OUTAGE_SECONDS):
        assert site.request("GET", f"/api/cron/{observer}").status_code == 503
        assert site.request("GET", "/health/ready").status_code == 503


@pytest.mark.parametrize("mode", ["REFUSE", "STALL"])
def test_a_job_saved_while_redis_is_away_fires_soon_after_its_return(
    site: Any, observer: str, receiver: Any, modes: Any, mode: str, eventually: Callable[..., Any]
) -> None:
    with outage(site, modes[mode], site.redis, site.api_redis, seconds=SHORT_OUTAGE_SECONDS):
        job_id = site.create_job(name="Saved", delayMs=0, webhookUrl=receiver.url)
        assert site.request("GET", "/health/ready").status_code == 503
        assert site.executions(job_id) == []

    eventually(
        lambda: [e for e in site.executions(job_id) if e["status"] == "success"],
        within=8,
        what="the job fires",
    )


@pytest.mark.parametrize("mode", ["REFUSE", "STALL"])
def test_changes_of_a_job_that_has_fire_times_due_are_answered_in_time_while_redis_is_away(
    site: Any, observer: str, receiver: Any, modes: Any, mode: str
) -> None:
    job_id = site.create_job(name="Changed", cronExpression=EVERY_SECOND, webhookUrl=receiver.url)

    with outage(site, modes[mode], site.redis, site.api_redis, seconds=SHORT_OUTAGE_SECONDS / 2):
        time.sleep(1.5)  # Fire times come due that nobody handles.
        for method, path, body in (
            ("PATCH", f"/api/cron/{job_id}", {"cronExpression": "*/2 * * * * *"}),
            ("POST", f"/api/cron/{job_id}/trigger", None),
            ("POST", f"/api/cron/{job_id}/pause", None),
            ("DELETE", f"/api/cron/{job_id}", None),
        ):
            assert site.request(method, path, json=body).status_code in (200, 202, 204, 503), path


def test_what_falls_due_while_both_are_away_follows_the_misfire_policy(
    site: Any, observer: str, receiver: Any, modes: Any, eventually: Callable[..., Any]
) -> None:
    jobs = {
        policy: site.create_job(
            name=policy,
            interval="second",
            intervalValue=2,
            webhookUrl=receiver.url,
            misfirePolicy=policy,
            misfireGraceMs=15000,
        )
        for policy in ("fireOnce", "skip", "fireAll")
    }
    with outage(
        site, modes.REFUSE, site.mongodb, site.redis, site.api_redis, seconds=BEYOND_THE_GRACE_SECONDS
    ):
        assert site.request("GET", "/api/cron").status_code == 503
    back_at = datetime.now(UTC)

    for job_id in jobs.values():
        eventually(lambda job_id=job_id: site.delivered_after(job_id, back_at), within=8, what="it goes on")
        eventually(
            lambda job_id=job_id: site.request("POST", f"/api/cron/{job_id}/pause").status_code == 200,
            within=10,
            what="it is paused",
        )
    missed = {
        policy: sum(
            e.get("reason") == "misfire"
            for e in eventually(
                lambda job_id=job_id: all_final(site, job_id), within=60, what="all are final"
            )
        )
        for policy, job_id in jobs.items()
    }
    assert missed["skip"] >= 1
    assert missed["fireOnce"] == missed["skip"] - 1
    assert missed["fireAll"] == 0
    for job_id in jobs.values():
        moments = [e["scheduledAt"] for e in site.executions(job_id)]
        assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=2)}


def test_slow_stores_whose_connections_break_lose_and_double_nothing(
    site: Any, observer: str, receiver: Any, modes: Any
) -> None:
    with outage(site, modes.SLOW, site.mongodb, site.redis, site.api_redis, seconds=SHORT_OUTAGE_SECONDS):
        for _ in range(4):
            time.sleep(SHORT_OUTAGE_SECONDS / 5)
            site.mongodb.cut()
            site.redis.cut()
    # The observer's own checks follow.
    assert site.executions(observer)


def test_a_job_fires_whose_api_was_killed_before_it_could_mirror_it(
    site: Any, receiver: Any, modes: Any, eventually: Callable[..., Any]
) -> None:
    site.api_redis.become(modes.STALL)
    job = {"name": "Unmirrored", "delayMs": 0, "webhookUrl": receiver.url}

    def post() -> None:
        # The API dies over it.
        with pytest.raises(requests.ConnectionError):
            site.request("POST", "/api/cron", json=job)

    asking = threading.Thread(target=post)
    asking.start()
    try:
        stored = eventually(
            lambda: site.database["jobs"].find_one({"name": "Unmirrored"}), within=10, what="it is stored"
        )
        site.kill("api-1")
    finally:
        asking.join()
        site.api_redis.become(modes.PASS)
    site.start("api")

    eventually(
        lambda: [e for e in site.executions(stored["_id"]) if e["status"] == "success"],
        within=15,
        what="the job fires",
    )
    eventually(
        lambda: (
            not any(
                process.status() == psutil.STATUS_ZOMBIE
                for process in psutil.Process(site.processes["api-1"].pid).children()
            )
            and _answers(site)
        ),
        within=30,
        what="the API is back",
    )


def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    site: Any, observer: str, receiver: Any, eventually: Callable[..., Any]
) -> None:
    receiver.delay_seconds = 0.3
    jobs = [
        site.create_job(name=f"Load {n}", interval="second", intervalValue=1, webhookUrl=receiver.url)
        for n in range(10)
    ]
    for name in list(site.processes):
        role, _, number = name.rpartition("-")
        site.processes[name].send_signal(signal.SIGTERM)
        assert site.processes[name].wait(40) == 0, f"{name} ends cleanly"
        site.start(role, int(number))
    eventually(lambda: _answers(site), within=30, what="the API is back")
    receiver.delay_seconds = 0.0
    restarted_at = datetime.now(UTC)
    eventually(
        lambda: all(site.delivered_after(job_id, restarted_at) for job_id in jobs),
        within=30,
        what="all jobs go on",
    )
    for job_id in jobs:
        assert site.request("POST", f"/api/cron/{job_id}/pause").status_code == 200

    for job_id in jobs:
        executions = eventually(
            lambda job_id=job_id: all_final(site, job_id), within=60, what="all are final"
        )
        moments = [e["scheduledAt"] for e in executions]
        assert {b - a for a, b in pairwise(moments)} == {timedelta(seconds=1)}
        # What was queued when the job was paused at the end is skipped for that.
        ran = [e for e in executions if e.get("reason") != "paused"]
        assert {e["status"] for e in ran} == {"success"}
        assert {e["attemptCount"] for e in ran} == {1}, "no attempt was lost on the way"
    calls = [call.webhook_id for call in receiver.calls]
    assert len(calls) == len(set(calls)), "nothing was called twice"


def _answers(site: Any) -> bool:
    try:
        return bool(site.request("GET", "/health/ready").status_code == 200)
    except requests.ConnectionError:
        return False
