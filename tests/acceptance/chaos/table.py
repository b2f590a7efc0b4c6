"""The result of a chaos run as a table in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from checks import Result
from faults import Kind

MOST_SHOWN = 20


def table(
    *, seed: int, seconds: float, jobs: int, faults: Mapping[Kind, int], edits: Counter[str], result: Result
) -> str:
    """One row per figure."""
    stops = [faults.get(kind, 0) for kind in (Kind.STOP_SHORT, Kind.STOP_LONG, Kind.STOP_LEASE)]
    restarts = faults.get(Kind.RESTART_REDIS, 0), faults.get(Kind.RESTART_STORE, 0)
    skipped = ", ".join(f"{reason} {count}" for reason, count in sorted(result.skipped.items()))
    changes = ", ".join(f"{change} {count}" for change, count in sorted(edits.items()))
    rows = [
        ("seed", seed),
        ("seconds of faults", f"{seconds:.0f}"),
        ("jobs", jobs),
        ("faults", sum(faults.values())),
        ("· kills (SIGKILL)", faults.get(Kind.KILL, 0)),
        ("· stops (SIGSTOP) short, beyond the lock, beyond the lease", ", ".join(map(str, stops))),
        ("· ends (SIGTERM)", faults.get(Kind.TERM, 0)),
        ("· flushes (FLUSHALL)", faults.get(Kind.FLUSH, 0)),
        ("· restarts (kill -9) of Redis, of the store", ", ".join(map(str, restarts))),
        ("· outages and stalls of a store", f"{faults.get(Kind.OUTAGE, 0)}, {faults.get(Kind.STALL, 0)}"),
        ("edits", f"{sum(edits.values())} ({changes})"),
        ("fire times expected", result.expected),
        ("executions", result.executions),
        ("· delivered", result.delivered),
        ("· failed after all attempts", result.failed),
        ("· skipped, by reason", f"{sum(result.skipped.values())} ({skipped})" if skipped else 0),
        ("· cancelled", result.cancelled),
        ("calls at the receiver", result.calls),
        ("· repeats of delivered ones", result.repeats),
        ("attempts lost with a worker", result.lost_attempts),
        ("fire times that ran while their rule was being changed", result.beside_change),
        ("**lost**", f"**{len(result.lost)}**"),
        ("**doubled executions**", f"**{len(result.doubled)}**"),
        ("other findings", len(result.problems)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def findings(result: Result) -> str:
    """Everything that must not be, the first of each kind."""
    lines: list[str] = []
    for title, found in (("lost", result.lost), ("doubled", result.doubled), ("finding", result.problems)):
        lines += [f"{title}: {text}" for text in found[:MOST_SHOWN]]
        if len(found) > MOST_SHOWN:
            lines.append(f"{title}: … and {len(found) - MOST_SHOWN} more")
    return "\n".join(lines)
