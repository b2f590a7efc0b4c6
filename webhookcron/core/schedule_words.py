"""A schedule as a sentence for people.

cron-descriptor words the time of day of a cron expression, given a plain expression written anew from
the parsed numbers: of some spellings it would say what they do not mean (`5-5`, `59/15`, `*/25`). Hours
beside several minutes, and days, are worded here: it reads "every 2 minutes, every 12 hours", joins
every pair of day fields by "or", and loses parts of lists with `#` and `L`.
"""

import functools
import re
from calendar import day_name, month_name
from collections.abc import Sequence
from datetime import datetime

from cron_descriptor import ExpressionDescriptor, Options

from webhookcron.core.cron import CronExpression, parse_cron
from webhookcron.core.cron_fields import numbers_in
from webhookcron.core.intervals import IntervalUnit, is_elapsed
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.core.zones import zone

_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")
# The most numbers that are written out one by one.
_LONGEST_LIST = 12
# From this many consecutive numbers on, "a to b" reads better than the list.
_SHORTEST_RUN = 3


def describe(schedule: Schedule) -> str:
    """Return one English sentence: when the schedule fires, in which zone, within which bounds."""
    match schedule.type:
        case ScheduleType.CRON:
            assert schedule.cron_expression is not None
            text = f"{_cron_words(schedule.cron_expression)}, {_zone_words(schedule.timezone)}"
        case ScheduleType.INTERVAL:
            text = _interval_words(schedule)
        case ScheduleType.ONCE:
            assert schedule.run_at is not None
            text = f"Once, at {_moment_words(schedule.run_at, schedule.timezone)}"
    if schedule.start_at is not None and not (
        schedule.anchor_fires and schedule.start_at == schedule.anchor_at
    ):
        text += f", not before {_moment_words(schedule.start_at, schedule.timezone)}"
    if schedule.end_at is not None:
        text += f", until {_moment_words(schedule.end_at, schedule.timezone)}"
    return text + "."


def _interval_words(schedule: Schedule) -> str:
    assert schedule.interval is not None
    assert schedule.anchor_at is not None
    unit, value = schedule.interval, schedule.interval_value
    text = f"Every {unit.value}" if value == 1 else f"Every {value} {unit.value}s"
    if not is_elapsed(unit):
        local = schedule.anchor_at.astimezone(zone(schedule.timezone))
        text += f" at {_clock_words(local)}"
        if unit in (IntervalUnit.MONTH, IntervalUnit.YEAR) and local.day > 28:
            text += f" on day {local.day}, or the last day of a shorter month"
    first = "starting at" if schedule.anchor_fires else "counted from"
    return f"{text}, {first} {_moment_words(schedule.anchor_at, schedule.timezone)}"


def _zone_words(timezone: str) -> str:
    return "UTC" if timezone == "UTC" else f"{timezone} time"


def _moment_words(moment: datetime, timezone: str) -> str:
    local = moment.astimezone(zone(timezone))
    return f"{local.date().isoformat()} {_clock_words(local)} {_zone_words(timezone)}"


def _clock_words(local: datetime) -> str:
    if local.microsecond:
        return local.time().isoformat("milliseconds")
    return local.time().isoformat("seconds" if local.second else "minutes")


@functools.lru_cache(maxsize=1024)
def _cron_words(text: str) -> str:
    expression = parse_cron(text)
    parts = [_time_words(expression), _day_words(expression), _month_words(expression)]
    return ", ".join(part for part in parts if part)


def _time_words(expression: CronExpression) -> str:
    hours = numbers_in(expression.hours)
    minutes = numbers_in(expression.minutes)
    seconds = numbers_in(expression.seconds)
    if len(minutes) == len(seconds) == 1:
        if len(hours) < 24 and len(hours) > _SHORTEST_RUN and _is_run(hours):
            past = f":{minutes[0]:02}" + (f":{seconds[0]:02}" if seconds[0] else "")
            return f"At {hours[0]:02}{past} and every hour until {hours[-1]:02}{past}"
        if len(hours) <= _LONGEST_LIST or len(hours) == 24:
            return _described(seconds, minutes, hours)
    within_hour = _described(seconds, minutes, list(range(24)))
    if len(hours) == 24:
        return within_hour
    if _is_run(hours):
        return f"{within_hour}, between {hours[0]:02}:00 and {hours[-1]:02}:59"
    return f"{within_hour}, in the hours {_listed(list(map(str, hours)))}"


