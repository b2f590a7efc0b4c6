"""The schedule of a definition: from the fields a user gives to a checked Schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webhookcron.core.executions import MILLISECOND
from webhookcron.core.intervals import MAX_INTERVAL_VALUES, IntervalUnit
from webhookcron.core.schedules import (
    Schedule,
    ScheduleType,
    next_fire_time,
    resolve_wall_time,
    validate_cron_expression,
)
from webhookcron.core.zones import zone
from webhookcron.service.errors import FieldErrors

FIELDS_BY_TYPE = {
    ScheduleType.CRON: ("cron_expression",),
    ScheduleType.INTERVAL: ("interval", "interval_value"),
    ScheduleType.ONCE: ("run_at", "delay_ms"),
}
"""Which fields name the fire times of which type of schedule."""

_MISSING = "a schedule is needed: cronExpression, interval and intervalValue, runAt, or delayMs"


@dataclass(frozen=True, slots=True)
class ScheduleContext:
    """What a schedule is judged against.

    now               platform time.
    default_timezone  the zone of schedules that name none.
    grace             how far in the past a `runAt` may lie and still fire at once.
    stored            the job's present schedule; a schedule that says the same is taken as it is, however old.
    """

    now: datetime
    default_timezone: str
    grace: timedelta
    stored: Schedule | None = None


def schedule_from_fields(
    values: Mapping[str, Any], context: ScheduleContext, errors: FieldErrors
) -> Schedule | None:
    """The schedule of `values`; None when something was wrong, which `errors` then tells.

    Fields that are absent or None have their defaults. A schedule that never fires (again) is refused, unless it is
    the stored one.
    """
    given = {name: value for name, value in values.items() if value is not None}
    timezone = given.get("timezone", context.default_timezone)
    type_ = _type_of(given, errors)
    zone_is_known = _check_zone(timezone, errors)
    if not zone_is_known and type_ is ScheduleType.CRON:
        # The expression needs no zone to be judged: one answer tells both.
        _cron_rule(given, timezone, context, errors)
    if not zone_is_known or type_ is None:
        return None
    bounds: dict[str, Any] = {"start_at": given.get("start_at"), "end_at": given.get("end_at")}
    if bounds["start_at"] and bounds["end_at"] and bounds["end_at"] < bounds["start_at"]:
        errors.add("end_at", "endAt must not lie before startAt")
        return None
    rule = _RULES[type_](given, timezone, context, errors)
    if rule is None:
        return None
    try:
        schedule = Schedule(type=type_, timezone=timezone, **rule, **bounds)
    except ValueError as error:
        errors.add(FIELDS_BY_TYPE[type_][0], error)
        return None
    if schedule == context.stored:
        return context.stored
    return schedule if _fires(schedule, context, errors) else None


def _type_of(given: Mapping[str, Any], errors: FieldErrors) -> ScheduleType | None:
    types = [type_ for type_, names in FIELDS_BY_TYPE.items() if any(name in given for name in names)]
    wanted = ScheduleType(given["schedule_type"]) if "schedule_type" in given else None
    if not types:
        errors.add(FIELDS_BY_TYPE[wanted][0] if wanted else "schedule_type", _MISSING)
        return None
    type_ = wanted if wanted in types else types[0]
    for other in types:
        if other is not type_:
            names = [name for name in FIELDS_BY_TYPE[other] if name in given]
            errors.add(names[0], f"does not go together with a schedule of type {type_.value}: give only one")
    if wanted is not None and wanted is not type_:
        errors.add(
            "schedule_type", f"is {wanted.value}, but the fields given are those of type {type_.value}"
        )
    if "run_at" in given and "delay_ms" in given:
        errors.add("delay_ms", "does not go together with runAt: give only one")
    failed = len(types) > 1 or (wanted is not None and wanted is not type_)
    return None if failed or "delay_ms" in errors else type_


def _check_zone(timezone: str, errors: FieldErrors) -> bool:
    try:
        zone(timezone)
    except ValueError as error:
        errors.add("timezone", error)
        return False
    return True


def _cron_rule(
    given: Mapping[str, Any], timezone: str, context: ScheduleContext, errors: FieldErrors
) -> dict[str, Any] | None:
    expression = given["cron_expression"]
    if context.stored is not None and expression == context.stored.cron_expression:
        return {"cron_expression": expression}
    try:
        validate_cron_expression(expression)
    except ValueError as error:
        errors.add("cron_expression", error)
        return None
    return {"cron_expression": " ".join(expression.split())}


def _interval_rule(
    given: Mapping[str, Any], timezone: str, context: ScheduleContext, errors: FieldErrors
) -> dict[str, Any] | None:
    if "interval" not in given or "interval_value" not in given:
        missing = "interval_value" if "interval" in given else "interval"
        errors.add(
            missing, "interval and intervalValue are needed together, such as every 5 (value) minute (unit)"
        )
        return None
    unit, value = IntervalUnit(given["interval"]), given["interval_value"]
    highest = MAX_INTERVAL_VALUES[unit]
    if not 1 <= value <= highest:
        errors.add("interval_value", f"must be a whole number from 1 to {highest} for the unit {unit.value}")
        return None
    start_at = given.get("start_at")
    if start_at is not None:
        anchor, fires = start_at, True
    else:
        anchor, fires = _kept_anchor(unit, value, timezone, context.stored) or context.now, False
    return {"interval": unit, "interval_value": value, "anchor_at": anchor, "anchor_fires": fires}


def _kept_anchor(unit: IntervalUnit, value: int, timezone: str, stored: Schedule | None) -> datetime | None:
    """The anchor of a stored interval that this one continues; None when it is another one."""
    if stored is None or stored.anchor_fires:
        return None
    same = (stored.interval, stored.interval_value, stored.timezone) == (unit, value, timezone)
    return stored.anchor_at if same else None


def _once_rule(
    given: Mapping[str, Any], timezone: str, context: ScheduleContext, errors: FieldErrors
) -> dict[str, Any] | None:
    if "delay_ms" in given:
        return {"run_at": context.now + timedelta(milliseconds=given["delay_ms"])}
    run_at: datetime = given["run_at"]
    if run_at.tzinfo is None:
        try:
            run_at = resolve_wall_time(run_at, timezone)
        except ValueError as error:
            errors.add("run_at", error)
            return None
    return {"run_at": run_at}


_RULES = {
    ScheduleType.CRON: _cron_rule,
    ScheduleType.INTERVAL: _interval_rule,
    ScheduleType.ONCE: _once_rule,
}


def first_cursor(schedule: Schedule, now: datetime) -> datetime:
    """The cursor with which a new schedule starts: now, or just before a `runAt` that is not later than now."""
    if schedule.run_at is not None and schedule.run_at <= now:
        return schedule.run_at - MILLISECOND
    return now


def _fires(schedule: Schedule, context: ScheduleContext, errors: FieldErrors) -> bool:
    now = context.now
    if schedule.run_at is not None and schedule.run_at < now - context.grace:
        errors.add(
            "run_at",
            "lies in the past, by more than the grace of the job (misfireGraceMs, "
            f"{int(context.grace.total_seconds() * 1000)} ms): it would never fire",
        )
        return False
    if schedule.end_at is not None and schedule.end_at < now and schedule.type is not ScheduleType.ONCE:
        errors.add("end_at", "lies in the past: the schedule would never fire")
        return False
    if next_fire_time(schedule, first_cursor(schedule, now)) is not None:
        return True
    if schedule.start_at is not None or schedule.end_at is not None:
        errors.add(
            "end_at" if schedule.end_at is not None else "start_at",
            "the schedule has no fire time left between startAt (or now) and endAt",
        )
    else:
        errors.add(FIELDS_BY_TYPE[schedule.type][0], "the schedule never fires")
    return False
