"""Schedules: the rules that yield fire times. This is the module that other packages import.

A schedule is a set of instants. Nothing here reads a clock: every function takes the moment it is
asked about. Moments passed in are aware, in any zone; moments returned are aware UTC, except those of
`next_fire_times`. docs/time.md tells the rule for clock changes and why it was chosen.
"""

import functools
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from webhookcron.core import cron_instants
from webhookcron.core.cron import FIRST_YEAR, LAST_YEAR, parse_cron
from webhookcron.core.intervals import MAX_INTERVAL_VALUES, Interval, IntervalUnit, is_elapsed, next_elapsed
from webhookcron.core.wallclock import first_instant
from webhookcron.core.zones import zone

__all__ = [
    "LAST_MOMENT",
    "MAX_INTERVAL_VALUES",
    "IntervalUnit",
    "Schedule",
    "ScheduleType",
    "count_fire_times",
    "fire_times_between",
    "interval_of",
    "is_fire_time",
    "jittered",
    "latest_fire_time",
    "next_fire_time",
    "next_fire_times",
    "previous_fire_time",
    "resolve_wall_time",
    "validate_cron_expression",
]

# The most fire times that one call of `next_fire_times` lists.
MAX_LISTED_FIRE_TIMES = 10_000

_TICK = timedelta(microseconds=1)
# Moments beyond these mean "since ever" and "for ever": no offset can be applied at the very ends.
_EARLIEST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(LAST_YEAR, 12, 31, tzinfo=UTC)
"""No fire time is later."""


class ScheduleType(StrEnum):
    """How a schedule names its fire times."""

    # By a cron expression, on the wall clock of a zone.
    CRON = "cron"
    # Every so many units from an anchor.
    INTERVAL = "interval"
    # At one instant.
    ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule for fire times, checked when it is made: ValueError says in one sentence what is wrong.

    Which of `cron_expression`, `interval` with `interval_value` and `anchor_at`, and `run_at` must be
    given follows from `type`; those of another type must be None.
    """

    type: ScheduleType
    # IANA name: the zone of cron expressions and of intervals from the day on.
    timezone: str = "UTC"
    cron_expression: str | None = None
    interval: IntervalUnit | None = None
    # Units per interval, from 1 to MAX_INTERVAL_VALUES.
    interval_value: int | None = None
    # The instant from which intervals are counted.
    anchor_at: datetime | None = None
    # Whether the anchor itself is a fire time; else the first one is an interval later.
    anchor_fires: bool = False
    # The one fire time of ScheduleType.ONCE.
    run_at: datetime | None = None
    # No fire time is earlier than this; one that equals it counts. None: no bound.
    start_at: datetime | None = None
    # No fire time is later than this; one that equals it counts. None: no bound.
    end_at: datetime | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.type, ScheduleType):
            raise ValueError("The type of a schedule must be cron, interval or once.")
        zone(self.timezone)
        for name in ("anchor_at", "run_at", "start_at", "end_at"):
            moment = getattr(self, name)
            if moment is not None:
                _require_aware(moment, name)
                if not _EARLIEST <= moment <= LAST_MOMENT:
                    raise ValueError(f"{name} must lie within the years {FIRST_YEAR} to {LAST_YEAR}.")
        given = {
            ScheduleType.CRON: self.cron_expression is not None,
            ScheduleType.INTERVAL: self.interval is not None
            or self.interval_value is not None
            or self.anchor_at is not None,
            ScheduleType.ONCE: self.run_at is not None,
        }
        foreign = [type_.value for type_, present in given.items() if present and type_ is not self.type]
        if foreign:
            raise ValueError(f"A schedule of type {self.type.value} takes no fields of type {foreign[0]}.")
        if self.type is ScheduleType.CRON:
            if self.cron_expression is None:
                raise ValueError("A schedule of type cron needs a cron expression.")
            parse_cron(self.cron_expression)
        elif self.type is ScheduleType.INTERVAL:
            self._checkinterval_of()
        elif self.run_at is None:
            raise ValueError("A schedule of type once needs the moment to run at.")

    def _checkinterval_of(self) -> None:
        if self.interval is None or self.interval_value is None or self.anchor_at is None:
            raise ValueError("A schedule of type interval needs an interval, its value and its anchor.")
        highest = MAX_INTERVAL_VALUES[self.interval]
        whole = isinstance(self.interval_value, int) and not isinstance(self.interval_value, bool)
        if not whole or not 1 <= self.interval_value <= highest:
            raise ValueError(
                f"The interval value must be a whole number from 1 to {highest} for the unit "
                f"{self.interval.value}."
            )


def next_fire_time(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first fire time strictly after `after`, or None when there is none any more."""
    after = _in_calendar(after)
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - _TICK)
    moment = _next_unbounded(schedule, after)
    end = LAST_MOMENT if schedule.end_at is None else schedule.end_at
    if moment is None or moment > end:
        return None
    return moment


