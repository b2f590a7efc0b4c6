"""The order of BSON values, as byte strings that compare the way MongoDB compares the values.

One encoding serves sorting, comparisons across types, unique keys and the entries of every index. Source of the
order: MongoDB manual, "Comparison/Sort Order". A key is a type byte followed by a self-delimiting form of the
value, so keys of several fields may be joined. Descending fields use the complement of each byte.

No key starts with 0xFF, in either direction, and none is the beginning of another.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from bson import (
    Binary,
    Code,
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

from webhookcron.embedded.errors import unsupported


class Missing:
    """The type of MISSING."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""Stands for a field that a document does not have; it sorts as null does."""

UNDEFINED: Final = b"\x0f"
"""The key of an empty array as an element of an index: below null."""

TYPE_MIN_KEY = 0x0A
TYPE_NULL = 0x14
TYPE_NUMBER = 0x1E
TYPE_STRING = 0x3C
TYPE_OBJECT = 0x46
TYPE_ARRAY = 0x50
TYPE_BINARY = 0x5A
TYPE_OBJECT_ID = 0x64
TYPE_BOOL = 0x6E
TYPE_DATE = 0x78
TYPE_TIMESTAMP = 0x82
TYPE_REGEX = 0x8C
TYPE_MAX_KEY = 0xF0

AFTER_PREFIX: Final = b"\xff\xff"
"""`prefix + AFTER_PREFIX` sorts after everything that starts with `prefix`, be it whole keys or a string's beginning.

Two bytes, because a descending string may end in one 0xFF right behind the prefix.
"""

NULL_KEY: Final = b"\x14"
_INVERTED: Final = bytes(255 - byte for byte in range(256))
_EPOCH = datetime(1970, 1, 1)
_EPOCH_AWARE = datetime(1970, 1, 1, tzinfo=UTC)

_DOUBLE = Struct(">d")
_UINT64 = Struct(">Q")
_NUMBER = Struct(">BQH")
_DATE = Struct(">BQ")
_BINARY_HEAD = Struct(">BIB")
_TIMESTAMP = Struct(">BII")

_SIGN_BIT = 1 << 63
_ALL_BITS = (1 << 64) - 1
_RESIDUAL_BIAS = 1 << 15


def milliseconds_of(moment: datetime) -> int:
    """Whole milliseconds since 1970 of a moment; a naive one is taken as UTC, as BSON does."""
    since = moment - (_EPOCH if moment.tzinfo is None else _EPOCH_AWARE)
    # Half of what dividing by a timedelta takes; rounded down, before 1970 too, as its parts are never negative.
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def _number(value: float) -> bytes:
    nearest = float(value)
    if nearest != nearest:
        # NaN is below all other numbers.
        return _NUMBER.pack(TYPE_NUMBER, 0, 0)
    # An integer beyond 2**53 is not exact as a double; what rounding dropped follows the double.
    residual = _RESIDUAL_BIAS + (value - int(nearest) if isinstance(value, int) else 0)
    bits: int = _UINT64.unpack(_DOUBLE.pack(nearest + 0.0))[0]
    return _NUMBER.pack(TYPE_NUMBER, bits ^ (_ALL_BITS if bits & _SIGN_BIT else _SIGN_BIT), residual)


def _escaped(data: bytes) -> bytes:
    """The bytes ended by a zero, which does not occur inside: 00 becomes 01 01, and 01 becomes 01 02."""
    if b"\x00" in data or b"\x01" in data:
        data = data.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return data + b"\x00"


def _string(value: str) -> bytes:
    if "\0" in value or "\1" in value:
        return b"\x3c" + _escaped(value.encode())
    # What nearly every string is, in half the time; "<" is the byte of the type.
    return f"<{value}\0".encode()


def _date(value: datetime) -> bytes:
    return _DATE.pack(TYPE_DATE, milliseconds_of(value) + _SIGN_BIT)


