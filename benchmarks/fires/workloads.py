"""The workloads. Each gives a row of figures."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import requests

from benchmarks.fires.measuring import measure, wait_until, whole_second
from benchmarks.fires.receiver import hanging_host
from benchmarks.fires.stack import Receiver, Stack
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType

LEAD = timedelta(seconds=2)
"""Between the registration of the jobs and their first fire time."""

WARM_UP = timedelta(seconds=2)
"""How long steady jobs fire before the figures begin: first fires make connections and load definitions."""


def steady(stack: Stack, receiver: Receiver, jobs: int, seconds: int, *, aligned: bool) -> dict[str, Any]:
    """`jobs` jobs due every second for `seconds` s; spread over the second, or all at its beginning."""
    receiver.ask(do="reset")
    start = whole_second(stack.now() + LEAD + timedelta(seconds=jobs / 2000))
    schedules = [
        _every_second(start + timedelta(milliseconds=0 if aligned else number * 1000 // jobs))
        for number in range(jobs)
    ]
    stack.register(schedules, receiver.url, handled_through=start - timedelta(milliseconds=1))
    start += WARM_UP
    wait_until(stack, start)
    window = (start, start + timedelta(seconds=seconds))
    return measure(stack, receiver, window, jobs * seconds) | {"jobs": jobs, "aligned": aligned}


def herd(stack: Stack, receiver: Receiver, jobs: int) -> dict[str, Any]:
    """`jobs` jobs due at one instant; how long until the last one has arrived."""
    receiver.ask(do="reset")
    start = whole_second(stack.now() + LEAD + timedelta(seconds=jobs / 2000))
    once = Schedule(type=ScheduleType.INTERVAL, interval=IntervalUnit.HOUR, interval_value=1, anchor_at=start,
                    anchor_fires=True, start_at=start)  # fmt: skip
    stack.register([once] * jobs, receiver.url, handled_through=start - timedelta(milliseconds=1))
    # From here on, not from the instant: jobs are read ahead of it, which is to count.
    before = stack.cpu_seconds()
    wait_until(stack, start)
    window = (start, start + timedelta(seconds=1))
    row = measure(stack, receiver, window, jobs, before=before, is_settled=stack.is_recorded)
    return row | {"jobs": jobs, "drained_seconds": round((row["lag_max_ms"] or 0) / 1000, 3)}


def fairness(stack: Stack, receiver: Receiver, jobs: int, seconds: int, hosts: int) -> list[dict[str, Any]]:
    """Steady jobs alone, and beside 1,000 fires for one hanging host and one for each of `hosts` others."""
    alone = steady(stack, receiver, jobs, seconds, aligned=False)
    stack.forget_jobs()
    start = whole_second(stack.now() + LEAD)
    once = Schedule(type=ScheduleType.ONCE, run_at=start)
    targets = [1] * 1000 + [number + 2 for number in range(hosts)]
    urls = [f"http://{hanging_host(number)}:{receiver.port}/hook" for number in targets]
    stack.register([once] * len(urls), urls, handled_through=start - timedelta(milliseconds=1))
    # The steady jobs begin two seconds later, when the hanging calls fill whatever they can fill.
    beside = steady(stack, receiver, jobs, seconds, aligned=False)
    return [alone | {"hanging": 0}, beside | {"hanging": len(urls)}]


def idle(stack: Stack, jobs: int, seconds: int) -> dict[str, Any]:
    """`jobs` registered jobs of which none is due: registration time, bytes in Redis, CPU of the ticker."""
    now = stack.now()
    memory = stack.platform.redis.info("memory")["used_memory"]
    far = Schedule(type=ScheduleType.CRON, cron_expression="0 0 1 1 *")
    begun = time.monotonic()
    stack.register([far] * jobs, "http://127.0.0.1:9/hook", handled_through=now)
    registered = time.monotonic() - begun
    used = stack.platform.redis.info("memory")["used_memory"] - memory
    time.sleep(2)
    before = stack.cpu_seconds()
    time.sleep(seconds)
    after = stack.cpu_seconds()
    return {
        "jobs": jobs,
        "registered_seconds": round(registered, 2),
        "redis_bytes_per_job": round(used / jobs),
        "idle_cpu_percent": {role: round((after[role] - before[role]) / seconds * 100, 2) for role in after},
        "rss_mb": stack.rss_mb(),
    }


def api(stack: Stack, jobs: int, requests_each: int) -> list[dict[str, Any]]:
    """Requests a second with `jobs` jobs stored, one after the other on one connection, and the API's CPU for each."""
    far = Schedule(type=ScheduleType.CRON, cron_expression="0 0 1 1 *")
    stack.register([far] * jobs, "http://127.0.0.1:9/hook", handled_through=stack.now())
    definition = {"name": "benchmark", "cronExpression": "0 0 1 1 *", "webhookUrl": "http://127.0.0.1:9/hook"}
    calls: dict[str, Callable[[requests.Session, str], requests.Response]] = {
        "create": lambda session, url: session.post(f"{url}/api/cron", json=definition),
        "list, first page of 20": lambda session, url: session.get(f"{url}/api/cron"),
        "list by next run, page 50": lambda session, url: session.get(
            f"{url}/api/cron?sort=nextRunAt&page=50"
        ),
        "logs": lambda session, url: session.get(f"{url}/api/execution-logs"),
    }
    rows = []
    with stack.api() as (url, key), requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        for name, call in calls.items():
            for _ in range(5):
                call(session, url).raise_for_status()
            before, begun = stack.cpu_seconds(), time.monotonic()
            for _ in range(requests_each):
                call(session, url).raise_for_status()
            seconds, after = time.monotonic() - begun, stack.cpu_seconds()
            cpu_ms = {
                role: round((after[role] - before[role]) / requests_each * 1000, 2)
                for role in ("api", "store")
            }
            rows.append(
                {
                    "request": name,
                    "jobs": jobs,
                    "requests_per_second": round(requests_each / seconds, 1),
                    "cpu_ms_per_request": cpu_ms,
                }
            )
    return rows


def _every_second(anchor: datetime) -> Schedule:
    return Schedule(
        type=ScheduleType.INTERVAL,
        interval=IntervalUnit.SECOND,
        interval_value=1,
        anchor_at=anchor,
        anchor_fires=True,
        start_at=anchor,
    )
