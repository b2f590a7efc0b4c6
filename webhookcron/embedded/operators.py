"""Tests of single values: what `$eq`, `$gt`, `$in`, `$type` and the like ask of one value.

Each function returns a predicate over a value that may be MISSING. Comparisons are bracketed by type, as MongoDB's
are: a number is never less than a string.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import re2
from bson import (
    Binary,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from webhookcron.embedded.errors import BAD_VALUE, TYPE_MISMATCH, CommandError, unsupported
from webhookcron.embedded.ordering import MISSING, encode_value

Test = Callable[[Any], bool]

_NUMBERS = frozenset({int, float, Int64})
_ORDERED_TYPES = frozenset({str, ObjectId, datetime})
"""Types whose Python comparison is BSON's and that are equal to values of no other type."""

_SQUARE_CODES = {
    "double": (1, (float,)),
    "string": (2, (str,)),
    "object": (3, (dict, DBRef)),
    "array": (4, (list,)),
    "binData": (5, (bytes, Binary)),
    "objectId": (7, (ObjectId,)),
    "bool": (8, (bool,)),
    "date": (9, (datetime, DatetimeMS)),
    "null": (10, (type(None),)),
    "regex": (11, (Regex,)),
    "timestamp": (17, (Timestamp,)),
    "decimal": (19, (Decimal128,)),
    "minKey": (-1, (MinKey,)),
    "maxKey": (127, (MaxKey,)),
    "number": (None, (int, float, Int64, Decimal128)),
}
_TYPES_BY_ALIAS: dict[Any, tuple[type, ...]] = {}
for _alias, (_code, _types) in _SQUARE_CODES.items():
    _TYPES_BY_ALIAS[_alias] = _types
    if _code is not None:
        _TYPES_BY_ALIAS[_code] = _types

_INT32_RANGE = range(-(2**31), 2**31)


def _is_int32(value: Any) -> bool:
    return type(value) is int and value in _INT32_RANGE


def _is_int64(value: Any) -> bool:
    return type(value) is Int64 or (type(value) is int and value not in _INT32_RANGE)


def is_number(value: Any) -> bool:
    """Whether the value is a number that this store can calculate with (a bool is none)."""
    return type(value) in _NUMBERS


def equal_to(operand: Any) -> Test:
    """Whether a value equals the operand; null also equals a missing field."""
    kind = type(operand)
    if operand is None:
        return lambda value: value is None or value is MISSING
    if kind in _ORDERED_TYPES:
        return lambda value: value == operand
    if kind is bool:
        return lambda value: value is operand
    if kind in _NUMBERS and operand == operand:
        return lambda value: value == operand and type(value) in _NUMBERS
    key = encode_value(operand)
    return lambda value: value is not MISSING and encode_value(value) == key


def _ordered(operand: Any, by_value: Callable[[Any, Any], bool]) -> Test:
    kind = type(operand)
    if kind in _NUMBERS and operand == operand:
        return lambda value: type(value) in _NUMBERS and by_value(value, operand)
    if kind is datetime:
        date_key = encode_value(operand)
        # A moment outside the years of Python's datetime is a DatetimeMS.
        return lambda value: (
            by_value(value, operand)
            if type(value) is datetime
            else type(value) is DatetimeMS and by_value(encode_value(value), date_key)
        )
    if kind in _ORDERED_TYPES:
        return lambda value: type(value) is kind and by_value(value, operand)
    if kind in (MinKey, MaxKey):
        raise unsupported("a comparison with MinKey or MaxKey")
    if kind is Regex:
        raise CommandError(BAD_VALUE, "Can't have RegEx as arg to predicate over field")
    key = encode_value(operand)
    bracket = key[0]

    def test(value: Any) -> bool:
        if value is MISSING:
            return False
        other = encode_value(value)
        return other[0] == bracket and by_value(other, key)

    return test


def compared(operator: str, operand: Any) -> Test:
    """`$gt`, `$gte`, `$lt` or `$lte` against the operand."""
    if operator in ("$gte", "$lte") and (operand is None or operand != operand):
        # null is at least null, and so is a missing field; NaN is only comparable with itself.
        return equal_to(operand)
    if operand is None or operand != operand:
        return lambda value: False
    if operator == "$gt":
        return _ordered(operand, lambda value, bound: value > bound)
    if operator == "$gte":
        return _ordered(operand, lambda value, bound: value >= bound)
    if operator == "$lt":
        return _ordered(operand, lambda value, bound: value < bound)
    return _ordered(operand, lambda value, bound: value <= bound)


