"""Orders: what a sort asks for and what an index holds, and the keys of documents by which they are told."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from webhookcron.embedded.errors import CommandError, unsupported
from webhookcron.embedded.ordering import (
    MISSING,
    UNDEFINED,
    descending_moment_key,
    descending_text_key,
    encode_value,
    inverted,
    moment_key,
    text_key,
)
from webhookcron.embedded.paths import check_plain_path, composite_keys, values_at


class SortPattern:
    """An ordered list of fields with directions: what an index holds and what a sort asks for."""

    __slots__ = ("_fields", "array_fields", "descending", "has_dotted_path", "names", "paths")

    def __init__(self, fields: Iterable[tuple[str, bool]], purpose: str) -> None:
        pairs = list(fields)
        self.names = tuple(name for name, _ in pairs)
        self.descending = tuple(descending for _, descending in pairs)
        self.paths = tuple(check_plain_path(name, purpose) for name in self.names)
        self.array_fields: set[int] = set()
        """Positions of the fields that were an array in some document this pattern has met."""
        plain = all(len(path) == 1 for path in self.paths)
        self._fields = tuple(map(_field, self.names, self.descending)) if plain else ()
        """Empty where a path is dotted."""
        self.has_dotted_path = not plain

    def keys(self, document: dict[str, Any]) -> list[bytes]:
        """The joined keys of a document: one, unless a path leads through an array."""
        if not self._fields:
            return self._expanded(document)
        parts: list[bytes] = []
        array: list[Any] | None = None
        array_at = 0
        for name, text, moment, other in self._fields:
            value = document.get(name, MISSING)
            kind = type(value)
            if kind is str:
                parts.append(text(value))
            elif kind is datetime:
                parts.append(moment(value))
            elif kind is list:
                if array is not None:
                    return self._expanded(document)
                array, array_at = value, len(parts)
                parts.append(b"")
            else:
                parts.append(other(value))
        if array is None:
            return [b"".join(parts)]
        return self._element_keys(array, array_at, parts)

    def _element_keys(self, array: list[Any], array_at: int, parts: Sequence[bytes | None]) -> list[bytes]:
        """The keys where one field is an array: its elements in turn, in the place of what `parts` has there."""
        self.array_fields.add(array_at)
        before = b"".join(parts[:array_at])  # type: ignore[arg-type]
        behind = b"".join(parts[array_at + 1 :])  # type: ignore[arg-type]
        elements = {
            text_key(element) if type(element) is str else encode_value(element) for element in array
        } or {UNDEFINED}
        if self.descending[array_at]:
            elements = {inverted(element) for element in elements}
        return [before + element + behind for element in elements]

    def entries(self, documents: Sequence[dict[str, Any]], suffixes: Sequence[bytes]) -> list[bytes]:
        """The keys of each document, each key followed by the document's suffix, in any order.

        As `keys` for one after the other, in less than half the time: field by field.
        """
        if not self._fields:
            return self._entries_one_by_one(documents, suffixes)
        with_arrays = False
        columns: list[list[bytes | None]] = []
        for name, text, moment, other in self._fields:
            column: list[bytes | None] = [
                text(value)
                if (kind := type(value := document.get(name, MISSING))) is str
                else moment(value)
                if kind is datetime
                else None
                if kind is list
                else other(value)
                for document in documents
            ]
            with_arrays = with_arrays or None in column
            columns.append(column)
        rows = zip(*columns, suffixes, strict=True)
        if not with_arrays:
            return list(map(b"".join, rows))
        found: list[bytes] = []
        for document, row in zip(documents, rows, strict=True):
            arrays = row.count(None)
            if not arrays:
                found.append(b"".join(row))
            elif arrays == 1:
                array_at = row.index(None)
                found += self._element_keys(document[self.names[array_at]], array_at, row)
            else:
                found += [key + row[-1] for key in self._expanded(document)]
        return found

    def _entries_one_by_one(
        self, documents: Sequence[dict[str, Any]], suffixes: Sequence[bytes]
    ) -> list[bytes]:
        return [
            key + suffix
            for document, suffix in zip(documents, suffixes, strict=True)
            for key in self.keys(document)
        ]

    def may_refuse(self, array_fields: Collection[str]) -> bool:
        """Whether `keys` might refuse a document of which these top-level fields are arrays."""
        if not self._fields:
            return len(self.paths) > 1
        return len(array_fields) > 1 and sum(name in array_fields for name in self.names) > 1

    def _expanded(self, document: dict[str, Any]) -> list[bytes]:
        self.array_fields.update(self._array_positions(document))
        joined = {
            b"".join(inverted(key) if down else key for key, down in zip(keys, self.descending, strict=True))
            for keys in composite_keys(document, self.paths)
        }
        return list(joined)

    def sort_key(self, document: dict[str, Any]) -> bytes:
        """The key by which a document sorts: of several, the one that comes first in this order."""
        keys = self.keys(document)
        return keys[0] if len(keys) == 1 else min(keys)

    def _array_positions(self, document: dict[str, Any]) -> Iterator[int]:
        for position, path in enumerate(self.paths):
            if any(
                type(value) is list
                for depth in range(1, len(path) + 1)
                for value in values_at(document, path[:depth])
            ):
                yield position


_Encoder = Callable[[Any], bytes]


def _field(name: str, descending: bool) -> tuple[str, _Encoder, _Encoder, _Encoder]:
    """The field, and what makes its key of a text, of a moment, and of any other value."""
    if descending:
        return name, descending_text_key, descending_moment_key, lambda value: inverted(encode_value(value))
    return name, text_key, moment_key, encode_value


def sort_pattern(sort: Any) -> SortPattern | None:
    """The pattern of a command's `sort`; None when it asks for no order."""
    if sort is None or sort == {}:
        return None
    if type(sort) is not dict:
        raise CommandError(14, "Expected sort to be an object")
    fields: list[tuple[str, bool]] = []
    for name, direction in sort.items():
        if type(direction) is dict:
            raise unsupported("a sort by $meta")
        if isinstance(direction, bool) or direction not in (1, -1):
            raise CommandError(15975, "$sort key ordering must be 1 (for ascending) or -1 (for descending)")
        fields.append((name, direction < 0))
    return SortPattern(fields, "a sort")