def previous_fire_time(schedule: Schedule, before: datetime) -> datetime | None:
    """Return the last fire time strictly before `before`, or None when there was none."""
    return _latest_until(schedule, _in_calendar(before) - _TICK)


def latest_fire_time(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """Return the last fire time in (`after`, `until`], or None; takes as long for a year as for a second."""
    moment = _latest_until(schedule, _in_calendar(until))
    return moment if moment is not None and moment > after else None


def count_fire_times(schedule: Schedule, after: datetime, until: datetime, limit: int) -> int:
    """Return how many fire times are in (`after`, `until`], at most `limit`.

    Cron expressions and intervals of seconds, minutes and hours are counted by arithmetic; for other
    schedules the work grows with the answer, so `limit` bounds it.
    """
    after, until = _in_calendar(after), _in_calendar(until)
    if schedule.start_at is not None:
        after = max(after, schedule.start_at - _TICK)
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    if schedule.type is ScheduleType.CRON:
        assert schedule.cron_expression is not None
        expression = parse_cron(schedule.cron_expression)
        return min(limit, cron_instants.count_instants(expression, zone(schedule.timezone), after, until))
    if schedule.type is ScheduleType.INTERVAL and is_elapsed(interval_of(schedule).unit):
        return min(limit, interval_of(schedule).count(after, until))
    return len(fire_times_between(schedule, after, until, limit))


def fire_times_between(schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """Return the fire times in (`after`, `until`], earliest first, at most `limit` of them."""
    found: list[datetime] = []
    while len(found) < limit:
        moment = next_fire_time(schedule, after)
        if moment is None or moment > until:
            break
        found.append(moment)
        after = moment
    return found


def is_fire_time(schedule: Schedule, moment: datetime) -> bool:
    """Whether `moment` is exactly a fire time of the schedule."""
    return next_fire_time(schedule, moment - _TICK) == moment


def next_fire_times(expression: str, timezone: str, start: datetime, count: int) -> list[datetime]:
    """Return the first `count` fire times of a cron expression strictly after `start`.

    They are aware datetimes in the zone called `timezone`, earliest first; fewer than `count` only
    when the calendar ends (year 9998). Raises ValueError with a readable message of at most 300
    characters for whatever is refused: expression, zone, a `start` without offset, a `count` that is
    not from 1 to 10,000, and an expression that this zone's clock changes always skip.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_LISTED_FIRE_TIMES:
        raise ValueError(f"The count must be a whole number from 1 to {MAX_LISTED_FIRE_TIMES}.")
    _require_aware(start, "start")
    schedule = Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone)
    tz = zone(timezone)
    found = fire_times_between(schedule, start, LAST_MOMENT, count)
    if not found:
        raise ValueError("The cron expression does not fire after this moment in this time zone.")
    return [moment.astimezone(tz) for moment in found]


def validate_cron_expression(expression: str) -> str:
    """Return the expression with single blanks, names in upper case and macros written out.

    Raises ValueError with a readable message of at most 300 characters when it is refused.
    """
    return parse_cron(expression).text


def resolve_wall_time(naive: datetime, timezone: str) -> datetime:
    """Return the instant, aware UTC, that the bare wall time `naive` means in a zone.

    A wall time that a clock change skips is the end of the gap; one that happens twice is the first.
    Raises ValueError for an unknown zone, an aware datetime, and one at the edge of the calendar.
    """
    if naive.tzinfo is not None:
        raise ValueError("The wall time must have no offset from UTC.")
    if not _EARLIEST <= naive.replace(tzinfo=UTC) <= LAST_MOMENT:
        raise ValueError(f"The wall time must lie within the years {FIRST_YEAR} to {LAST_YEAR}.")
    return first_instant(naive.replace(fold=0), zone(timezone))


def jittered(job_id: str, fire_time: datetime, jitter_ms: int) -> datetime:
    """Return `fire_time` shifted by 0 to `jitter_ms` milliseconds, the ends included.

    The shift is a hash of job and fire time: every ticker computes the same one, now and later.
    """
    if jitter_ms <= 0:
        return fire_time
    milliseconds = (fire_time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    digest = hashlib.blake2b(f"{job_id}:{milliseconds}".encode(), digest_size=8).digest()
    shift = int.from_bytes(digest) % (jitter_ms + 1)
    return fire_time + timedelta(milliseconds=shift)


def _next_unbounded(schedule: Schedule, after: datetime) -> datetime | None:
    if schedule.type is ScheduleType.CRON:
        assert schedule.cron_expression is not None
        # Cron fire times are whole seconds, so all of one second share an answer.
        return _next_cron(schedule.cron_expression, schedule.timezone, after.replace(microsecond=0))
    if schedule.type is ScheduleType.INTERVAL:
        unit, value, anchor = schedule.interval, schedule.interval_value, schedule.anchor_at
        if unit is not None and value is not None and anchor is not None and is_elapsed(unit):
            # Where jobs fire most often: without an object for each look.
            return next_elapsed(unit, value, anchor.astimezone(UTC), 0 if schedule.anchor_fires else 1, after)
        return interval_of(schedule).next_instant(after)
    assert schedule.run_at is not None
    return schedule.run_at.astimezone(UTC) if schedule.run_at > after else None


def _latest_until(schedule: Schedule, until: datetime) -> datetime | None:
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    moment: datetime | None
    if schedule.type is ScheduleType.CRON:
        assert schedule.cron_expression is not None
        expression = parse_cron(schedule.cron_expression)
        moment = cron_instants.latest_instant(expression, zone(schedule.timezone), until)
    elif schedule.type is ScheduleType.INTERVAL:
        moment = interval_of(schedule).latest_instant(until)
    else:
        assert schedule.run_at is not None
        moment = schedule.run_at.astimezone(UTC) if schedule.run_at <= until else None
    if moment is None or (schedule.start_at is not None and moment < schedule.start_at):
        return None
    return moment


@functools.lru_cache(maxsize=65_536)
def _next_cron(expression: str, timezone: str, after: datetime) -> datetime | None:
    """Return the next fire time; cached, because many jobs share an expression and fire together."""
    return cron_instants.next_instant(parse_cron(expression), zone(timezone), after)


def interval_of(schedule: Schedule) -> Interval:
    """Return the arithmetic of a schedule of type interval."""
    assert schedule.interval is not None
    assert schedule.interval_value is not None
    assert schedule.anchor_at is not None
    return Interval(
        unit=schedule.interval,
        value=schedule.interval_value,
        anchor=schedule.anchor_at.astimezone(UTC),
        first=0 if schedule.anchor_fires else 1,
        tz=zone(schedule.timezone),
    )


def _require_aware(moment: datetime, name: str) -> None:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ValueError(f"{name} must be a moment with its offset from UTC.")


def _in_calendar(moment: datetime) -> datetime:
    """Return `moment` in UTC, moved to where Python can compute with every offset."""
    if moment <= _EARLIEST:
        return _EARLIEST
    return min(moment, LAST_MOMENT).astimezone(UTC)
