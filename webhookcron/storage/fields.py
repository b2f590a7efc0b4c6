"""Fields of documents that decisions rest on: one of another type makes its document unreadable, and no more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from webhookcron.storage.client import Document

MOST = 2**53
"""Whole numbers up to here survive every client of MongoDB."""

MOST_MS = 366 * 86_400_000
MOST_DAYS = 366_000
"""Far beyond what a definition may hold, and within what can be computed with."""


def moment(document: Document, name: str) -> datetime:
    """The moment in field `name`. Raises KeyError when it is missing, TypeError when it is something else."""
    value = document[name]
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is {_kind(value)}, not a date")
    return value


def moment_or_none(document: Document, name: str) -> datetime | None:
    """The moment in field `name`; None when it is missing. Raises TypeError when it is something else."""
    return None if document.get(name) is None else moment(document, name)


def naive_moment(document: Document, name: str) -> datetime:
    """As `moment`, of a document that was read with naive moments (`NAIVE`), which come four times as fast."""
    value = document[name]
    if not isinstance(value, datetime):
        raise TypeError(f"{name} is {_kind(value)}, not a date")
    return value.replace(tzinfo=UTC)


def naive_moment_or_none(document: Document, name: str) -> datetime | None:
    """As `naive_moment`; None when the field is missing."""
    return None if document.get(name) is None else naive_moment(document, name)


def integer(document: Document, name: str, *, most: int = MOST) -> int:
    """The whole number in field `name`, from 0 to `most`.

    A double without fraction counts: tools that edit documents by hand store those. Raises KeyError when it is
    missing, TypeError when it is something else, ValueError when it is out of range.
    """
    value = document[name]
    if type(value) is int and 0 <= value <= most:
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {_kind(value)}, not a whole number")
    if not 0 <= value <= most:
        raise ValueError(f"{name} is out of range")
    return int(value)


def integer_or_none(document: Document, name: str, *, most: int = MOST) -> int | None:
    """As `integer`; None when the field is missing."""
    return None if document.get(name) is None else integer(document, name, most=most)


def text(document: Document, name: str) -> str:
    """The text in field `name`. Raises KeyError when it is missing, TypeError when it is something else."""
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is {_kind(value)}, not text")
    return value


def _kind(value: Any) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"
