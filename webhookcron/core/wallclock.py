"""Between wall clock readings of a zone and instants, and the clock changes that stand between them.

A wall time is a naive datetime: what the clock on the wall shows. A clock change makes some wall
times not happen at all (a gap) or happen twice (a fold; the terms of PEP 495). This module finds the
changes, to the second and of any size: 30 minutes on Lord Howe, two hours at Troll, a day in Apia.

Everything here is derived from the direction UTC to wall clock. The other direction of `zoneinfo` is
wrong in the last year that a zone file lists, where it applies the rule for the years after: it has
America/Nuuk put its clocks back in October 2023, which did not happen.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
# No two changes in the IANA database are closer than a week less an hour (Recife 2000), so comparing the
# offsets at both ends of a shorter stretch misses none, and there is one change in it at most.
_SEARCH_STEP = timedelta(days=3)
# No offset from UTC is as large, nor is any change of one.
_MOST_OFFSET = timedelta(hours=26)


class ClockChangeKind(StrEnum):
    """What a clock change does to wall times."""

    # The clock is put forward: the wall times between are skipped.
    GAP = "gap"
    # The clock is put back: the wall times between happen twice.
    FOLD = "fold"


@dataclass(frozen=True, slots=True)
class ClockChange:
    """One change of a zone's offset from UTC.

    `at` is the first instant with the new offset, aware UTC.
    """

    at: datetime
    offset_before: timedelta
    offset_after: timedelta

    @property
    def kind(self) -> ClockChangeKind:
        return ClockChangeKind.GAP if self.offset_after > self.offset_before else ClockChangeKind.FOLD

    @property
    def wall_before(self) -> datetime:
        """What the clock would have shown at `at` without the change."""
        return self.at.replace(tzinfo=None) + self.offset_before

    @property
    def wall_after(self) -> datetime:
        """What the clock shows at `at`."""
        return self.at.replace(tzinfo=None) + self.offset_after

    @property
    def first_wall(self) -> datetime:
        """The first wall time that is skipped or repeated."""
        return min(self.wall_before, self.wall_after)

    @property
    def end_wall(self) -> datetime:
        """The first wall time after those skipped or repeated."""
        return max(self.wall_before, self.wall_after)


def clock_change_at(wall: datetime, tz: ZoneInfo) -> ClockChange | None:
    """Return the clock change that skips or repeats the naive `wall`, or None for an ordinary one."""
    _, change = _offset_on(wall.date(), tz)
    return change if change is not None and change.first_wall <= wall < change.end_wall else None


def first_instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant, aware UTC, at which a job fixed to the naive `wall` fires.

    An ordinary wall time has one instant; a skipped one fires at the end of the gap, a repeated one
    in the first pass. Never decreases when `wall` grows.
    """
    offset, change = _offset_on(wall.date(), tz)
    if change is not None and wall >= change.wall_before:
        return max(change.at, (wall - change.offset_after).replace(tzinfo=UTC))
    return (wall - offset).replace(tzinfo=UTC)


def last_instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """Return the last instant, aware UTC, at which the clock shows the naive `wall`, which happens."""
    offset, change = _offset_on(wall.date(), tz)
    if change is not None and wall >= change.wall_after:
        offset = change.offset_after
    return (wall - offset).replace(tzinfo=UTC)


def wall_reading(moment: datetime, tz: ZoneInfo) -> datetime:
    """Return the naive wall time that the clocks of `tz` show at the aware `moment`."""
    return moment.astimezone(tz).replace(tzinfo=None, fold=0)


def clock_changes(tz: ZoneInfo, after: datetime, until: datetime) -> Iterator[ClockChange]:
    """Yield the clock changes of `tz` with `after` < at <= `until`, earliest first."""
    start, until = after.astimezone(UTC), until.astimezone(UTC)
    while start < until:
        end = min(until, start + _SEARCH_STEP)
        if _offset(start, tz) != _offset(end, tz):
            yield _change_between(start, end, tz)
        start = end


@functools.lru_cache(maxsize=16_384)
def _offset_on(day: date, tz: ZoneInfo) -> tuple[timedelta, ClockChange | None]:
    """Return the offset with which the wall clock day `day` begins, and the change on or beside it."""
    midnight = datetime.combine(day, time(), UTC)
    before, until = midnight - _MOST_OFFSET, midnight + timedelta(days=1) + _MOST_OFFSET
    offset = _offset(before, tz)
    return offset, None if _offset(until, tz) == offset else _change_between(before, until, tz)


def _offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    """Return the offset at `moment`, aware UTC, without asking for that of a wall time."""
    return wall_reading(moment, tz) - moment.replace(tzinfo=None)


def _change_between(before: datetime, until: datetime, tz: ZoneInfo) -> ClockChange:
    """Return the only clock change in (`before`, `until`], both UTC, found by halving the interval."""
    old = _offset(before, tz)
    # Changes happen at whole seconds, so the halving starts on one.
    low = before.replace(microsecond=0)
    steps = -((low - until) // SECOND)
    lower, upper = 0, steps
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if _offset(low + middle * SECOND, tz) == old:
            lower = middle
        else:
            upper = middle
    at = low + upper * SECOND
    return ClockChange(at=at, offset_before=old, offset_after=_offset(at, tz))