def _described(seconds: list[int], minutes: list[int], hours: list[int]) -> str:
    """Return cron-descriptor's words for the times that these numbers make, day by day."""
    options = Options()
    options.use_24hour_time_format = True
    options.locale_code = "en_US"
    fields = f"{_plain_field(seconds, 60)} {_plain_field(minutes, 60)} {_plain_field(hours, 24)}"
    words = str(ExpressionDescriptor(f"{fields} * * *", options).get_description())
    return re.sub(r"\b(?<!and )1 (minute|second)s past\b", r"1 \1 past", words)


def _plain_field(numbers: list[int], size: int) -> str:
    """Return the plainest cron field for `numbers`, which are below `size`."""
    if len(numbers) == size:
        return "*"
    if len(numbers) == 1:
        return str(numbers[0])
    step = numbers[1] - numbers[0]
    if size % step == 0 and numbers == list(range(0, size, step)):
        return f"*/{step}"
    if len(numbers) > _SHORTEST_RUN and _is_run(numbers):
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))


def _day_words(expression: CronExpression) -> str:
    by_month = _month_day_words(expression)
    by_week = _weekday_words(expression)
    if expression.both_days:
        if by_month and by_week:
            return f"on {by_month} if it is {_listed(by_week, 'or')}"
        return f"on {by_month or _listed(by_week)}" if by_month or by_week else ""
    # Either field is enough: one that holds every day leaves nothing to say.
    return f"on {by_month} or on {_listed(by_week)}" if by_month and by_week else ""


def _month_day_words(expression: CronExpression) -> str:
    """Return the days that the day-of-month field names; nothing when it names all."""
    rule = expression.days_of_month
    numbers = numbers_in(rule.numbers)
    if len(numbers) == 31:
        return ""
    named = []
    if numbers:
        named.append(f"day{'s' if len(numbers) > 1 else ''} {_days_listed(numbers)}")
    if rule.last:
        named.append("the last day")
    if rule.last_weekday:
        named.append("the last day from Monday to Friday")
    return f"{_listed(named)} of the month"


def _days_listed(numbers: list[int]) -> str:
    if len(numbers) >= _SHORTEST_RUN and _is_run(numbers):
        return f"{numbers[0]} to {numbers[-1]}"
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 0
    if len(numbers) > 5 and numbers == list(range(numbers[0], numbers[-1] + 1, step)):
        return f"{numbers[0]}, {numbers[1]}, {numbers[2]}, …, {numbers[-1]}"
    return _listed(list(map(str, numbers)))


def _weekday_words(expression: CronExpression) -> list[str]:
    """Return the days that the day-of-week field names; nothing when it names all."""
    rule = expression.days_of_week
    every = numbers_in(rule.every)
    if len(every) == 7:
        return []
    # A run may pass Saturday: it starts on the day whose eve is not named.
    start = next((day for day in every if (day - 1) % 7 not in every), 0)
    in_row = [(start + number) % 7 for number in range(len(every))]
    if len(every) >= _SHORTEST_RUN and sorted(in_row) == every:
        named = [f"{_weekday(in_row[0])} to {_weekday(in_row[-1])}"]
    else:
        named = [_weekday(day) for day in sorted(every, key=lambda day: (day - 1) % 7)]
    for ordinal in range(1, 6):
        named += [
            f"the {_ORDINALS[ordinal]} {_weekday(day)} of the month" for day in numbers_in(rule.nth[ordinal])
        ]
    return named + [f"the last {_weekday(day)} of the month" for day in numbers_in(rule.last)]


def _weekday(number: int) -> str:
    """Return the name of a weekday that cron counts from Sunday, Python from Monday."""
    return day_name[(number - 1) % 7]


def _month_words(expression: CronExpression) -> str:
    numbers = numbers_in(expression.months)
    if len(numbers) == 12:
        return ""
    if len(numbers) >= _SHORTEST_RUN and _is_run(numbers):
        return f"in {month_name[numbers[0]]} to {month_name[numbers[-1]]}"
    return f"in {_listed([month_name[number] for number in numbers])}"


def _is_run(numbers: list[int]) -> bool:
    return numbers[-1] - numbers[0] + 1 == len(numbers)


def _listed(items: Sequence[str], joint: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {joint} {items[-1]}"
