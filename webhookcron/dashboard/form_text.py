"""What single fields of the job form hold: lists, pairs and moments written as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from webhookcron.core.zones import zone
from webhookcron.dashboard.durations import exact_duration, milliseconds


def whole_number(text: str) -> int:
    """The number, which may be below zero: the range is for others to judge. Raises ValueError, fit for a user."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        raise ValueError("must be a whole number")
    return int(text)


def words(text: str) -> list[str]:
    """Words between commas or line breaks, blanks around them dropped."""
    return [word for part in re.split(r"[,\n]", text) if (word := part.strip())]


def delays(text: str) -> list[int]:
    """Durations between commas, in milliseconds. Raises ValueError, fit for a user."""
    return [milliseconds(word) for word in words(text)]


def pairs_of_headers(text: str) -> dict[str, str]:
    """Headers, one `Name: value` a line. Raises ValueError, fit for a user."""
    return _pairs(text, ":", "Name: value")


def pairs_of_query(text: str) -> dict[str, str]:
    """Query parameters, one `name=value` a line. Raises ValueError, fit for a user."""
    return _pairs(text, "=", "name=value")


def _pairs(text: str, separator: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, found, value = line.partition(separator)
        name = name.strip()
        if not found or not name:
            raise ValueError(f"line {number} must read {example}")
        if name in pairs:
            raise ValueError(f"line {number} names {name} again")
        pairs[name] = value.strip()
    return pairs


def header_lines(headers: Mapping[str, str]) -> str:
    """The other way round of `pairs_of_headers`."""
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def query_lines(query: Mapping[str, str]) -> str:
    """The other way round of `pairs_of_query`."""
    return "\n".join(f"{name}={value}" for name, value in query.items())


def delay_list(values_ms: Iterable[int]) -> str:
    """The other way round of `delays`."""
    return ", ".join(map(exact_duration, values_ms))


def wall_text(moment: datetime, timezone: str) -> str:
    """A moment as `<input type=datetime-local>` holds it: wall time in `timezone`, to the second.

    An unknown zone counts as UTC.
    """
    try:
        tz = zone(timezone)
    except ValueError:
        tz = zone("UTC")
    return moment.astimezone(tz).replace(tzinfo=None, microsecond=0).isoformat()
