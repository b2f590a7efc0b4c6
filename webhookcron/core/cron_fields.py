"""The grammar of one cron field: text in, the set of matching numbers out, as bits of an int.

The forms are Debian cron's (crontab(5): numbers, names, ranges, steps, lists), with `L` and `LW` in
the day of month and `5L` and `1#2` in the day of week as in cronsim and Quartz, and `?` as in
Quartz. What these implementations do not agree on is refused (docs/time.md lists it).
"""

import re
from dataclasses import dataclass, field

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# How much of a refused text is repeated in the message.
_ECHO_LENGTH = 24


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What one position of a cron expression may hold: its name, bounds and value names."""

    name: str
    low: int
    high: int
    names: dict[str, int] = field(default_factory=dict)


SECOND_FIELD = FieldKind("second", 0, 59)
MINUTE_FIELD = FieldKind("minute", 0, 59)
HOUR_FIELD = FieldKind("hour", 0, 23)
DAY_FIELD = FieldKind("day of month", 1, 31)
MONTH_FIELD = FieldKind("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)})
# Sunday is 0 and 7; ranges and steps run to 7 as in Vixie cron, so `1/2` is 1, 3, 5 and 7.
WEEKDAY_FIELD = FieldKind("day of week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)})

_ITEM = re.compile(r"(?P<first>\*|[0-9]+|[A-Z]+)(?:-(?P<last>[0-9]+|[A-Z]+))?(?:/(?P<step>[0-9]+))?")
_LAST_OF_WEEKDAY = re.compile(r"([0-9]+)L")
_NTH_WEEKDAY = re.compile(r"([0-9]+|[A-Z]+)#([0-9]+)")


def starts_with_star(text: str) -> bool:
    """Whether Vixie cron would set the star flag for this field: it begins with `*` (or is `?`)."""
    return text.startswith("*") or text == "?"


def numbers_in(mask: int) -> list[int]:
    """Return the numbers whose bits are set in `mask`, in ascending order."""
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


def parse_numbers(text: str, kind: FieldKind) -> int:
    """Return the numbers that `text` (upper case) names, bit n set for n.

    Raises ValueError when it is not a list of `*`, `a`, `a-b`, each with an optional `/step`.
    """
    mask = 0
    for item in text.split(","):
        mask |= _parse_item(item, kind)
    return mask


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """The days a day-of-month field asks for: numbered ones as bits, `L` and `LW` beside them."""

    numbers: int
    last: bool
    last_weekday: bool


def parse_days_of_month(text: str) -> DaysOfMonth:
    """Parse a day-of-month field (upper case). Raises ValueError when it is malformed."""
    if text == "?":
        text = "*"
    items = text.split(",")
    numbers = 0
    for item in items:
        if item not in ("L", "LW"):
            numbers |= _parse_item(item, DAY_FIELD)
    return DaysOfMonth(numbers=numbers, last="L" in items, last_weekday="LW" in items)


@dataclass(frozen=True, slots=True)
class DaysOfWeek:
    """The weekdays a day-of-week field asks for, Sunday 0 to Saturday 6.

    `every` and `last` hold bits per weekday; `nth` maps 1 to 5 to bits: `1#2` is bit 1 in `nth[2]`.
    """

    every: int
    last: int
    nth: tuple[int, int, int, int, int, int]


def parse_days_of_week(text: str) -> DaysOfWeek:
    """Parse a day-of-week field (upper case). Raises ValueError when it is malformed."""
    if text == "?":
        text = "*"
    every = last = 0
    nth = [0] * 6
    for item in text.split(","):
        if match := _LAST_OF_WEEKDAY.fullmatch(item):
            last |= 1 << _number(match[1], WEEKDAY_FIELD)
        elif match := _NTH_WEEKDAY.fullmatch(item):
            weekday = _number(match[1], WEEKDAY_FIELD)
            ordinal = int(match[2])
            if not 1 <= ordinal <= 5:
                raise ValueError(f"The day of week {quoted(item)} must end in #1 to #5.")
            nth[ordinal] |= 1 << weekday
        else:
            every |= _parse_item(item, WEEKDAY_FIELD)
    return DaysOfWeek(
        every=_sunday_is_zero(every),
        last=_sunday_is_zero(last),
        nth=(
            0,
            _sunday_is_zero(nth[1]),
            _sunday_is_zero(nth[2]),
            _sunday_is_zero(nth[3]),
            _sunday_is_zero(nth[4]),
            _sunday_is_zero(nth[5]),
        ),
    )


def quoted(text: str) -> str:
    """Return `text` in quotes, escaped and cut short, fit for a message."""
    shown = text if len(text) <= _ECHO_LENGTH else text[:_ECHO_LENGTH] + "…"
    return "'" + shown.encode("unicode_escape").decode().replace("\\u2026", "…") + "'"


def _sunday_is_zero(mask: int) -> int:
    return (mask | mask >> 7) & 0b111_1111


def _parse_item(item: str, kind: FieldKind) -> int:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"The {kind.name} {quoted(item)} is not understood.{_hint(item, kind)}")
    first, last, step_text = match["first"], match["last"], match["step"]
    if first == "*":
        if last is not None:
            raise ValueError(f"The {kind.name} {quoted(item)} is a range from '*': give a number there.")
        low, high = kind.low, kind.high
    else:
        low = _number(first, kind)
        # `a/n` runs to the end of the field (Debian cron, cronsim, robfig/cron).
        high = low if step_text is None else kind.high
        if last is not None:
            high = _number(last, kind)
    if high < low:
        hint = " Sunday ends a range as 7." if kind is WEEKDAY_FIELD and high == 0 else ""
        raise ValueError(f"The {kind.name} range {quoted(item)} runs backwards.{hint}")
    step = 1 if step_text is None else int(step_text)
    if step == 0:
        raise ValueError(f"The {kind.name} {quoted(item)} has a step of 0.")
    mask = 0
    for number in range(low, high + 1, step):
        mask |= 1 << number
    return mask


def _number(text: str, kind: FieldKind) -> int:
    if not text.isdigit():
        named = kind.names.get(text)
        if named is None:
            raise ValueError(f"The {kind.name} {quoted(text)} is not understood.{_hint(text, kind)}")
        return named
    number = int(text)
    if not kind.low <= number <= kind.high:
        raise ValueError(f"The {kind.name} {quoted(text)} is not in {kind.low}-{kind.high}.")
    return number


def _hint(item: str, kind: FieldKind) -> str:
    """Say what to write instead for the mistakes that people make by knowing another cron."""
    if item == "":
        return " A list has an empty item."
    if item == "?":
        return " '?' stands alone, for the day of month or the day of week."
    if kind is WEEKDAY_FIELD and item.endswith("L"):
        return " The last Friday is written 5L."
    if kind is DAY_FIELD and item.endswith("W"):
        return " Only LW, the last weekday of the month, is known."
    if kind.names and item.isalpha():
        return f" Names are {', '.join(kind.names)}."
    return ""
