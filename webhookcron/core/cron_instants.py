"""The instants at which a cron expression fires in a zone: Debian cron's rule for clock changes.

cron(8) in Debian, "Daylight Saving Time and other time changes": jobs with a fixed time that a clock
change skips run right after it, and do not run twice when it repeats them; jobs with a wildcard in
the minute or hour follow the new time at once. (Debian's cron does so for changes below three hours;
here it holds for all.) So each expression is a set of instants:

- fixed time: `first_instant` of every matching wall time (several in one gap are one instant);
- wildcard: every instant whose wall time matches.

The functions here find or count elements of that set without enumerating it.
"""

from datetime import datetime
from zoneinfo import ZoneInfo

from webhookcron.core.cron import CronExpression
from webhookcron.core.wallclock import (
    SECOND,
    ClockChangeKind,
    clock_change_at,
    clock_changes,
    first_instant,
    last_instant,
    wall_reading,
)

# A wildcard job may name only wall times that its zone skips, each year anew (`*/5 2 * 3 0L` in Berlin).
# No zone has more than two gaps a year, so this many in a row are at least 50 years without a fire time.
_MAX_GAPS_IN_A_ROW = 100


def next_instant(expression: CronExpression, tz: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first fire time strictly after the aware `after`, aware UTC; None when none comes."""
    if not expression.fixed_time:
        return _next_wildcard(expression, tz, after)
    candidate = expression.next_wall_time(_first_unserved(after, tz))
    return None if candidate is None else first_instant(candidate, tz)


def latest_instant(expression: CronExpression, tz: ZoneInfo, until: datetime) -> datetime | None:
    """Return the last fire time at or before the aware `until`, aware UTC; None when none was."""
    if not expression.fixed_time:
        return _latest_wildcard(expression, tz, until)
    candidate = expression.previous_wall_time(_first_unserved(until, tz) - SECOND)
    return None if candidate is None else first_instant(candidate, tz)


def count_instants(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    """Return how many fire times are in (`after`, `until`]; the work grows with the days between, slowly."""
    if until <= after:
        return 0
    return (_count_fixed if expression.fixed_time else _count_wildcard)(expression, tz, after, until)


def _first_unserved(moment: datetime, tz: ZoneInfo) -> datetime:
    """Return the first wall time whose turn, as one of a fixed-time job, has not come by `moment`.

    In a second pass, all wall times up to the end of the fold had theirs in the first one.
    """
    wall = _whole_second(moment, tz)
    fold = clock_change_at(wall, tz)
    return fold.end_wall if fold is not None and moment >= fold.at else wall + SECOND


def _count_fixed(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    count = expression.count_wall_times(_first_unserved(after, tz), _first_unserved(until, tz))
    for change in clock_changes(tz, after, until):
        if change.kind is ClockChangeKind.GAP:
            together = expression.count_wall_times(change.first_wall, change.end_wall + SECOND)
            count -= max(0, together - 1)
    return count


def _next_wildcard(expression: CronExpression, tz: ZoneInfo, after: datetime) -> datetime | None:
    wall = _whole_second(after, tz)
    candidate = expression.next_wall_time(wall + SECOND)
    fold = clock_change_at(wall, tz)
    if fold is not None:
        # `wall` happens twice. Its own pass is looked through to the end of the fold.
        second_pass = after >= fold.at
        if candidate is not None and candidate < fold.end_wall:
            return last_instant(candidate, tz) if second_pass else first_instant(candidate, tz)
        if not second_pass:
            repeated = expression.next_wall_time(fold.first_wall)
            if repeated is not None and repeated < fold.end_wall:
                return last_instant(repeated, tz)
    for _ in range(_MAX_GAPS_IN_A_ROW):
        if candidate is None:
            return None
        change = clock_change_at(candidate, tz)
        if change is None or change.kind is ClockChangeKind.FOLD:
            return first_instant(candidate, tz)
        candidate = expression.next_wall_time(change.end_wall)
    return None


def _latest_wildcard(expression: CronExpression, tz: ZoneInfo, until: datetime) -> datetime | None:
    wall = _whole_second(until, tz)
    candidate = expression.previous_wall_time(wall)
    fold = clock_change_at(wall, tz)
    if fold is not None:
        second_pass = until >= fold.at
        if candidate is not None and candidate >= fold.first_wall:
            return last_instant(candidate, tz) if second_pass else first_instant(candidate, tz)
        if second_pass:
            first_pass = expression.previous_wall_time(fold.end_wall - SECOND)
            if first_pass is not None and first_pass >= fold.first_wall:
                return first_instant(first_pass, tz)
    for _ in range(_MAX_GAPS_IN_A_ROW):
        if candidate is None:
            return None
        change = clock_change_at(candidate, tz)
        if change is None or change.kind is ClockChangeKind.FOLD:
            return last_instant(candidate, tz)
        candidate = expression.previous_wall_time(change.first_wall - SECOND)
    return None


def _count_wildcard(expression: CronExpression, tz: ZoneInfo, after: datetime, until: datetime) -> int:
    count = 0
    start = _whole_second(after, tz) + SECOND
    for change in clock_changes(tz, after, until):
        count += expression.count_wall_times(start, change.wall_before)
        start = change.wall_after
    return count + expression.count_wall_times(start, _whole_second(until, tz) + SECOND)


def _whole_second(moment: datetime, tz: ZoneInfo) -> datetime:
    return wall_reading(moment, tz).replace(microsecond=0)