def _object(value: dict[str, Any]) -> bytes:
    parts = [b"\x46"]
    for name, element in value.items():
        key = encode_value(element)
        # MongoDB compares the type of an element before its name, and the name before the value.
        parts += (key[:1], _escaped(name.encode()), key)
    parts.append(b"\x00")
    return b"".join(parts)


def _array(value: list[Any]) -> bytes:
    return b"\x50" + b"".join(map(encode_value, value)) + b"\x00"


def _binary(value: bytes) -> bytes:
    return _BINARY_HEAD.pack(TYPE_BINARY, len(value), getattr(value, "subtype", 0)) + value


def _regex(value: Regex[Any]) -> bytes:
    pattern = value.pattern if isinstance(value.pattern, bytes) else value.pattern.encode()
    return b"\x8c" + _escaped(pattern) + str(value.flags).encode() + b"\x00"


def _refused(value: Any) -> bytes:
    raise unsupported(f"comparing a value of BSON type {type(value).__name__}")


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Missing: lambda value: NULL_KEY,
    type(None): lambda value: NULL_KEY,
    str: _string,
    int: _number,
    float: _number,
    Int64: _number,
    bool: lambda value: b"\x6e\x03" if value else b"\x6e\x02",
    datetime: _date,
    DatetimeMS: lambda value: _DATE.pack(TYPE_DATE, int(value) + _SIGN_BIT),
    ObjectId: lambda value: b"\x64" + value.binary,
    dict: _object,
    list: _array,
    bytes: _binary,
    Binary: _binary,
    Timestamp: lambda value: _TIMESTAMP.pack(TYPE_TIMESTAMP, value.time, value.inc),
    Regex: _regex,
    re.Pattern: lambda value: _regex(Regex.from_native(value)),
    MinKey: lambda value: b"\x0a",
    MaxKey: lambda value: b"\xf0",
    DBRef: lambda value: _object(dict(value.as_doc())),
    Code: _refused,
    Decimal128: _refused,
}


def encode_value(value: Any) -> bytes:
    """A key whose byte order is the BSON order of the value; equal values of different number types are equal keys.

    Raises CommandError (238) for the types that this store keeps but cannot compare: Decimal128 and code.
    """
    try:
        return _ENCODERS[type(value)](value)
    except KeyError:
        return _refused(value)


def inverted(key: bytes) -> bytes:
    """The key for a descending field."""
    return key.translate(_INVERTED)


# One cache for each type, as 1, 1.0 and True are one key of a cache. Owners, states and moments come up again and
# again, and a document's `_id` once for each index.

_REMEMBERED = 4096


@lru_cache(_REMEMBERED)
def text_key(value: str) -> bytes:
    """`encode_value` of a string, remembered."""
    return _string(value)


@lru_cache(_REMEMBERED)
def descending_text_key(value: str) -> bytes:
    """`inverted(encode_value)` of a string, remembered."""
    return inverted(_string(value))


@lru_cache(_REMEMBERED)
def moment_key(value: datetime) -> bytes:
    """`encode_value` of a moment, remembered."""
    return _date(value)


@lru_cache(_REMEMBERED)
def descending_moment_key(value: datetime) -> bytes:
    """`inverted(encode_value)` of a moment, remembered."""
    return inverted(_date(value))


def hashable_id(value: Any) -> Any:
    """A dictionary key for an `_id`: equal for exactly those values that BSON takes as equal."""
    kind = type(value)
    if kind is str or kind is ObjectId or kind is int or kind is Int64:
        return value
    if kind is float and value.is_integer():
        return int(value)
    # Wrapped, so that it never equals an `_id` of type bytes.
    return (encode_value(value),)


def same_value(left: Any, right: Any) -> bool:
    """Whether BSON takes both as equal (1 equals 1.0; field order of documents counts)."""
    if type(left) is type(right) and type(left) in _PLAIN_TYPES:
        return bool(left == right)
    return encode_value(left) == encode_value(right)


_PLAIN_TYPES = frozenset({str, int, bool, ObjectId, datetime, type(None)})
