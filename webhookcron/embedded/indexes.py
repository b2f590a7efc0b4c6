"""Sorted indexes: their entries, and how documents enter and leave them.

An entry is the joined keys of the indexed fields (see ordering.py) followed by the document's record number, so a
plain sorted list of byte strings serves equality, ranges, both directions and uniqueness.

Entries follow late: a change only notes the version that the index still holds, and whoever asks for the entries finds
them brought up to date. An execution that is inserted, claimed, ended and counted before anybody asks moves once.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from struct import Struct
from typing import Any

from sortedcontainers import SortedList  # type: ignore[import-untyped]

from webhookcron.embedded.errors import CommandError, unsupported
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.matching import Predicate, compile_filter
from webhookcron.embedded.ordering import (
    AFTER_PREFIX,
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

_RECORD = Struct(">Q")

_CAUGHT_UP_AT_ONCE = 500
"""Late records that `catch_up` enters: some milliseconds, which no request notices."""


class SortPattern:
    """An ordered list of fields with directions: what an index holds and what a sort asks for."""

    __slots__ = ("_fields", "array_fields", "descending", "names", "paths")

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
        self.array_fields.add(array_at)
        before, behind = b"".join(parts[:array_at]), b"".join(parts[array_at + 1 :])
        elements = {encode_value(element) for element in array} or {UNDEFINED}
        if self.descending[array_at]:
            elements = {inverted(element) for element in elements}
        return [before + element + behind for element in elements]

    def may_have_parallel_arrays(self, document: dict[str, Any]) -> bool:
        """Whether `keys` might refuse the document."""
        if not self._fields:
            return len(self.paths) > 1
        found = False
        for name, *_ in self._fields:
            if type(document.get(name)) is list:
                if found:
                    return True
                found = True
        return False

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


class Index:
    """The entries of one index over the records of a collection."""

    __slots__ = ("_covers", "_entries", "_late", "_moment_field", "_records", "fields", "may_refuse",
                 "pattern", "spec")  # fmt: skip

    def __init__(self, spec: IndexSpec, records: dict[int, dict[str, Any]]) -> None:
        """An index over these records, as they are and as they change; `load` fills it."""
        self.spec = spec
        self.pattern = SortPattern(
            ((path, direction < 0) for path, direction in spec.key.items()), "an index"
        )
        self._records = records
        self._entries: SortedList = SortedList()
        self._late: dict[int, dict[str, Any] | None] = {}
        """By record, the version of which the entries are there; None = none are."""
        self._covers: Predicate | None = self._coverage()
        self._moment_field = self._only_moments()
        self.fields = {path[0] for path in self.pattern.paths} | _filter_fields(spec.partial_filter)
        """Top-level fields whose change may move a document in the index."""
        self.may_refuse = spec.unique or len(self.pattern.paths) > 1
        """Whether there are documents that it cannot hold."""

    @property
    def entries(self) -> SortedList:
        """The entries of all records as they are now, in order."""
        if self._late:
            self._enter(list(self._late.items()))
            self._late.clear()
        return self._entries

    @property
    def late(self) -> int:
        """How many records are to be entered anew."""
        return len(self._late)

    @property
    def most_entries(self) -> int:
        """A number that the entries do not exceed, had without bringing them up to date."""
        return len(self._entries) + len(self._late)

    def note(self, record: int, old: dict[str, Any] | None) -> None:
        """A record has another version than `old` now (None = it is new); its entries follow later."""
        if record not in self._late:
            self._late[record] = old

    def catch_up(self) -> None:
        """Enter those records that have waited longest, a bounded number of them."""
        first = list(islice(self._late.items(), _CAUGHT_UP_AT_ONCE))
        for record, _ in first:
            del self._late[record]
        self._enter(first)

    def _enter(self, late: list[tuple[int, dict[str, Any] | None]]) -> None:
        records, entries = self._records, self._entries
        added: list[bytes] = []
        for record, old in late:
            new = records.get(record)
            if new is old:
                continue
            old_keys = [] if old is None else self.keys(old)
            new_keys = [] if new is None else self.keys(new)
            if old_keys == new_keys:
                continue
            suffix = _RECORD.pack(record)
            for key in old_keys:
                entries.remove(key + suffix)
            for key in new_keys:
                added.append(key + suffix)
        # In order, they mostly go to the same few places one after the other.
        added.sort()
        entries.update(added)

    def _coverage(self) -> Predicate | None:
        if self.spec.partial_filter is not None:
            return compile_filter(self.spec.partial_filter)
        if not self.spec.sparse:
            return None
        paths = self.pattern.paths
        if all(len(path) == 1 for path in paths):
            names = self.pattern.names
            return lambda document: any(name in document for name in names)
        return lambda document: any(
            value is not MISSING for path in paths for value in values_at(document, path)
        )

    def _only_moments(self) -> str | None:
        """The field of an ascending index on one field that holds only dates; None for every other index."""
        [name, *more] = self.pattern.names
        if more or self.pattern.descending[0] or "." in name:
            return None
        return name if self.spec.partial_filter == {name: {"$type": "date"}} else None

    def keys(self, document: dict[str, Any]) -> list[bytes]:
        """The keys under which the document belongs in this index; none when it is outside a partial index."""
        moment_field = self._moment_field
        if moment_field is not None:
            value = document.get(moment_field)
            if type(value) is datetime:
                return [moment_key(value)]
            if value is None:
                return []
        if self._covers is not None and not self._covers(document):
            return []
        return self.pattern.keys(document)

    def conflict(self, keys: list[bytes], record: int | None) -> bool:
        """Whether another record already holds one of the keys (only meaningful for a unique index)."""
        if not keys:
            return False
        own = None if record is None else _RECORD.pack(record)
        entries = self.entries
        return any(
            own is None or entry[-8:] != own
            for key in keys
            for entry in entries.irange(key, key + AFTER_PREFIX)
        )

    def load(self) -> None:
        """Fill an empty index from all records; raises DuplicateEntry when a unique index cannot hold them."""
        entries: list[bytes] = []
        for record, document in self._records.items():
            suffix = _RECORD.pack(record)
            entries.extend(key + suffix for key in self.keys(document))
        self._entries = SortedList(entries)
        if self.spec.unique:
            self._refuse_duplicates()

    def _refuse_duplicates(self) -> None:
        previous = b""
        for entry in self._entries:
            if entry[:-8] == previous[:-8] and entry[-8:] != previous[-8:] and previous:
                raise DuplicateEntry(record_of(entry))
            previous = entry

    def key_value(self, document: dict[str, Any]) -> dict[str, Any]:
        """The indexed values of a document, as a duplicate-key error shows them."""
        return {
            name: next((value for value in values_at(document, path) if value is not MISSING), None)
            for name, path in zip(self.pattern.names, self.pattern.paths, strict=True)
        }


class DuplicateEntry(Exception):
    """A unique index cannot be built: this record repeats a key."""

    def __init__(self, record: int) -> None:
        super().__init__(record)
        self.record = record


def record_of(entry: bytes) -> int:
    """The record number at the end of an index entry."""
    return int.from_bytes(entry[-8:], "big")


def _filter_fields(condition: dict[str, Any] | None) -> set[str]:
    fields: set[str] = set()
    for name, operand in (condition or {}).items():
        if name == "$and":
            for clause in operand:
                fields |= _filter_fields(clause)
        else:
            fields.add(name.split(".")[0])
    return fields


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
