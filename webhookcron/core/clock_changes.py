"""Which clock changes touch a schedule, and what becomes of the runs: for previews.

The rule itself is in `cron_instants` and `intervals`; here it is told, change by change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webhookcron.core.cron import CronExpression, parse_cron
from webhookcron.core.intervals import is_elapsed
from webhookcron.core.schedules import Schedule, ScheduleType, interval_of
from webhookcron.core.wallclock import SECOND, ClockChange, ClockChangeKind, clock_changes, wall_reading
from webhookcron.core.zones import zone

# How many affected wall times a note lists; its count tells the rest.
_LISTED_WALL_TIMES = 5


class ClockChangeEffect(StrEnum):
    """What a clock change does to the runs whose wall times it skips or repeats."""

    # Gap, fixed time: they run once, together, at the end of the gap.
    MOVED = "moved"
    # Fold, fixed time: they run in the first pass only, once as on any day.
    FIRST_PASS_ONLY = "firstPassOnly"
    # Gap, wildcard: they do not run; the job goes on by the new time at once.
    SKIPPED = "skipped"
    # Fold, wildcard: they run in both passes.
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class ClockChangeNote:
    """One clock change that touches runs of a schedule."""

    # The first instant after the change, aware UTC.
    at: datetime
    kind: ClockChangeKind
    offset_before: timedelta
    offset_after: timedelta
    effect: ClockChangeEffect
    # The first few wall times (naive) of runs that the change skips or repeats, and how many there are.
    wall_times: tuple[datetime, ...]
    wall_time_count: int
    # All of this in English.
    sentence: str


def clock_change_notes(
    schedule: Schedule, start: datetime, until: datetime, limit: int = 20
) -> list[ClockChangeNote]:
    """Return the clock changes with `start` < at <= `until` that touch runs, earliest first.

    At most `limit` notes. Empty for zones without clock changes, and for schedules that do not follow
    the wall clock: once, and intervals up to the hour.
    """
    if schedule.type is ScheduleType.ONCE:
        return []
    if schedule.interval is not None and is_elapsed(schedule.interval):
        return []
    if schedule.start_at is not None:
        start = max(start, schedule.start_at)
    if schedule.end_at is not None:
        until = min(until, schedule.end_at)
    notes: list[ClockChangeNote] = []
    if until <= start:
        return notes
    for change in clock_changes(zone(schedule.timezone), start, until):
        if len(notes) >= limit:
            break
        wall_times, count = _affected(schedule, change)
        if count:
            notes.append(_note(schedule, change, wall_times, count))
    return notes


def _affected(schedule: Schedule, change: ClockChange) -> tuple[tuple[datetime, ...], int]:
    """Return the first wall times of runs that `change` skips or repeats, and how many there are."""
    if schedule.cron_expression is not None:
        expression = parse_cron(schedule.cron_expression)
        count = expression.count_wall_times(change.first_wall, change.end_wall)
        return _first_wall_times(expression, change), count
    # An interval of days or longer fires at the anchor's time of day, so at most once in a change:
    # none is longer than a day.
    assert schedule.anchor_at is not None
    time = wall_reading(schedule.anchor_at, zone(schedule.timezone)).time()
    wall = datetime.combine(change.first_wall.date(), time)
    if wall < change.first_wall:
        wall += timedelta(days=1)
    touched = wall < change.end_wall and interval_of(schedule).names_wall_time(wall)
    return ((wall,), 1) if touched else ((), 0)


def _first_wall_times(expression: CronExpression, change: ClockChange) -> tuple[datetime, ...]:
    found: list[datetime] = []
    wall = expression.next_wall_time(change.first_wall)
    while wall is not None and wall < change.end_wall and len(found) < _LISTED_WALL_TIMES:
        found.append(wall)
        wall = expression.next_wall_time(wall + SECOND)
    return tuple(found)


def _note(
    schedule: Schedule, change: ClockChange, wall_times: tuple[datetime, ...], count: int
) -> ClockChangeNote:
    fixed = schedule.cron_expression is None or parse_cron(schedule.cron_expression).fixed_time
    if change.kind is ClockChangeKind.GAP:
        effect = ClockChangeEffect.MOVED if fixed else ClockChangeEffect.SKIPPED
    else:
        effect = ClockChangeEffect.FIRST_PASS_ONLY if fixed else ClockChangeEffect.REPEATED
    return ClockChangeNote(
        at=change.at,
        kind=change.kind,
        offset_before=change.offset_before,
        offset_after=change.offset_after,
        effect=effect,
        wall_times=wall_times,
        wall_time_count=count,
        sentence=_sentence(schedule.timezone, change, effect, wall_times, count),
    )


def _sentence(
    timezone: str,
    change: ClockChange,
    effect: ClockChangeEffect,
    wall_times: tuple[datetime, ...],
    count: int,
) -> str:
    day = change.wall_before.date()

    def shown(wall: datetime) -> str:
        clock = wall.isoformat(" ", "seconds" if wall.second else "minutes")
        return clock if wall.date() != day else clock.partition(" ")[2]

    times = ", ".join(shown(wall) for wall in wall_times)
    if count > len(wall_times):
        times += f" and {count - len(wall_times)} more"
    one = count == 1
    after = shown(change.wall_after)
    match effect:
        case ClockChangeEffect.MOVED:
            what = f"{times} {'does' if one else 'do'} not happen; the job runs once, at {after}, instead"
        case ClockChangeEffect.SKIPPED:
            what = (
                f"{times} {'does' if one else 'do'} not happen; the job goes on by the new time from {after}"
            )
        case ClockChangeEffect.FIRST_PASS_ONLY:
            what = f"{times} {'happens' if one else 'happen'} twice; the job runs the first time only"
        case ClockChangeEffect.REPEATED:
            what = f"{times} {'happens' if one else 'happen'} twice; the job runs both times"
    direction = "forward" if change.kind is ClockChangeKind.GAP else "back"
    return (
        f"On {day.isoformat()} clocks in {timezone} go {direction} from {shown(change.wall_before)} "
        f"to {after}: {what}."
    )
