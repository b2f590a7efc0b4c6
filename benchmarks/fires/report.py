"""Rows of figures as text: one line each, and a table of medians."""

from __future__ import annotations

import statistics
import sys
from typing import Any

_ROLES = ("ticker", "worker", "redis", "store")

_LAGS = ("lag_p50_ms", "lag_p99_ms", "lag_max_ms")


def line(row: dict[str, Any]) -> str:
    """A row of figures in one line."""
    parts = [f"{row['workload']:>6}"]
    for key, value in row.items():
        if key in ("workload", "run"):
            continue
        if isinstance(value, dict):
            value = " ".join(f"{role}={figure}" for role, figure in value.items())
            parts.append(f"{key}[{value}]")
        else:
            parts.append(f"{key}={value}")
    return "  ".join(parts)


def print_medians(results: list[dict[str, Any]]) -> None:
    """The medians over the runs of each workload, CPU split by process; the receiver's own cost beside them."""
    groups: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    for row in results:
        if "cpu_ms_per_fire" in row and "lag_p50_ms" in row:
            groups.setdefault((row["workload"], (row["jobs"], row.get("hanging", 0))), []).append(row)
    if not groups:
        return
    columns = ("runs", "fires/s", "p50 ms", "p99 ms", "max ms", *_ROLES, "but store", "missing", "double")
    print(f"\n{'workload':>8} {'jobs':>6} " + " ".join(f"{column:>9}" for column in columns))
    for (workload, (jobs, hanging)), rows in groups.items():
        lags = [statistics.median(row[name] or 0 for row in rows) for name in _LAGS]
        cpu = [statistics.median(row["cpu_ms_per_fire"].get(role, 0) for row in rows) for role in _ROLES]
        all_cpu = [
            (sum(row["cpu_ms_per_fire"].values()), row["cpu_ms_per_fire"].get("store", 0)) for row in rows
        ]
        cpu.append(statistics.median(everything - store for everything, store in all_cpu))
        cells = [f"{len(rows):>9}", f"{statistics.median(row['fires_per_second'] for row in rows):>9.0f}"]
        cells += [f"{lag:>9.1f}" for lag in lags] + [f"{figure:>9.3f}" for figure in cpu]
        cells += [f"{sum(row[name] for row in rows):>9}" for name in ("missing", "duplicates")]
        print(
            f"{workload:>8} {jobs:>6} " + " ".join(cells) + (f"  beside {hanging} hanging" if hanging else "")
        )
    print("CPU is in ms per fire, by process; `but store` is all of it without the store.")
    receiver = statistics.median(row["receiver_cpu_ms_per_fire"] for rows in groups.values() for row in rows)
    if receiver:
        print(
            f"The receiver took {receiver:.3f} ms of CPU a call: it could take {1000 / receiver:,.0f} a second."
        )


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
