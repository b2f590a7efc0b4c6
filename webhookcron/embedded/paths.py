"""Reading values at dotted paths, through arrays, the way MongoDB does."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from webhookcron.embedded.errors import (
    BAD_VALUE,
    CANNOT_INDEX_PARALLEL_ARRAYS,
    EMPTY_FIELD_NAME,
    CommandError,
    unsupported,
)
from webhookcron.embedded.ordering import MISSING, UNDEFINED, encode_value


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """The components of a dotted path; an empty component is refused."""
    parts = tuple(path.split("."))
    if "" in parts:
        raise CommandError(EMPTY_FIELD_NAME, f"The path '{path}' contains an empty field name")
    return parts


def array_position(part: str) -> int | None:
    """The position that a path component names in an array; None when it is not a plain decimal number."""
    if part.isascii() and part.isdigit() and (part == "0" or part[0] != "0"):
        return int(part)
    return None


def values_at(node: Any, parts: tuple[str, ...], start: int = 0) -> Iterator[Any]:
    """All values that a filter on this path looks at, arrays on the way entered, arrays at its end not.

    Yields MISSING where a document on the way lacks the field; an array without documents yields nothing.
    """
    for position in range(start, len(parts)):
        part = parts[position]
        if type(node) is dict:
            node = node.get(part, MISSING)
            if node is MISSING:
                yield MISSING
                return
        elif type(node) is list:
            for element in node:
                if type(element) is dict:
                    yield from values_at(element, parts, position)
            offset = array_position(part)
            if offset is not None and offset < len(node):
                element = node[offset]
                if type(element) is list:
                    raise unsupported("a position in an array of arrays")
                yield from values_at(element, parts, position + 1)
            return
        else:
            yield MISSING
            return
    yield node


def composite_keys(document: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> list[tuple[bytes, ...]]:
    """The keys of a document for an index or a sort on these paths: one, or one for each element of an array.

    Each key holds the encoded value of each path. A missing field counts as null, an empty array as less than null.
    Raises CommandError (171) when two paths lead through different arrays.
    """
    return [tuple(key) for key in _expand(document, list(paths))]


def _expand(node: Any, paths: list[tuple[str, ...]]) -> Iterator[list[bytes]]:
    fixed: list[bytes | None] = []
    array: list[Any] | None = None
    array_at: tuple[str, ...] = ()
    rests: list[tuple[str, ...] | None] = []
    for path in paths:
        value, depth = _descend(node, path)
        if type(value) is not list:
            fixed.append(encode_value(value))
            rests.append(None)
            continue
        if array is not None and array_at != path[:depth]:
            raise CommandError(
                CANNOT_INDEX_PARALLEL_ARRAYS,
                f"cannot index parallel arrays [{'.'.join(path[:depth])}] [{'.'.join(array_at)}]",
            )
        array, array_at = value, path[:depth]
        fixed.append(None)
        rests.append(path[depth:])
    if array is None:
        yield [key for key in fixed if key is not None]
        return
    for element in array or (UNDEFINED,):
        below = [rest for rest in rests if rest]
        deeper = _expand(element, below) if below and type(element) is dict else iter(((),))
        for keys in deeper:
            remaining = iter(keys)
            yield [
                _element_key(key, rest, element, remaining) for key, rest in zip(fixed, rests, strict=True)
            ]


def _element_key(
    key: bytes | None, rest: tuple[str, ...] | None, element: Any, below: Iterator[bytes]
) -> bytes:
    if key is not None:
        return key
    if rest:
        return next(below, encode_value(MISSING))
    return UNDEFINED if element is UNDEFINED else encode_value(element)


def _descend(node: Any, path: tuple[str, ...]) -> tuple[Any, int]:
    for depth, part in enumerate(path):
        if type(node) is list:
            return node, depth
        if type(node) is not dict:
            return MISSING, depth
        node = node.get(part, MISSING)
    return node, len(path)


def check_plain_path(path: str, purpose: str) -> tuple[str, ...]:
    """The components of a path for an index or a sort; positions in arrays and operators are refused."""
    parts = split_path(path)
    for part in parts:
        if part.startswith("$"):
            raise CommandError(BAD_VALUE, f"FieldPath field names may not start with '$': {path}")
        if part.isdigit():
            raise unsupported(f"a numeric path component in {purpose}")
    return parts
