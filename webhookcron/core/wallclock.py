"""Between wall clock readings of a zone and instants, and the clock changes that stand between them.

A wall time is a naive datetime: what the clock on the wall shows. A clock change makes some wall
times not happen at all (a gap) or happen twice (a fold; the terms of PEP 495). Python answers
`utcoffset()` for both passes of such a wall time; this module finds the change itself, to the
second, for changes of any size: 30 minutes on Lord Howe, two hours at Troll, a day in Apia.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
# Shorter than the time between any two changes in the IANA database, the shortest of which is a
# week less an hour (Recife 2000), so that comparing the offsets at both ends of a step misses none.
_SEARCH_STEP = timedelta(days=1)


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
    first = wall.replace(tzinfo=tz, fold=0).utcoffset()
    second = wall.replace(tzinfo=tz, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    if first == second:
        return None
    # PEP 495: fold=0 answers with the offset before the change, fold=1 with the one after it, both
    # in gaps and in folds. So the change lies between the two readings of this wall time.
    readings = sorted((wall - first, wall - second))
    return _change_between(readings[0].replace(tzinfo=UTC), readings[1].replace(tzinfo=UTC), tz)


def first_instant(wall: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant, aware UTC, at which a job fixed to the naive `wall` fires.

    An ordinary wall time has one instant; a skipped one fires at the end of the gap, a repeated one
    in the first pass. Never decreases when `wall` grows.
    """
    first = wall.replace(tzinfo=tz, fold=0).utcoffset()
    second = wall.replace(tzinfo=tz, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    if second > first:
        change = clock_change_at(wall, tz)
        assert change is not None
        return change.at
    return (wall - first).replace(tzinfo=UTC)


def wall_reading(moment: datetime, tz: ZoneInfo) -> datetime:
    """Return the naive wall time of the aware `moment` in `tz`; `fold` is 1 in a second pass."""
    return moment.astimezone(tz).replace(tzinfo=None)


def clock_changes(tz: ZoneInfo, after: datetime, until: datetime) -> Iterator[ClockChange]:
    """Yield the clock changes of `tz` with `after` < at <= `until`, earliest first."""
    start = after
    while start < until:
        end = min(start + _SEARCH_STEP, until)
        if _offset(start, tz) != _offset(end, tz):
            yield _change_between(start, end, tz)
        start = end


def _offset(moment: datetime, tz: ZoneInfo) -> timedelta:
    offset = moment.astimezone(tz).utcoffset()
    assert offset is not None
    return offset


def _change_between(before: datetime, until: datetime, tz: ZoneInfo) -> ClockChange:
    """Return the only clock change in (`before`, `until`], found by halving the interval."""
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
    at = (low + upper * SECOND).astimezone(UTC)
    return ClockChange(at=at, offset_before=old, offset_after=_offset(at, tz))
