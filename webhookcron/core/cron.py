"""Cron expressions: reading them strictly, and walking the wall times that they match.

Here time is what the wall clock shows: naive datetimes of whole seconds, without any zone. What
clock changes make of them is `cron_instants`.
"""

import functools
import string
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, datetime

from webhookcron.core.cron_fields import (
    HOUR_FIELD,
    MINUTE_FIELD,
    MONTH_FIELD,
    SECOND_FIELD,
    DaysOfMonth,
    DaysOfWeek,
    numbers_in,
    parse_days_of_month,
    parse_days_of_week,
    parse_numbers,
    quoted,
    starts_with_star,
)

MAX_EXPRESSION_LENGTH = 1000

# crontab(5). `@reboot` names no time, so it is refused.
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

# A year short of Python's calendar at both ends, so that every offset from UTC can be applied.
FIRST_YEAR, LAST_YEAR = MINYEAR + 1, MAXYEAR - 1

_ALLOWED_CHARACTERS = frozenset(string.ascii_letters + string.digits + "*,-/?#@ \t")
# The lengths that each month can have, from January on.
_MONTH_LENGTHS = (
    *((31,), (28, 29), (31,), (30,), (31,), (30,)),
    *((31,), (31,), (30,), (31,), (30,), (31,)),
)


