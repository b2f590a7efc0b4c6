"""What the tick source and the tickers cost by themselves: no worker runs, nothing is delivered.

mirror   one look at the mirror in Redis, and the way of due fires through it, beside ever more jobs that are not due
tickers  a herd that 1, 2 and 4 tickers turn into executions: how they share it
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psutil
from bson import ObjectId

from benchmarks.fires.stack import Stack
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.ticks.source import Advance, MirrorEntry

LOOKS = 3_000
ROUNDS = 100
DUE = 100
"""Fires of one look, as a ticker finds them at a thousand a second."""

PUT_AT_ONCE = 10_000
FAR = timedelta(days=300)
PATIENCE_SECONDS = 60.0
TRIES = 3


def mirror(stack: Stack, jobs: int) -> dict[str, Any]:
    """Bytes and time per mirrored job; CPU of Redis and of this process for a look, and for each of `DUE` due fires."""
    source, redis = stack.platform.source, stack.platform.redis
    redis.flushall()
    now = stack.now()
    memory, begun = redis.info("memory")["used_memory"], time.monotonic()
    for start in range(0, jobs, PUT_AT_ONCE):
        # Spread over a month, as the fire times of many jobs are.
        source.put(
            MirrorEntry(str(ObjectId()), 1, at := now + FAR + timedelta(seconds=2.6 * number), at)
            for number in range(start, min(start + PUT_AT_ONCE, jobs))
        )
    put_seconds = time.monotonic() - begun
    bytes_per_job = (redis.info("memory")["used_memory"] - memory) / jobs

    with _cpu(stack) as look:
        for _ in range(LOOKS):
            source.tick("idle", limit=500)

    due = [str(ObjectId()) for _ in range(DUE)]
    at = now - timedelta(seconds=ROUNDS)
    source.put(MirrorEntry(job_id, 1, at, at) for job_id in due)
    with _cpu(stack) as fires:
        for number in range(ROUNDS):
            tick = source.tick(f"round {number}", limit=500)
            at += timedelta(seconds=1)
            moved = source.advance([Advance(fire, MirrorEntry(fire.job_id, 1, at, at)) for fire in tick.due])
            if moved != DUE:
                raise SystemExit(f"{moved} of {DUE} due jobs were moved")
    return {
        "jobs": jobs,
        "put_seconds": round(put_seconds, 2),
        "redis_bytes_per_job": round(bytes_per_job),
        "cpu_us_per_look": {role: round(seconds / LOOKS * 1e6, 1) for role, seconds in look.items()},
        "cpu_us_per_due_fire": {
            role: round(seconds / (ROUNDS * DUE) * 1e6, 2) for role, seconds in fires.items()
        },
    }


def share(stack: Stack, jobs: int) -> dict[str, Any]:
    """`jobs` jobs due at one instant, until each has its execution; locks tried are the SET commands of Redis."""
    start = _stored_in_time(stack, jobs)
    executions = stack.platform.database["executions"]
    time.sleep(max(0.0, (start - stack.now()).total_seconds()))
    tried, before = _sets(stack), [_seconds(process) for process in stack.processes["ticker"]]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while executions.estimated_document_count() < jobs and time.monotonic() < deadline:
        time.sleep(0.02)
    seconds = (stack.now() - start).total_seconds()
    made = executions.estimated_document_count()
    cpu = [_seconds(process) - used for process, used in zip(stack.processes["ticker"], before, strict=True)]
    return {
        "jobs": jobs,
        "tickers": len(cpu),
        "fires_per_second": round(made / seconds),
        "missing": jobs - made,
        "locks_tried_per_fire": round((_sets(stack) - tried) / max(made, 1), 3),
        "ticker_cpu_ms_per_fire": round(sum(cpu) / max(made, 1) * 1000, 4),
        "share_of_cpu": {str(number): round(used / (sum(cpu) or 1), 2) for number, used in enumerate(cpu, 1)},
    }


def _stored_in_time(stack: Stack, jobs: int) -> datetime:
    """The instant at which `jobs` jobs, stored and mirrored now, are due: as soon as this machine can do that."""
    lead = timedelta(seconds=2 + jobs / 1000)
    for _ in range(TRIES):
        start = stack.now().replace(microsecond=0) + lead
        hourly = Schedule(type=ScheduleType.INTERVAL, interval=IntervalUnit.HOUR, interval_value=1, anchor_at=start,
                          anchor_fires=True, start_at=start)  # fmt: skip
        stack.register(
            [hourly] * jobs, "http://127.0.0.1:9/hook", handled_through=start - timedelta(milliseconds=1)
        )
        if stack.now() < start:
            return start
        stack.forget_jobs()
        lead *= 3
    raise SystemExit(f"{jobs} jobs are too many for this machine to store before they are due")


def _sets(stack: Stack) -> int:
    return int(stack.platform.redis.info("commandstats").get("cmdstat_set", {}).get("calls", 0))


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _cpu(stack: Stack) -> Iterator[dict[str, float]]:
    """CPU seconds that Redis and this process, which is the client, use inside the block."""
    [redis] = stack.processes["redis"]
    used: dict[str, float] = {}
    before = (_seconds(redis), time.process_time())
    yield used
    used["redis"], used["client"] = _seconds(redis) - before[0], time.process_time() - before[1]
