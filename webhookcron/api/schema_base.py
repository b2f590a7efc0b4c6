"""The base of all schemas, and the field types of the API: camelCase on the wire, snake_case in Python."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
from webargs.fields import DelimitedList

from webhookcron.core.schedules import LAST_MOMENT

_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
# Outside of these there are no fire times, and zones and later arithmetic leave Python's calendar.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = LAST_MOMENT

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Messages = dict[str, str | list[Any] | dict[Any, Any]]

_SCHEMA_MESSAGES = {"unknown": "is not a known field", "type": "must be a JSON object"}
_COMMON_MESSAGES: Messages = {"required": "is needed", "null": "must not be null"}
_TEXT_MESSAGES: Messages = {"invalid": "must be text", "control": "must not hold control characters"}
_WHOLE_NUMBER_MESSAGES: Messages = {"invalid": "must be a whole number"}
_QUERY_NUMBER_MESSAGES: Messages = {"invalid": "must be a whole number"}
_FLAG_MESSAGES: Messages = {"invalid": "must be true or false"}
_WORD_MESSAGES: Messages = {"invalid": "must be text"}
_COMMA_LIST_MESSAGES: Messages = {"invalid": "must be a comma separated list"}
_MOMENT_MESSAGES: Messages = {
    "moment": "must be a moment with its offset (RFC 3339), such as 2030-01-31T09:00:00Z",
    "wall": "must be a moment such as 2030-01-31T09:00:00Z, or a wall time such as 2030-01-31T09:00:00",
    "range": "must lie within the years 1970 to 9998",
}


def camel_case(name: str) -> str:
    """`next_run_at` -> `nextRunAt`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


class BaseSchema(ma.Schema):
    """Every schema of the API: fields go by their camelCase names, unknown ones are refused."""

    class Meta:
        unknown = ma.RAISE
        ordered = True

    error_messages = _SCHEMA_MESSAGES

    body_optional = False
    """Whether a request without body means the empty object."""

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Give the field its name on the wire, and the words that all fields share."""
        field_obj.data_key = camel_case(field_obj.data_key or field_name)
        field_obj.error_messages = {**field_obj.error_messages, **_COMMON_MESSAGES}


class Text(ma.fields.String):
    """Text without control characters; line breaks and tabs pass if `lines`."""

    default_error_messages = _TEXT_MESSAGES

    def __init__(self, *, lines: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._forbidden = _CONTROL_BUT_LINES if lines else _CONTROL

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if self._forbidden.search(text):
            raise self.make_error("control")
        return text


class WholeNumber(ma.fields.Integer):
    """A whole number, from `low` to `high`; text and fractions are refused."""

    default_error_messages = _WHOLE_NUMBER_MESSAGES

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        message = f"must be a whole number from {low} to {high}"
        super().__init__(strict=True, validate=ma.validate.Range(low, high, error=message), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        return value


class QueryNumber(ma.fields.Integer):
    """A whole number in a query string."""

    default_error_messages = _QUERY_NUMBER_MESSAGES

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        message = f"must be a whole number from {low} to {high}"
        super().__init__(validate=ma.validate.Range(low, high, error=message), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if re.fullmatch(r"-?[0-9]{1,12}", str(value), re.ASCII) is None:
            raise self.make_error("invalid")
        return int(value)


class Flag(ma.fields.Boolean):
    """true or false, nothing else; in a query string the words."""

    default_error_messages = _FLAG_MESSAGES

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise self.make_error("invalid")


class QueryFlag(Flag):
    """true or false in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value in ("true", "false"):
            return bool(value == "true")
        raise self.make_error("invalid")


class Word(ma.fields.String):
    """One of a closed list of words."""

    default_error_messages = _WORD_MESSAGES

    def __init__(self, words: Any, **kwargs: Any) -> None:
        self.words = tuple(str(word) for word in words)
        error = f"must be one of {', '.join(self.words)}"
        super().__init__(validate=ma.validate.OneOf(self.words, error=error), **kwargs)


class Moment(ma.fields.DateTime):
    """A moment: RFC 3339 with an offset in, UTC with milliseconds and `Z` out; aware UTC in Python.

    With `wall_time`, text without an offset passes as a naive datetime: a wall time in a zone named elsewhere.
    """

    default_error_messages = _MOMENT_MESSAGES

    def __init__(self, *, wall_time: bool = False, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)
        self._wall_time = wall_time

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else rfc3339(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
        if match is None or (match[4] is None and not self._wall_time):
            raise self.make_error("wall" if self._wall_time else "moment")
        date, time, fraction, offset = match.groups()
        # Stores keep milliseconds.
        milliseconds = ((fraction or "") + "000")[:3]
        try:
            moment = datetime.fromisoformat(
                f"{date}T{time}.{milliseconds}" + ("+00:00" if offset in ("Z", "z") else offset or "")
            )
            if moment.tzinfo is None:
                shifted = moment.replace(tzinfo=UTC)
            else:
                moment = shifted = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.make_error("wall" if self._wall_time else "moment") from None
        if not _EARLIEST <= shifted <= _LATEST:
            raise self.make_error("range")
        return moment


def rfc3339(moment: datetime) -> str:
    """`2030-01-31T09:00:00.000Z`."""
    utc = moment.astimezone(UTC)
    return (utc - timedelta(microseconds=utc.microsecond % 1000)).isoformat(timespec="milliseconds")[
        :-6
    ] + "Z"


class CommaList(DelimitedList):
    """A comma separated list in a query string."""

    default_error_messages = _COMMA_LIST_MESSAGES

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        # DelimitedList splits, List then reads the parts.
        parts = [part.strip() for part in value.split(self.delimiter or ",")]
        return ma.fields.List._deserialize(self, parts, attr, data, **kwargs)


def said(text: str, example: Any = None) -> dict[str, Any]:
    """What the OpenAPI document says about a field."""
    return {"description": text} if example is None else {"description": text, "example": example}


def length(low: int, high: int) -> ma.validate.Length:
    """A bound of the characters of a text."""
    wanted = f"at most {high}" if low == 0 else f"{low} to {high}"
    return ma.validate.Length(low, high, error=f"must have {wanted} characters")


def at_most(high: int) -> ma.validate.Length:
    """A bound of the entries of a list or an object."""
    return ma.validate.Length(max=high, error=f"must have at most {high} entries")
