"""Minutes of its own for each job, so that not all of them come at the full hour."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from webhookcron.core.cron import parse_cron
from webhookcron.simulation.load import Load, SimulatedJob

CROWDED = 1.5
"""A minute of the hour is crowded from this multiple of the mean on."""

_SINGLE = re.compile(r"[0-9]{1,2}")
_STEP = re.compile(r"\*/([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another minute for one job."""

    job: SimulatedJob
    expression: str
    """Its cron expression with that minute; hours, days and how often it runs stay."""


def suggested_offsets(jobs: Iterable[SimulatedJob], load: Load) -> list[Suggestion]:
    """Other minutes for the jobs that fire in crowded minutes of the hour.

    Each is a hash of the job's `seed`: the same job always gets the same minute, whatever other jobs there are. Only
    expressions with one minute (`0 9 * * 1`), or with every so many minutes of every hour (`*/15 * * * *`), are moved.
    """
    if load.peak <= 1:
        # No two executions ever share a minute: there is nothing to spread.
        return []
    counts = load.by_minute_of_hour()
    crowded = {
        minute for minute, count in enumerate(counts) if count > CROWDED * load.total / 60 and count > 1
    }
    found = []
    for job in jobs:
        expression = _moved(job, crowded)
        if expression is not None:
            found.append(Suggestion(job, expression))
    return found


def with_suggestions(jobs: Sequence[SimulatedJob], suggestions: Iterable[Suggestion]) -> list[SimulatedJob]:
    """The jobs as they would be if all suggestions were followed."""
    moved = {
        id(suggestion.job): replace(
            suggestion.job,
            schedule=replace(suggestion.job.schedule, cron_expression=suggestion.expression),
        )
        for suggestion in suggestions
    }
    return [moved.get(id(job), job) for job in jobs]


def stable_offset(seed: str, modulus: int) -> int:
    """A number from 0 to `modulus` - 1 that `seed` always has."""
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest()) % modulus


def _moved(job: SimulatedJob, crowded: set[int]) -> str | None:
    if job.schedule.cron_expression is None:
        return None
    parsed = parse_cron(job.schedule.cron_expression)
    fields = parsed.text.split()
    at = 1 if parsed.has_seconds else 0
    minute, hour = fields[at], fields[at + 1]
    step = _STEP.fullmatch(minute)
    if _SINGLE.fullmatch(minute) and int(minute) in crowded:
        fields[at] = str(stable_offset(job.seed, 60))
    # Elsewhere `a-59/n` would be a fixed time where `*/n` is none: clock changes would treat it otherwise.
    elif (
        step and hour.startswith("*") and 0 in crowded and 2 <= int(step[1]) <= 30 and 60 % int(step[1]) == 0
    ):
        offset = stable_offset(job.seed, int(step[1]))
        fields[at] = f"{offset}-59/{step[1]}" if offset else minute
    expression = " ".join(fields)
    return expression if expression != parsed.text else None