@dataclass(frozen=True, slots=True, eq=False)
class CronExpression:
    """One parsed expression; numbers are kept as bits of an int (bit n set: n matches)."""

    # Fields joined by single spaces, names in upper case, macros replaced.
    text: str
    seconds: int
    minutes: int
    hours: int
    days_of_month: DaysOfMonth
    months: int
    days_of_week: DaysOfWeek
    # True: a day must match both day fields. False: one of them is enough.
    both_days: bool
    # Neither minute nor hour starts with a star: fires once per wall time, whatever the clock does.
    fixed_time: bool
    has_seconds: bool
    _days_by_month_shape: dict[tuple[int, int], int] = field(default_factory=dict, repr=False)

    def next_wall_time(self, wall: datetime) -> datetime | None:
        """Return the first matching wall time at or after `wall` (naive, whole seconds).

        None when the calendar (LAST_YEAR) ends before one comes.
        """
        year, month, day = wall.year, wall.month, wall.day
        days = self._days_in(year, month) >> day << day
        if days >> day & 1:
            time = self._time_from(wall.hour, wall.minute, wall.second)
            if time is not None:
                return datetime(year, month, day, *time)
            days &= days - 1
        while not days:
            month = _first_bit(self.months, month + 1)
            if month < 0:
                month = _first_bit(self.months, 1)
                year += 1
                if year > LAST_YEAR:
                    return None
            days = self._days_in(year, month)
        return datetime(
            year,
            month,
            _first_bit(days, 1),
            _first_bit(self.hours, 0),
            _first_bit(self.minutes, 0),
            _first_bit(self.seconds, 0),
        )

    def previous_wall_time(self, wall: datetime) -> datetime | None:
        """Return the last matching wall time at or before `wall` (naive, whole seconds), else None."""
        year, month, day = wall.year, wall.month, wall.day
        days = self._days_in(year, month) & ((2 << day) - 1)
        if days >> day & 1:
            time = self._time_back_from(wall.hour, wall.minute, wall.second)
            if time is not None:
                return datetime(year, month, day, *time)
            days ^= 1 << day
        while not days:
            month = _last_bit(self.months, month - 1)
            if month < 1:
                month = _last_bit(self.months, 12)
                year -= 1
                if year < FIRST_YEAR:
                    return None
            days = self._days_in(year, month)
        return datetime(
            year,
            month,
            _last_bit(days, 31),
            _last_bit(self.hours, 23),
            _last_bit(self.minutes, 59),
            _last_bit(self.seconds, 59),
        )

    def count_wall_times(self, first: datetime, end: datetime) -> int:
        """Return how many matching wall times are at or after `first` and before `end`, by arithmetic."""
        if end <= first:
            return 0
        return self._count_from_year_start(end, first.year) - self._count_from_year_start(first, first.year)

    def ever_matches(self) -> bool:
        """Whether any date of the Gregorian calendar matches.

        Exact: every month length begins on every weekday at some time in the calendar's 400-year cycle.
        """
        return any(
            self._days_in_month_shape(weekday, length)
            for month in numbers_in(self.months)
            for length in _MONTH_LENGTHS[month - 1]
            for weekday in range(7)
        )

    def _count_from_year_start(self, wall: datetime, year: int) -> int:
        """Return how many matching wall times are before `wall`, from the start of `year` on."""
        months = [(y, m) for y in range(year, wall.year + 1) for m in numbers_in(self.months)]
        days = sum(self._days_in(y, m).bit_count() for y, m in months if (y, m) < (wall.year, wall.month))
        today = self._days_in(wall.year, wall.month)
        days += (today & ((1 << wall.day) - 1)).bit_count()
        per_minute = self.seconds.bit_count()
        per_hour = self.minutes.bit_count() * per_minute
        count = days * self.hours.bit_count() * per_hour
        if today >> wall.day & 1:
            count += (self.hours & ((1 << wall.hour) - 1)).bit_count() * per_hour
            if self.hours >> wall.hour & 1:
                count += (self.minutes & ((1 << wall.minute) - 1)).bit_count() * per_minute
                if self.minutes >> wall.minute & 1:
                    count += (self.seconds & ((1 << wall.second) - 1)).bit_count()
        return count

    def _days_in(self, year: int, month: int) -> int:
        if not self.months >> month & 1:
            return 0
        return self._days_in_month_shape(*monthrange(year, month))

    def _days_in_month_shape(self, first_weekday: int, length: int) -> int:
        """Return the matching days of a month of `length` days; its first is `first_weekday`, Monday 0."""
        shape = (first_weekday, length)
        days = self._days_by_month_shape.get(shape)
        if days is None:
            by_month = _days_by_month_rule(self.days_of_month, first_weekday, length)
            by_week = _days_by_week_rule(self.days_of_week, first_weekday, length)
            days = by_month & by_week if self.both_days else by_month | by_week
            self._days_by_month_shape[shape] = days
        return days

    def _time_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """Return the first matching time of day at or after the given one."""
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                found = _first_bit(self.seconds, second)
                if found >= 0:
                    return hour, minute, found
            found = _first_bit(self.minutes, minute + 1)
            if found >= 0:
                return hour, found, _first_bit(self.seconds, 0)
        found = _first_bit(self.hours, hour + 1)
        if found >= 0:
            return found, _first_bit(self.minutes, 0), _first_bit(self.seconds, 0)
        return None

    def _time_back_from(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """Return the last matching time of day at or before the given one."""
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                found = _last_bit(self.seconds, second)
                if found >= 0:
                    return hour, minute, found
            found = _last_bit(self.minutes, minute - 1)
            if found >= 0:
                return hour, found, _last_bit(self.seconds, 59)
        found = _last_bit(self.hours, hour - 1)
        if found >= 0:
            return found, _last_bit(self.minutes, 59), _last_bit(self.seconds, 59)
        return None


def parse_cron(expression: str) -> CronExpression:
    """Return the parsed expression.

    Raises ValueError with a message of at most 300 characters, fit to show to the person who wrote
    it, when the expression is malformed or names no date that ever comes.
    """
    if not isinstance(expression, str):
        raise ValueError("The cron expression must be text, such as '0 9 * * MON-FRI'.")
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise ValueError(f"The cron expression is longer than {MAX_EXPRESSION_LENGTH} characters.")
    return _parse(str(expression))


@functools.lru_cache(maxsize=4096)
def _parse(expression: str) -> CronExpression:
    # Text that was pasted often ends in a line break; inside, a line break would be a second entry.
    stripped = expression.strip(" \t\r\n")
    for character in stripped:
        if character not in _ALLOWED_CHARACTERS:
            raise ValueError(f"The character {quoted(character)} has no place in a cron expression.")
    if stripped.startswith("@"):
        macro = MACROS.get(stripped.lower())
        if macro is None:
            raise ValueError(f"The macro {quoted(stripped)} is not one of {', '.join(MACROS)}.")
        stripped = macro
    fields = stripped.upper().split()
    if len(fields) not in (5, 6):
        raise ValueError(
            "A cron expression has 5 fields (minute, hour, day of month, month, day of week), "
            f"or 6 with the second first; this one has {len(fields)}."
        )
    has_seconds = len(fields) == 6
    second, minute, hour, day, month, weekday = fields if has_seconds else ["0", *fields]
    parsed = CronExpression(
        text=" ".join(fields),
        seconds=parse_numbers(second, SECOND_FIELD),
        minutes=parse_numbers(minute, MINUTE_FIELD),
        hours=parse_numbers(hour, HOUR_FIELD),
        days_of_month=parse_days_of_month(day),
        months=parse_numbers(month, MONTH_FIELD),
        days_of_week=parse_days_of_week(weekday),
        both_days=starts_with_star(day) or starts_with_star(weekday),
        fixed_time=not minute.startswith("*") and not hour.startswith("*"),
        has_seconds=has_seconds,
    )
    if not parsed.ever_matches():
        raise ValueError("The cron expression can never fire: no month it names has such a day.")
    return parsed


def _days_by_month_rule(rule: DaysOfMonth, first_weekday: int, length: int) -> int:
    days = rule.numbers & ((2 << length) - 1)
    if rule.last:
        days |= 1 << length
    if rule.last_weekday:
        days_past_friday = max(0, (first_weekday + length - 1) % 7 - 4)
        days |= 1 << (length - days_past_friday)
    return days


def _days_by_week_rule(rule: DaysOfWeek, first_weekday: int, length: int) -> int:
    days = 0
    for day in range(1, length + 1):
        # Python counts from Monday, cron from Sunday.
        weekday = (first_weekday + day) % 7
        asked = rule.every | rule.nth[(day + 6) // 7]
        if day + 7 > length:
            asked |= rule.last
        days |= (asked >> weekday & 1) << day
    return days


def _first_bit(mask: int, low: int) -> int:
    """Return the lowest set bit at or above `low`, -1 without one."""
    rest = mask >> low
    return (rest & -rest).bit_length() - 1 + low if rest else -1


def _last_bit(mask: int, high: int) -> int:
    """Return the highest set bit at or below `high`, -1 without one."""
    return (mask & ((2 << high) - 1)).bit_length() - 1 if high >= 0 else -1
