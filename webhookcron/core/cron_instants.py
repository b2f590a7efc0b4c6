"""The instants at which a cron expression fires in a zone: Debian cron's rule for clock changes.

cron(8) in Debian, "Daylight Saving Time and other time changes": jobs with a fixed time that a clock
change skips run right after it, and do not run twice when it repeats them; jobs with a wildcard in
the minute or hour follow the new time at once. (Debian's cron does so for changes below three hours;
here it holds for all.) So each expression is a set of instants:

- fixed time: `first_instant` of every matching wall time (several in one gap are one instant);
- wildcard: every instant whose wall time matches.

The functions here find or count elements of that set without enumerating it.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from webhookcron.core.cron import CronExpression
from webhookcron.core.wallclock import (
    SECOND,
    ClockChangeKind,
    clock_change_at,
    clock_changes,
    first_instant,
    wall_reading,
)

# A wildcard job may name only wall times that its zone skips, each year anew (`*/5 2 * 3 0L` in Berlin).
# No zone has more than two gaps a year, so this many in a row are at least 50 years without a fire time.
_MAX_GAPS_IN_A_ROW = 100


def next_instant(expression: CronExpression, tz: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first fire time strictly after the aware `after`, aware UTC; None when none comes."""
    reading = _whole_second(after, tz)
    wall = reading.replace(fold=0)
    if expression.fixed_time:
        return _next_fixed(expression, tz, wall, reading.fold)
    return _next_wildcard(expression, tz, wall, reading.fold)


def latest_instant(expression: CronExpression, tz: ZoneInfo, until: datetime) -> datetime | None:
    """Return the last fire time at or before the aware `until`, aware UTC; None when none was."""
    reading = _whole_second(until, tz)
    wall = reading.replace(fold=0)
    if expression.fixed_time:
        return _latest_fixed(expression, tz, wall, reading.fold)
    return _latest_wildcard(expression, tz, wall, reading.fold)


def count_instants(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    """Return how many fire times are in (`after`, `until`]; the work grows with the days between, slowly."""
    if until <= after:
        return 0
    return (_count_fixed if expression.fixed_time else _count_wildcard)(expression, tz, after, until)


def _next_fixed(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    candidate = expression.next_wall_time(_first_unserved(wall, fold, tz))
    return None if candidate is None else first_instant(candidate, tz)


def _latest_fixed(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    candidate = expression.previous_wall_time(_first_unserved(wall, fold, tz) - SECOND)
    return None if candidate is None else first_instant(candidate, tz)


def _count_fixed(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    start, end = (_whole_second(moment, tz) for moment in (after, until))
    count = expression.count_wall_times(
        _first_unserved(start.replace(fold=0), start.fold, tz),
        _first_unserved(end.replace(fold=0), end.fold, tz),
    )
    for change in clock_changes(tz, after, until):
        if change.kind is ClockChangeKind.GAP:
            together = expression.count_wall_times(change.first_wall, change.end_wall + SECOND)
            count -= max(0, together - 1)
    return count


def _first_unserved(wall: datetime, fold: int, tz: ZoneInfo) -> datetime:
    """Return the first wall time whose turn, as one of a fixed-time job, has not come at `wall`.

    In a second pass, all wall times up to the end of the fold had theirs in the first one.
    """
    if not fold:
        return wall + SECOND
    change = clock_change_at(wall, tz)
    assert change is not None
    return change.end_wall


def _next_wildcard(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    here = clock_change_at(wall, tz)
    candidate = expression.next_wall_time(wall + SECOND)
    if here is not None:
        # `wall` happens twice. Its own pass is looked through to the end of the fold.
        if candidate is not None and candidate < here.end_wall:
            return _instant_in_pass(candidate, tz, fold)
        if not fold:
            repeated = expression.next_wall_time(here.first_wall)
            if repeated is not None and repeated < here.end_wall:
                return _instant_in_pass(repeated, tz, fold=1)
    for _ in range(_MAX_GAPS_IN_A_ROW):
        if candidate is None:
            return None
        change = clock_change_at(candidate, tz)
        if change is None or change.kind is ClockChangeKind.FOLD:
            return _instant_in_pass(candidate, tz, fold=0)
        candidate = expression.next_wall_time(change.end_wall)
    return None


def _latest_wildcard(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    here = clock_change_at(wall, tz)
    candidate = expression.previous_wall_time(wall)
    if here is not None:
        if candidate is not None and candidate >= here.first_wall:
            return _instant_in_pass(candidate, tz, fold)
        if fold:
            first_pass = expression.previous_wall_time(here.end_wall - SECOND)
            if first_pass is not None and first_pass >= here.first_wall:
                return _instant_in_pass(first_pass, tz, fold=0)
    for _ in range(_MAX_GAPS_IN_A_ROW):
        if candidate is None:
            return None
        change = clock_change_at(candidate, tz)
        if change is None or change.kind is ClockChangeKind.FOLD:
            return _instant_in_pass(candidate, tz, fold=1)
        candidate = expression.previous_wall_time(change.first_wall - SECOND)
    return None


def _count_wildcard(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    count = 0
    start = _whole_second(after, tz).replace(fold=0) + SECOND
    for change in clock_changes(tz, after, until):
        count += expression.count_wall_times(start, change.wall_before)
        start = change.wall_after
    return count + expression.count_wall_times(start, _whole_second(until, tz).replace(fold=0) + SECOND)


def _whole_second(moment: datetime, tz: ZoneInfo) -> datetime:
    return wall_reading(moment, tz).replace(microsecond=0)


def _instant_in_pass(wall: datetime, tz: ZoneInfo, fold: int) -> datetime:
    offset = wall.replace(tzinfo=tz, fold=fold).utcoffset()
    assert offset is not None
    return (wall - offset).replace(tzinfo=UTC)
