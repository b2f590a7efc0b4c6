"""Time and memory of the full comparison of MongoDB with Redis: `python benchmarks/comparison.py [JOBS]`.

On embedded stores, 100,000 jobs unless told otherwise: with a mirror that is complete (what happens every
WEBHOOKCRON_SYNC_INTERVAL_SECONDS), with one entry of a hundred lost, with one of a hundred that would act too late
(this takes two looks, seconds apart), and after FLUSHALL. "rss" is what the comparing process has at its most, and how
much of that is new since the first comparison began.
"""

import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import psutil
from fires.stack import Stack, StackOptions, running

from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.logs import configure_logging
from webhookcron.ticks.comparison import SECOND_LOOK_AFTER, FullComparison

JOBS = 100_000
DAMAGED_SHARE = 0.01
SAMPLE_SECONDS = 0.01


class PeakMemory:
    """The most memory that this process had while it was watched, in MB."""

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(SAMPLE_SECONDS):
            self.megabytes = max(self.megabytes, process.memory_info().rss / 1e6)


def main(count: int) -> None:
    """Measure with `count` jobs."""
    configure_logging("error")
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
        start_mb = psutil.Process().memory_info().rss / 1e6
        print(f"{count:,} jobs; the embedded store and {redis.info('server')['server_name']}")
        print(f"{'mirror':>14} {'seconds':>8} {'CPU here':>9} {'repaired':>9} {'rss MB':>7} {'new MB':>7}")
        for name, damage in cases:
            damage()
            _measure(stack, name, start_mb)


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


def _measure(stack: Stack, name: str, start_mb: float) -> None:
    comparison = FullComparison(jobs=stack.platform.jobs, source=stack.platform.source)
    with PeakMemory() as peak:
        started, cpu = time.perf_counter(), time.process_time()
        compared = comparison.run(threading.Event())
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"{name:>14} {seconds:8.2f} {cpu:9.2f} {compared.repaired:9,} {peak.megabytes:7.1f} "
        f"{max(0.0, peak.megabytes - start_mb):7.1f}",
        flush=True,
    )
    if name == "1 % too late":
        print(f"{'':>14} of these, {SECOND_LOOK_AFTER.total_seconds():g} s between the two looks")


if __name__ == "__main__":
    main(int(sys.argv[1].replace(",", "")) if len(sys.argv) > 1 else JOBS)
