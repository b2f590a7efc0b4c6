"""The instants at which a cron expression fires in a zone: Debian cron's rule for clock changes.

cron(8), "Notes" in Debian: jobs with a fixed time that a clock change skips run right after it, and
do not run twice when it repeats them; jobs with a wildcard in the minute or hour follow the new time
at once. So each expression is a set of instants:

- fixed time: `first_instant` of every matching wall time (several in one gap are one instant);
- wildcard: every instant whose wall time matches.

Both functions find one element of that set without enumerating it.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from webhookcron.core.cron import CronExpression
from webhookcron.core.wallclock import SECOND, ClockChangeKind, clock_change_at, first_instant, wall_reading

# A wildcard job may name only wall times that its zone skips, each year anew (`*/5 2 * 3 0L` in Berlin).
# No zone has more than two gaps a year, so this many in a row are at least 50 years without a fire time.
_MAX_GAPS_IN_A_ROW = 100


def next_instant(expression: CronExpression, tz: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first fire time strictly after the aware `after`, aware UTC; None when none comes."""
    reading = wall_reading(after, tz)
    wall = reading.replace(microsecond=0, fold=0)
    if expression.fixed_time:
        return _next_fixed(expression, tz, wall, reading.fold)
    return _next_wildcard(expression, tz, wall, reading.fold)


def latest_instant(expression: CronExpression, tz: ZoneInfo, until: datetime) -> datetime | None:
    """Return the last fire time at or before the aware `until`, aware UTC; None when none was."""
    reading = wall_reading(until, tz)
    wall = reading.replace(microsecond=0, fold=0)
    if expression.fixed_time:
        return _latest_fixed(expression, tz, wall, reading.fold)
    return _latest_wildcard(expression, tz, wall, reading.fold)


def _next_fixed(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    if fold:
        # In the second pass: the wall times up to the end of the fold have had their turn.
        change = clock_change_at(wall, tz)
        assert change is not None
        candidate = expression.next_wall_time(change.end_wall)
    else:
        candidate = expression.next_wall_time(wall + SECOND)
    return None if candidate is None else first_instant(candidate, tz)


def _latest_fixed(expression: CronExpression, tz: ZoneInfo, wall: datetime, fold: int) -> datetime | None:
    if fold:
        change = clock_change_at(wall, tz)
        assert change is not None
        wall = change.end_wall - SECOND
    candidate = expression.previous_wall_time(wall)
    return None if candidate is None else first_instant(candidate, tz)


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


def _instant_in_pass(wall: datetime, tz: ZoneInfo, fold: int) -> datetime:
    offset = wall.replace(tzinfo=tz, fold=fold).utcoffset()
    assert offset is not None
    return (wall - offset).replace(tzinfo=UTC)
