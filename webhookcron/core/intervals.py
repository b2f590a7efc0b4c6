"""Fire times at a fixed interval from an anchor.

Seconds, minutes and hours are elapsed time. Days, weeks, months and years are counted on the wall
clock of the job's zone, always from the original anchor, so that a day a short month lacks costs
nothing later: Jan 31, Feb 28, Mar 31. Skipped and repeated wall times are treated as for a cron job
with a fixed time.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from webhookcron.core.wallclock import first_instant, wall_reading


class IntervalUnit(StrEnum):
    """The unit of an interval: elapsed time up to the hour, wall clock time from the day on."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


_ELAPSED = {
    IntervalUnit.SECOND: timedelta(seconds=1),
    IntervalUnit.MINUTE: timedelta(minutes=1),
    IntervalUnit.HOUR: timedelta(hours=1),
}
_DAYS = {IntervalUnit.DAY: 1, IntervalUnit.WEEK: 7}
_MONTHS = {IntervalUnit.MONTH: 1, IntervalUnit.YEAR: 12}

# Each bound is about a century, beyond which an interval is a typing error.
MAX_INTERVAL_VALUES = {
    IntervalUnit.SECOND: 3_155_760_000,
    IntervalUnit.MINUTE: 52_596_000,
    IntervalUnit.HOUR: 876_600,
    IntervalUnit.DAY: 36_525,
    IntervalUnit.WEEK: 5_217,
    IntervalUnit.MONTH: 1_200,
    IntervalUnit.YEAR: 100,
}


def is_elapsed(unit: IntervalUnit) -> bool:
    """Whether the unit is elapsed time, which clock changes do not touch."""
    return unit in _ELAPSED


def next_elapsed(
    unit: IntervalUnit, value: int, anchor: datetime, first: int, after: datetime
) -> datetime | None:
    """Return the first of `anchor` + n · `value` units of elapsed time, n from `first` on, strictly after `after`.

    None past the year 9999.
    """
    step = _ELAPSED[unit] * value
    try:
        return anchor + step * max(first, (after - anchor) // step + 1)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Interval:
    """Fire times number `first`, `first` + 1, …, where number n lies n intervals after `anchor`.

    `anchor` is aware UTC; `first` is 0 when the anchor itself is a fire time, else 1.
    """

    unit: IntervalUnit
    value: int
    anchor: datetime
    first: int
    tz: ZoneInfo

    def next_instant(self, after: datetime) -> datetime | None:
        """Return the first fire time strictly after the aware `after`; None past the year 9999."""
        if self.unit in _ELAPSED:
            return next_elapsed(self.unit, self.value, self.anchor, self.first, after)
        number = max(self.first, self._number_near(after) - 2)
        moment = self._instant(number)
        while moment is not None and moment <= after:
            number += 1
            moment = self._instant(number)
        return moment

    def latest_instant(self, until: datetime) -> datetime | None:
        """Return the last fire time at or before the aware `until`; None when none was."""
        number = self._number_near(until) + 2
        while number >= self.first:
            moment = self._instant(number)
            if moment is not None and moment <= until:
                return moment
            number -= 1
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """Return how many fire times are in (`after`, `until`], by arithmetic; for elapsed units only."""
        low = max(self.first, self._number_near(after) + 1)
        return max(0, self._number_near(until) - low + 1)

    def names_wall_time(self, wall: datetime) -> bool:
        """Whether a fire time after the anchor is meant for the naive `wall`; for units from the day on."""
        near = self._number_near_wall(wall)
        return any(self._wall(number) == wall for number in range(max(1, near - 1), near + 2))

    def _number_near(self, moment: datetime) -> int:
        """Return the number of the last fire time at or before `moment`: exact for elapsed time.

        Else at most two off: a clock change shifts a wall time by a day at most (Apia 2011), and a
        month may be shorter than the anchor's day.
        """
        if self.unit in _ELAPSED:
            return (moment - self.anchor) // (_ELAPSED[self.unit] * self.value)
        return self._number_near_wall(wall_reading(moment, self.tz))

    def _number_near_wall(self, wall: datetime) -> int:
        anchor = self._anchor_wall()
        if self.unit in _DAYS:
            return (wall - anchor) // timedelta(days=_DAYS[self.unit] * self.value)
        months = (wall.year - anchor.year) * 12 + wall.month - anchor.month
        return months // (_MONTHS[self.unit] * self.value)

    def _instant(self, number: int) -> datetime | None:
        """Return fire time `number`; None when the calendar of Python ends before it."""
        if number == 0:
            return self.anchor
        try:
            if self.unit in _ELAPSED:
                return self.anchor + _ELAPSED[self.unit] * self.value * number
            wall = self._wall(number)
            return None if wall is None else first_instant(wall, self.tz)
        except OverflowError:
            return None

    def _wall(self, number: int) -> datetime | None:
        """Return the wall time that fire time `number` is meant for, whether it happens or not."""
        if self.unit in _DAYS:
            return self._anchor_wall() + timedelta(days=_DAYS[self.unit] * self.value * number)
        return _months_later(self._anchor_wall(), _MONTHS[self.unit] * self.value * number)

    def _anchor_wall(self) -> datetime:
        return wall_reading(self.anchor, self.tz)


def _months_later(wall: datetime, months: int) -> datetime | None:
    """Return `wall` so many months later, on the last day of a month that lacks its day."""
    years, month = divmod(wall.month - 1 + months, 12)
    year = wall.year + years
    if year > MAXYEAR:
        return None
    day = min(wall.day, monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)
