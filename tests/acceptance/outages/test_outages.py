"""MongoDB away, Redis away, both away, and slow: the API says so in time, nothing ends, all goes on by itself."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

EVERY_SECOND = "* * * * * *"
SHORT_OUTAGE_SECONDS = 5.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
BEYOND_THE_GRACE_SECONDS = 17.0
"""The shortest grace of a job is 15 s."""

MOST_CPU = 0.35
"""The share of a processor that a process may use while a store is away; one that spins uses all of it."""


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Any]) -> Any:
    return start_site(tickers=2, workers=1)


@pytest.fixture(scope="module")
def observer(site: Any, long_receiver: Any) -> str:
    """A job that fires each second through all of these tests; the last one looks at what became of it."""
    return str(
        site.create_job(
            name="Observer", cronExpression=EVERY_SECOND, webhookUrl=long_receiver.url, misfireGraceMs=15000
        )
    )


@pytest.fixture(autouse=True)
def the_observer_fires_on(site: Any, observer: str, eventually: Callable[..., Any]) -> Iterator[None]:
    yield
    back_at = datetime.now(UTC)
    eventually(lambda: site.successes_after(observer, back_at), within=8, what="calls go on")


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


@pytest.mark.parametrize("mode", ["REFUSE", "STALL"])
def test_the_api_answers_503_in_time_while_mongodb_is_away(
    site: Any, observer: str, modes: Any, mode: str
) -> None:
    with outage(site, modes[mode], site.mongodb, seconds=SHORT_OUTAGE_SECONDS):
        for method, path in (
            ("GET", "/api/cron"),
            ("POST", f"/api/cron/{observer}/pause"),
        ):
            response = site.request(method, path)
            assert (response.status_code, response.json()["code"]) == (503, 503), f"{method} {path}"
            assert response.headers["Retry-After"]
        assert site.request("GET", "/health/ready").status_code == 503
        assert site.request("GET", "/health/live").status_code == 200


@pytest.mark.parametrize("mode", ["REFUSE", "STALL"])
def test_while_redis_is_away_jobs_are_saved_and_changed_in_time_and_fire_soon_after_its_return(
    site: Any, long_receiver: Any, modes: Any, mode: str, eventually: Callable[..., Any]
) -> None:
    changed = site.create_job(name="Changed", cronExpression=EVERY_SECOND, webhookUrl=long_receiver.url)

    with outage(site, modes[mode], site.redis, site.api_redis, seconds=SHORT_OUTAGE_SECONDS):
        saved = site.create_job(name="Saved", delayMs=0, webhookUrl=long_receiver.url)
        assert site.request("GET", "/health/ready").status_code == 503
        # By now fire times of this one are due that nobody handles: the change has to settle them first.
        for method, path, body in (
            ("PATCH", f"/api/cron/{changed}", {"cronExpression": "*/2 * * * * *"}),
            ("POST", f"/api/cron/{changed}/trigger", None),
            ("DELETE", f"/api/cron/{changed}", None),
        ):
            assert site.request(method, path, json=body).status_code in (200, 202, 204), path
        assert not site.successes_after(saved, LONG_AGO)

    eventually(lambda: site.successes_after(saved, LONG_AGO), within=8, what="the saved job fires")


def test_what_falls_due_while_both_are_away_follows_the_misfire_policy(
    site: Any, long_receiver: Any, modes: Any, eventually: Callable[..., Any]
) -> None:
    jobs = {
        policy: site.create_job(
            name=policy,
            interval="second",
            intervalValue=2,
            webhookUrl=long_receiver.url,
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
        eventually(lambda job_id=job_id: site.successes_after(job_id, back_at), within=8, what="it goes on")
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
    # One missed fire time runs; the moments at which two jobs are looked at again may lie on both sides of one.
    assert missed["fireOnce"] <= missed["skip"]
    assert missed["fireAll"] == 0
    for job_id in jobs.values():
        moments = [e["scheduledAt"] for e in site.executions(job_id)]
        assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=2)}


def test_stores_may_be_slow_and_break_their_connections(site: Any, modes: Any) -> None:
    with outage(site, modes.SLOW, site.mongodb, site.redis, site.api_redis, seconds=SHORT_OUTAGE_SECONDS):
        for _ in range(4):
            time.sleep(SHORT_OUTAGE_SECONDS / 5)
            site.mongodb.cut()
            site.redis.cut()


def test_a_job_fires_whose_api_was_killed_before_it_could_mirror_it(
    site: Any, long_receiver: Any, modes: Any, eventually: Callable[..., Any]
) -> None:
    site.api_redis.become(modes.STALL)
    job = {"name": "Unmirrored", "delayMs": 0, "webhookUrl": long_receiver.url}

    def post() -> None:
        # The API dies over it, or just after.
        with suppress(requests.RequestException):
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

    eventually(lambda: site.successes_after(stored["_id"], LONG_AGO), within=15, what="the job fires")
    eventually(lambda: _answers(site), within=30, what="the API is back")


def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    site: Any, long_receiver: Any, eventually: Callable[..., Any]
) -> None:
    long_receiver.delay_seconds = 0.3
    jobs = [
        site.create_job(name=f"Load {n}", interval="second", intervalValue=1, webhookUrl=long_receiver.url)
        for n in range(10)
    ]
    for name in list(site.processes):
        role, _, number = name.rpartition("-")
        site.processes[name].send_signal(signal.SIGTERM)
        assert site.processes[name].wait(40) == 0, f"{name} ends cleanly"
        site.start(role, int(number))
    eventually(lambda: _answers(site), within=30, what="the API is back")
    long_receiver.delay_seconds = 0.0
    restarted_at = datetime.now(UTC)
    eventually(
        lambda: all(site.successes_after(job_id, restarted_at) for job_id in jobs),
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
    calls = [webhook_id for webhook_id in long_receiver.webhook_ids if webhook_id.split(":")[0] in jobs]
    assert len(calls) == len(set(calls)), "nothing was called twice"


def test_every_second_of_all_this_has_its_one_execution(
    site: Any, observer: str, eventually: Callable[..., Any]
) -> None:
    assert site.request("POST", f"/api/cron/{observer}/pause").status_code == 200
    job = site.database["jobs"].find_one({"_id": observer})
    first = job["createdAt"].replace(microsecond=0) + timedelta(seconds=1)
    due = [first + timedelta(seconds=n) for n in range(int((job["pausedFrom"] - first).total_seconds()) + 1)]

    executions = eventually(lambda: all_final(site, observer), within=60, what="all executions are final")
    assert [execution["scheduledAt"] for execution in executions] == due
    assert {e["status"] for e in executions} <= {"success", "skipped"}
    assert {e.get("reason") for e in executions if e["status"] == "skipped"} <= {"misfire", "paused"}
    assert site.request("POST", f"/api/cron/{observer}/resume").status_code == 200


def _answers(site: Any) -> bool:
    try:
        return bool(site.request("GET", "/health/ready").status_code == 200)
    except requests.ConnectionError:
        return False
