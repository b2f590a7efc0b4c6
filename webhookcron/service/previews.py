"""What a schedule will do: its next fire times, in words, and the clock changes that touch it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webhookcron.core.clock_changes import ClockChangeNote, clock_change_notes
from webhookcron.core.executions import MILLISECOND
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.core.schedule_words import describe
from webhookcron.core.schedules import LAST_MOMENT, Schedule, ScheduleType, fire_times_between
from webhookcron.core.zones import zone
from webhookcron.service.errors import FieldErrors
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.policy_fields import DEFAULTS
from webhookcron.service.principals import Principal
from webhookcron.service.schedule_fields import ScheduleContext, first_cursor, schedule_from_fields

MAX_COUNT = 100

CLOCK_CHANGES_WITHIN = timedelta(days=366)
"""How far ahead clock changes are told: each zone has those of a year within it."""


@dataclass(frozen=True, slots=True)
class FireTime:
    """One fire time."""

    utc: datetime
    local: datetime
    """The same instant in the zone of the schedule."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a schedule will do."""

    schedule: Schedule
    description: str
    """One English sentence."""
    fire_times: list[FireTime]
    """Earliest first; fewer than asked for when the schedule is over then."""
    clock_changes: list[ClockChangeNote]
    """Those within a year that skip, double or move runs."""


class PreviewService:
    """Answers about schedules. Methods may raise TickSourceUnavailable (platform time was never known)."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def of_fields(self, values: Mapping[str, Any], *, start: datetime | None, count: int) -> Preview:
        """The preview of a schedule that is not saved; `start` None = now. Raises Invalid."""
        now = stored_now(self._platform.clock)
        errors = FieldErrors()
        schedule = schedule_from_fields(
            values,
            ScheduleContext(
                now=now,
                default_timezone=self._platform.settings.timezone,
                grace=timedelta(milliseconds=DEFAULTS.misfire_grace_ms),
            ),
            errors,
        )
        errors.raise_if_any()
        assert schedule is not None
        if start is None:
            return preview(schedule, first_cursor(schedule, now), count)
        return preview(schedule, start - MILLISECOND, count)

    def of_job(self, principal: Principal, job_id: str, *, count: int) -> Preview:
        """The next fire times of a job; for a paused or disabled one those it would have, resumed now.

        Raises NotFound and StoreUnavailable.
        """
        job = self._platform.jobs.get(job_id, owner_id=principal.owner_filter)
        now = stored_now(self._platform.clock)
        left = _runs_left(job)
        return preview(job.schedule, _shown_after(job, now), count if left is None else min(count, left))


def preview(schedule: Schedule, after: datetime, count: int) -> Preview:
    """The first `count` fire times of `schedule` strictly after `after`, and what is to be said about it."""
    tz = zone(schedule.timezone)
    moments = fire_times_between(schedule, after, LAST_MOMENT, count)
    changes_until = min(after, LAST_MOMENT - CLOCK_CHANGES_WITHIN) + CLOCK_CHANGES_WITHIN
    return Preview(
        schedule=schedule,
        description=describe(schedule),
        fire_times=[FireTime(moment, moment.astimezone(tz)) for moment in moments],
        clock_changes=clock_change_notes(schedule, after, changes_until),
    )


def _shown_after(job: Job, now: datetime) -> datetime:
    """The moment after which next fire times are shown: one that still waits for its jitter comes first."""
    if job.status is not JobStatus.ACTIVE:
        return now
    if job.schedule.type is ScheduleType.ONCE:
        return job.handled_through
    return max(job.handled_through, now - timedelta(milliseconds=job.policies.jitter_ms))


def _runs_left(job: Job) -> int | None:
    if job.status is JobStatus.COMPLETED:
        return 0
    max_runs = job.policies.max_runs
    return None if max_runs is None else max(0, max_runs - job.scheduled_runs)
