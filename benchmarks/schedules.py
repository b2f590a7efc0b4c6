"""Microseconds per next fire time, by expression and zone: `python benchmarks/schedules.py`.

"computed" walks to the next fire time of a parsed expression, from another start each time; "cached" asks
for one that was asked for before, as tickers do for jobs that share an expression; "parsed" reads an
expression for the first time, as when a job is created. What a zone's clocks do on a day is looked up once,
in the first round. It is the time of the processor; the best of several rounds is shown: the others measure what else
the machine was doing.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from webhookcron.core import cron, cron_instants
from webhookcron.core.schedules import Schedule, ScheduleType, next_fire_time
from webhookcron.core.zones import tzdata_version, zone

EXPRESSIONS = (
    "* * * * * *",
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "0 9 * * *",
    "0 9 * * MON-FRI",
    "0 0 1 * *",
    "0 0 LW * *",
    "0 0 * * 1#1",
    "0 0 13 * 5",
    "0 0 29 2 *",
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
START = datetime(2026, 1, 1, tzinfo=UTC)
# A prime number of minutes, so that the starts fall on every time of day and on all days of some years.
STARTS = [START + timedelta(minutes=997) * number for number in range(1000)]
ROUNDS = 5


def microseconds_each(work: Callable[[], object], times: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best / times * 1e6


def computed(expression: str, timezone: str) -> float:
    parsed, tz = cron.parse_cron(expression), zone(timezone)
    return microseconds_each(
        lambda: [cron_instants.next_instant(parsed, tz, start) for start in STARTS], len(STARTS)
    )


def cached(expression: str, timezone: str) -> float:
    schedule = Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone)
    return microseconds_each(lambda: [next_fire_time(schedule, START) for _ in STARTS], len(STARTS))


def parsed(expression: str) -> float:
    # Leading zeros make equal expressions of different text, which the cache of parsed ones does not know.
    first, _, rest = expression.partition(" ")
    texts = [f"{first},{'0' * number}0 {rest}" for number in range(1, 101)]
    total = 0.0
    for text in texts:
        begun = time.process_time()
        cron.parse_cron(text)
        total += time.process_time() - begun
    return total / len(texts) * 1e6


def main() -> None:
    print(f"time zone data {tzdata_version()}, µs of the processor per fire time")
    print(f"{'expression':<18}{'zone':<22}{'computed':>10}{'cached':>10}{'parsed':>10}")
    for expression in EXPRESSIONS:
        reading = parsed(expression)
        for timezone in ZONES:
            shown = f"{computed(expression, timezone):>10.1f}{cached(expression, timezone):>10.2f}{reading:>10.0f}"
            print(f"{expression:<18}{timezone:<22}{shown}")


if __name__ == "__main__":
    main()
