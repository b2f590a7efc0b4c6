"""What a change of a job does to real fire times, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from webhookcron.core.jobs import Job
from webhookcron.core.schedules import Schedule, ScheduleType, count_fire_times, next_fire_time
from webhookcron.core.zones import zone
from webhookcron.service.definitions import Definition
from webhookcron.service.schedule_fields import first_cursor

COUNTED_DAYS = 7
MAX_COUNTED = 1_000_000
"""More fire times than this in a week (one a second makes 604,800) are not told apart."""


def effects_of_creation(definition: Definition, *, active: bool, now: datetime) -> list[str]:
    """What comes of a new job."""
    if not active:
        return ["it starts paused: no runs until it is resumed"]
    schedule = definition.schedule
    first = next_fire_time(schedule, first_cursor(schedule, now))
    # Counted from a creation that is still to come.
    about = "about " if schedule.type is ScheduleType.INTERVAL and not schedule.anchor_fires else ""
    return [f"first run at {about}{_told(first, schedule)}", *_spread(definition)]


def effects_of_change(
    current: Mapping[str, Any], stored: Job, definition: Definition, *, active: bool | None, now: datetime
) -> list[str]:
    """What comes of replacing the definition of a job, shown as `current`, by another.

    `active` is the file's `isActive`; None = it stays as it is.
    """
    status = current["status"]
    old, new = stored.schedule, definition.schedule
    before = stored.next_run_at
    moved = _moves(current, stored, definition)
    paused = active is False or (active is None and status == "paused")
    if status == "disabled" and active is not False:
        return [f"it stays disabled ({current.get('statusReason') or 'by the platform'}) until it is resumed"]
    if paused:
        if status == "paused":
            return ["it stays paused"]
        lost = f": the run at {_told(before, old)} will not happen" if before else ""
        return [f"it is paused{lost}"]
    after = _next_under(current, stored, definition, moved, now)
    if status == "paused":
        return [f"it is resumed; next run at {_told(after, new)}"]
    if not moved:
        return []
    lines = []
    if status == "completed":
        lines.append("it is active again")
    if before == after:
        lines.append(f"next run stays at {_told(after, new)}")
    elif before is None:
        lines.append(f"next run at {_told(after, new)}")
    elif after is None:
        lines.append(f"the run at {_told(before, old)} will not happen, and there is none after it")
    else:
        lines.append(f"next run moves from {_told(before, old)} to {_told(after, new)}")
    lines += _frequency(old, new, now)
    if definition.policies.max_runs is not None:
        lines.append(f"maxRuns counts anew: {definition.policies.max_runs} runs from now on")
    if current.get("jitterMs") != definition.policies.jitter_ms:
        lines += _spread(definition) or ["runs act at their fire times, without spread"]
    return lines


def effects_of_deletion(current: Mapping[str, Any], stored: Job) -> list[str]:
    """What comes of deleting the job shown as `current`."""
    if stored.next_run_at is None or current["status"] != "active":
        return ["it has no run ahead; its log stays until its retention ends"]
    return [
        f"the run at {_told(stored.next_run_at, stored.schedule)} will not happen",
        "queued and retrying executions are cancelled; its log stays until its retention ends",
    ]


def moment_words(moment: datetime, timezone: str) -> str:
    """`Mon 2030-01-07 09:00 +01:00`: weekday, date, time and offset in a zone; seconds only where there are some."""
    local = moment.astimezone(zone(timezone))
    precision = "milliseconds" if local.microsecond >= 1000 else "seconds" if local.second else "minutes"
    text = local.isoformat(" ", precision)
    # Offsets of today's zones are whole minutes; older ones have seconds, which isoformat writes.
    date_and_time, offset = (text[:-6], text[-6:]) if text[-3] == ":" and text[-6] in "+-" else (text, "")
    return f"{local:%a} {date_and_time} {offset}".rstrip()


def _told(moment: datetime | None, schedule: Schedule) -> str:
    return "no moment ahead" if moment is None else moment_words(moment, schedule.timezone)


def _spread(definition: Definition) -> list[str]:
    jitter = definition.policies.jitter_ms
    return [f"runs act up to {jitter / 1000:g} s after their fire times"] if jitter else []


def _moves(current: Mapping[str, Any], stored: Job, definition: Definition) -> bool:
    """Whether fire times start anew, by the platform's rule: schedule, maxRuns or jitterMs differ."""
    return (
        not _same_rule(stored.schedule, definition.schedule)
        or (stored.schedule.start_at, stored.schedule.end_at)
        != (definition.schedule.start_at, definition.schedule.end_at)
        or current.get("maxRuns") != definition.policies.max_runs
        or current.get("jitterMs") != definition.policies.jitter_ms
    )


def _same_rule(old: Schedule, new: Schedule) -> bool:
    """Whether both name the same fire times, start and end aside; an anchor that nobody named does not count."""

    def rule(schedule: Schedule) -> tuple[Any, ...]:
        named = schedule.anchor_at if schedule.anchor_fires else None
        return (
            schedule.type,
            schedule.timezone,
            schedule.cron_expression,
            schedule.interval,
            schedule.interval_value,
            named,
            schedule.run_at,
        )

    return rule(old) == rule(new)


def _next_under(
    current: Mapping[str, Any], stored: Job, definition: Definition, moved: bool, now: datetime
) -> datetime | None:
    """The next fire time under `definition`; where the rule stays, the platform's own word."""
    if not moved and current["status"] != "paused":
        return stored.next_run_at
    schedule = definition.schedule
    kept_anchor = schedule.type is ScheduleType.INTERVAL and not schedule.anchor_fires
    if kept_anchor and _same_rule(stored.schedule, schedule) and stored.next_run_at is not None:
        upcoming = stored.next_run_at
        return None if schedule.end_at is not None and upcoming > schedule.end_at else upcoming
    return next_fire_time(schedule, first_cursor(schedule, now))


def _frequency(old: Schedule, new: Schedule, now: datetime) -> list[str]:
    until = now + timedelta(days=COUNTED_DAYS)
    before, after = (count_fire_times(schedule, now, until, MAX_COUNTED) for schedule in (old, new))
    if before == after:
        return []
    return [f"{after:,} run{'s' * (after != 1)} in the next {COUNTED_DAYS} days instead of {before:,}"]
