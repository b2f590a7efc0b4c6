"""Taking values from a request into the store: field names shared, depth bounded, strange types refused."""

from typing import Any

from bson import Code, DBRef, Decimal128

from webhookcron.embedded.errors import OVERFLOW, CommandError, unsupported

MAX_DEPTH = 100
"""Levels of nesting that a document may have, as MongoDB limits it."""

NOT_PLAIN = frozenset({dict, list, Decimal128, Code, DBRef})
"""Types whose values must go through `adopt_value`: containers, and what filters could not compare rightly."""

_MAX_SHARED_NAMES = 20_000
_shared_names: dict[str, str] = {}


def adopt_document(document: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """The same document with field names shared between all documents, which halves what it takes in memory.

    Arrays inside are taken over as they are, so they must not belong to anything else. `depth` is the level it will
    stand at. Raises CommandError (15) when it nests deeper than MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise _too_deep()
    names = _shared_names
    try:
        adopted = {names[name]: value for name, value in document.items()}
    except KeyError:
        adopted = {shared_name(name): value for name, value in document.items()}
    if not NOT_PLAIN.isdisjoint(map(type, adopted.values())):
        for name, value in adopted.items():
            if type(value) in NOT_PLAIN:
                adopted[name] = adopt_value(value, depth)
    return adopted


def adopt_value(value: Any, depth: int = 1) -> Any:
    """The same for a value that becomes part of a document at this depth.

    Raises CommandError (238) for a decimal, code or a database reference.
    """
    kind = type(value)
    if kind is dict:
        return adopt_document(value, depth + 1)
    if kind is list:
        _adopt_array(value, depth + 1)
    elif kind in NOT_PLAIN:
        raise unsupported(f"a value of type {kind.__name__}")
    return value


def _adopt_array(values: list[Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    for position, value in enumerate(values):
        kind = type(value)
        if kind is list:
            _adopt_array(value, depth + 1)
        elif kind in NOT_PLAIN:
            values[position] = adopt_value(value, depth)


def _too_deep() -> CommandError:
    return CommandError(OVERFLOW, f"BSON depth exceeds the limit of {MAX_DEPTH} levels")


def shared_name(name: str) -> str:
    """The shared copy of a field name."""
    if len(_shared_names) < _MAX_SHARED_NAMES:
        return _shared_names.setdefault(name, name)
    return _shared_names.get(name, name)
