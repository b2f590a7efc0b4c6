"""Which jobs fire within the hour: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from webhookcron.core.jobs import Job
from webhookcron.core.schedules import fire_times_between

LENGTH = timedelta(hours=1)

MOST_PER_JOB = 3_600
"""A job fires once a second at most."""

MOST = 20_000
"""Fires that are looked at: a picture needs no more."""


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire time to come."""

    at: datetime
    job: Job


@dataclass(frozen=True, slots=True)
class ComingHour:
    """The fire times of the hour from `starts_at` on, a whole minute."""

    starts_at: datetime
    fires: list[Fire]
    """The earliest first."""
    complete: bool
    """False when there were too many to look at all of them."""


def coming_hour(jobs: Sequence[Job], now: datetime) -> ComingHour:
    """The fire times after `now` of active jobs, up to an hour after the minute of `now` began."""
    starts_at = now.replace(second=0, microsecond=0)
    fires: list[Fire] = []
    for job in jobs:
        if job.next_run_at is None or job.next_run_at > starts_at + LENGTH:
            continue
        room = min(MOST_PER_JOB, MOST - len(fires))
        if room <= 0:
            break
        moments = fire_times_between(job.schedule, now, starts_at + LENGTH, room)
        fires += [Fire(moment, job) for moment in moments]
    fires.sort(key=lambda fire: fire.at)
    return ComingHour(starts_at, fires, len(fires) < MOST)
