"""Taking values from a request into the store: field names shared, depth bounded."""

from typing import Any

from webhookcron.embedded.errors import OVERFLOW, CommandError

MAX_DEPTH = 100
"""Levels of nesting that a document may have, as MongoDB limits it."""

_MAX_SHARED_NAMES = 20_000
_shared_names: dict[str, str] = {}


def adopt_document(document: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """The same document with field names shared between all documents, which halves what it takes in memory.

    `depth` is the level it will stand at. Raises CommandError (15) when it nests deeper than MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise CommandError(OVERFLOW, f"BSON depth exceeds the limit of {MAX_DEPTH} levels")
    names = _shared_names
    adopted: dict[str, Any] = {}
    for name, value in document.items():
        if name not in names and len(names) < _MAX_SHARED_NAMES:
            names[name] = name
        kind = type(value)
        if kind is dict:
            value = adopt_document(value, depth + 1)
        elif kind is list:
            value = _adopt_array(value, depth + 1)
        adopted[names.get(name, name)] = value
    return adopted


def adopt_value(value: Any, depth: int = 1) -> Any:
    """The same for a value that becomes part of a document at this depth."""
    if type(value) is dict:
        return adopt_document(value, depth + 1)
    if type(value) is list:
        return _adopt_array(value, depth + 1)
    return value


def _adopt_array(values: list[Any], depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise CommandError(OVERFLOW, f"BSON depth exceeds the limit of {MAX_DEPTH} levels")
    return [
        adopt_value(value, depth) if type(value) is dict or type(value) is list else value for value in values
    ]


def shared_name(name: str) -> str:
    """The shared copy of a field name."""
    if len(_shared_names) < _MAX_SHARED_NAMES:
        return _shared_names.setdefault(name, name)
    return _shared_names.get(name, name)