def one_of(operand: Any) -> Test:
    """`$in`: equal to one of the listed values or matched by one of the listed patterns."""
    if type(operand) is not list:
        raise CommandError(BAD_VALUE, "$in needs an array")
    plain: set[Any] = set()
    tests: list[Test] = []
    for value in operand:
        if type(value) in _ORDERED_TYPES:
            plain.add(value)
        elif type(value) is Regex:
            tests.append(pattern(value))
        elif type(value) is dict and any(name.startswith("$") for name in value):
            raise CommandError(BAD_VALUE, "cannot nest $ under $in")
        else:
            tests.append(equal_to(value))
    if not tests:
        return lambda value: type(value) in _ORDERED_TYPES and value in plain
    return lambda value: (
        (type(value) in _ORDERED_TYPES and value in plain) or any(test(value) for test in tests)
    )


def of_size(operand: Any) -> Test:
    """`$size`: an array of exactly that many elements."""
    if not is_number(operand) or operand != int(operand):
        raise CommandError(BAD_VALUE, f"Failed to parse $size. Expected an integer in: $size: {operand!r}")
    if operand < 0:
        raise CommandError(BAD_VALUE, "Failed to parse $size. Expected a non-negative number")
    return lambda value: type(value) is list and len(value) == operand


def of_type(operand: Any) -> Test:
    """`$type`: one of the BSON types, given by alias or number."""
    wanted = operand if type(operand) is list else [operand]
    if not wanted:
        raise CommandError(9, "$type must match at least one type")
    types: set[type] = set()
    tests: list[Test] = []
    for name in wanted:
        if type(name) is float and name.is_integer():
            name = int(name)
        if type(name) is not str and not is_number(name):
            raise CommandError(TYPE_MISMATCH, "type must be represented as a number or a string")
        if name in ("int", 16):
            tests.append(_is_int32)
        elif name in ("long", 18):
            tests.append(_is_int64)
        elif name in _TYPES_BY_ALIAS:
            types.update(_TYPES_BY_ALIAS[name])
        else:
            raise CommandError(BAD_VALUE, f"Unknown type name alias or code: {name}")
    if not tests:
        return lambda value: type(value) in types
    return lambda value: type(value) in types or any(test(value) for test in tests)


def pattern(regex: Regex[Any]) -> Test:
    """A regular expression over strings, in time linear in the string (RE2, so no look-around)."""
    text = regex.pattern if isinstance(regex.pattern, str) else regex.pattern.decode()
    compiled = _compiled_pattern(text, regex.flags)
    own = (text, regex.flags)

    def test(value: Any) -> bool:
        if type(value) is str:
            return compiled.search(value) is not None
        return type(value) is Regex and (value.pattern, value.flags) == own

    return test


@lru_cache(maxsize=256)
def _compiled_pattern(text: str, flags: int) -> Any:
    letters = flag_letters(flags)
    if "x" in letters or "l" in letters or "u" in letters:
        raise unsupported("a regular expression with options other than i, m and s")
    if "m" not in letters and text.endswith("$") and not _ends_escaped(text[:-1]):
        # PCRE's $ also stands before a final line feed; RE2's does not.
        text = text[:-1] + r"(?:\n?\z)"
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{letters}:{text})" if letters else text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise CommandError(51091, f"Regular expression is invalid: {reason}") from error


def _ends_escaped(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def flag_letters(flags: int) -> str:
    """The option letters of a BSON regular expression's flags."""
    letters = {"i": 2, "l": 4, "m": 8, "s": 16, "u": 32, "x": 64}
    return "".join(letter for letter, bit in letters.items() if flags & bit)


def regex_from(text: Any, options: Any) -> Regex[Any]:
    """The expression that `$regex` and `$options` describe together."""
    if type(text) is Regex:
        if options is None:
            return text
        text = text.pattern
    if type(text) is not str:
        raise CommandError(BAD_VALUE, "$regex has to be a string")
    if options is not None and type(options) is not str:
        raise CommandError(BAD_VALUE, "$options has to be a string")
    unknown = set(options or "") - set("imsx")
    if unknown:
        raise CommandError(51108, f"invalid flag in regex options: {options}")
    return Regex(text, options or "")


def literal_prefix(regex: Regex[Any]) -> str | None:
    """The text that every match of an expression `^text…` starts with; None when there is none to rely on."""
    text = regex.pattern
    if type(text) is not str or regex.flags & ~16 or not text.startswith("^") or "|" in text:
        return None
    prefix: list[str] = []
    position = 1
    while position < len(text):
        character = text[position]
        if character == "\\":
            following = text[position + 1 : position + 2]
            if not following or following.isalnum() or not following.isascii():
                break
            character = following
            position += 1
        elif character in ".^$*+?{}[]()":
            break
        prefix.append(character)
        position += 1
    if position < len(text) and text[position] in "*?{":
        # The quantifier allows the last character to be absent.
        prefix = prefix[:-1]
    return "".join(prefix) or None
