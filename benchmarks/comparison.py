"""Time and memory of the full comparison of MongoDB with Redis: `python benchmarks/comparison.py [JOBS]`.

On embedded stores, 100,000 jobs unless told otherwise: with a mirror that is complete (what happens every
WEBHOOKCRON_SYNC_INTERVAL_SECONDS), with one entry of a hundred lost, with one of a hundred that would act too late
(this takes two looks, seconds apart), and after FLUSHALL. Each comparison runs in a process of its own: "before" and
"most" are its memory in MB when it begins and at its most.
"""

import json
import multiprocessing
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from multiprocessing.connection import Connection

import psutil
from fires.stack import Stack, StackOptions, running

from webhookcron.config import load_settings
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.logs import configure_logging
from webhookcron.ticks.comparison import SECOND_LOOK_AFTER, FullComparison
from webhookcron.wiring.platform import connect

JOBS = 100_000
DAMAGED_SHARE = 0.01


def main(count: int) -> None:
    """Measure with `count` jobs."""
    with running(StackOptions(tickers=0, workers=0)) as stack:
        print(f"storing {count:,} jobs …", file=sys.stderr, flush=True)
        dice = random.Random(1)
        ids = _store(stack, count, dice)
        damaged = dice.sample(ids, int(count * DAMAGED_SHARE))
        redis, base = stack.platform.redis, f"{stack.platform.settings.key_prefix}:{{0}}:"
        cases: tuple[tuple[str, Callable[[], object]], ...] = (
            ("complete", lambda: None),
            ("1 % lost", lambda: (redis.hdel(base + "jobs", *damaged), redis.zrem(base + "due", *damaged))),
            ("1 % too late", lambda: redis.zadd(base + "due", dict.fromkeys(damaged, 4e12))),
            ("flushed", redis.flushall),
        )
        print(f"{count:,} jobs; the two looks are {SECOND_LOOK_AFTER.total_seconds():g} s apart")
        print(f"{'mirror':>14} {'seconds':>8} {'CPU':>7} {'repaired':>9} {'before':>7} {'most':>7}")
        for name, damage in cases:
            damage()
            figures = _compared(stack.environment)
            print(
                f"{name:>14} {figures['seconds']:8.2f} {figures['cpu']:7.2f} {figures['repaired']:9,.0f} "
                f"{figures['before']:7.1f} {figures['most']:7.1f}",
                flush=True,
            )


def _store(stack: Stack, count: int, dice: random.Random) -> list[str]:
    # Nothing comes due while this runs: the fire times lie in the next month.
    schedules = [
        Schedule(
            type=ScheduleType.CRON,
            cron_expression=f"{dice.randrange(60)} {dice.randrange(24)} {dice.randrange(1, 29)} * *",
        )
        for _ in range(count)
    ]
    now = stack.now()
    jobs = stack.register(schedules, "http://127.0.0.1:9/hook", handled_through=now + timedelta(days=1))
    return [job.id for job in jobs]


def _compared(environment: Mapping[str, str]) -> dict[str, float]:
    """The figures of one comparison in a new process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_compare, args=(dict(environment), there))
    child.start()
    figures: dict[str, float] = json.loads(here.recv())
    child.join()
    return figures


def _compare(environment: dict[str, str], answer: Connection) -> None:
    os.environ.update(environment)
    configure_logging("error")
    platform = connect(load_settings(environment, role="ticker"), part="benchmark")
    comparison = FullComparison(jobs=platform.jobs, source=platform.source)
    platform.clock.read()
    before = psutil.Process().memory_info().rss / 1e6
    started, cpu = time.perf_counter(), time.process_time()
    compared = comparison.run(threading.Event())
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "repaired": compared.repaired,
        "before": before,
        # Kilobytes on Linux, bytes on macOS (getrusage(2)).
        "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1e6 if sys.platform == "darwin" else 1e3),
    }
    answer.send(json.dumps(figures))
    platform.close()


if __name__ == "__main__":
    main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else JOBS)
