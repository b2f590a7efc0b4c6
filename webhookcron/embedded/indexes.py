"""Sorted indexes: their declaration, their entries, and how documents enter and leave them.

An entry is the joined keys of the indexed fields (see ordering.py) followed by the document's record number, so a
plain sorted list of byte strings serves equality, ranges, both directions and uniqueness.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from struct import Struct
from typing import Any

from sortedcontainers import SortedList  # type: ignore[import-untyped]

from webhookcron.embedded.errors import (
    CANNOT_CREATE_INDEX,
    INVALID_INDEX_SPECIFICATION_OPTION,
    CommandError,
    unsupported,
)
from webhookcron.embedded.matching import Predicate, compile_filter
from webhookcron.embedded.ordering import (
    AFTER_PREFIX,
    MISSING,
    encode_value,
    inverted,
)
from webhookcron.embedded.paths import check_plain_path, composite_keys, values_at

_RECORD = Struct(">Q")

_IGNORED_OPTIONS = frozenset({"v", "ns", "background"})
_KNOWN_OPTIONS = frozenset(
    {"key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"}
)
_UNSUPPORTED_OPTIONS = frozenset(
    {
        "collation",
        "wildcardProjection",
        "weights",
        "default_language",
        "language_override",
        "textIndexVersion",
        "2dsphereIndexVersion",
        "bits",
        "min",
        "max",
        "bucketSize",
        "hidden",
        "storageEngine",
        "clustered",
    }
)
_MAX_EXPIRE_SECONDS = 2**31 - 1
_PARTIAL_OPERATORS = frozenset({"$eq", "$gt", "$gte", "$lt", "$lte", "$exists", "$type", "$in"})


class SortPattern:
    """An ordered list of fields with directions: what an index holds and what a sort asks for."""

    __slots__ = ("_compiled", "array_fields", "descending", "names", "paths")

    def __init__(self, fields: Iterable[tuple[str, bool]], purpose: str) -> None:
        pairs = list(fields)
        self.names = tuple(name for name, _ in pairs)
        self.descending = tuple(descending for _, descending in pairs)
        self.paths = tuple(check_plain_path(name, purpose) for name in self.names)
        self.array_fields: set[int] = set()
        """Positions of the fields that were an array in some document this pattern has met."""
        # A slot names what `known` holds of a field; no field name contains the zero byte.
        self._compiled = [
            (path[0] if len(path) == 1 else None, f"{name}\0" if descending else name, descending)
            for name, path, descending in zip(self.names, self.paths, self.descending, strict=True)
        ]

    def keys(self, document: dict[str, Any], known: dict[str, bytes] | None = None) -> list[bytes]:
        """The joined keys of a document: one, unless a path leads through an array.

        `known` keeps what was encoded of this document for other patterns with the same fields.
        """
        if known is None:
            known = {}
        parts: list[bytes] = []
        for name, slot, descending in self._compiled:
            key = known.get(slot)
            if key is None:
                if name is None:
                    return self._expanded(document)
                value = document.get(name, MISSING)
                if type(value) is list:
                    return self._expanded(document)
                key = encode_value(value)
                if descending:
                    key = inverted(key)
                known[slot] = key
            parts.append(key)
        return [b"".join(parts)]

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


class IndexSpec:
    """A checked index declaration."""

    __slots__ = ("expire_after_seconds", "key", "name", "partial_filter", "sparse", "unique")

    def __init__(self, document: dict[str, Any]) -> None:
        """Read one entry of `createIndexes`; raises CommandError for what is malformed or unsupported."""
        for option in document:
            if option in _UNSUPPORTED_OPTIONS:
                raise unsupported(f"the index option {option}")
            if option not in _KNOWN_OPTIONS and option not in _IGNORED_OPTIONS:
                raise CommandError(
                    INVALID_INDEX_SPECIFICATION_OPTION,
                    f"The field '{option}' is not valid for an index specification.",
                )
        key = document.get("key")
        if type(key) is not dict or not key:
            raise CommandError(CANNOT_CREATE_INDEX, "Index keys cannot be an empty object")
        self.key: dict[str, int] = {}
        for path, direction in key.items():
            self.key[path] = _direction(path, direction)
        name = document.get("name")
        if type(name) is not str or not name:
            raise CommandError(9, "The 'name' field is a required property of an index specification")
        self.name = name
        self.unique = bool(document.get("unique", False))
        self.sparse = bool(document.get("sparse", False))
        self.partial_filter = self._checked_partial(document)
        self.expire_after_seconds = self._checked_expiry(document)

    def _checked_partial(self, document: dict[str, Any]) -> dict[str, Any] | None:
        partial = document.get("partialFilterExpression")
        if partial is None:
            return None
        if type(partial) is not dict:
            raise CommandError(14, "The field 'partialFilterExpression' must be an object")
        if self.sparse:
            raise CommandError(
                CANNOT_CREATE_INDEX, "cannot mix 'partialFilterExpression' and 'sparse' options"
            )
        _check_partial_filter(partial)
        compile_filter(partial)
        return partial

    def _checked_expiry(self, document: dict[str, Any]) -> int | None:
        seconds = document.get("expireAfterSeconds")
        if seconds is None:
            return None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise CommandError(14, "The field 'expireAfterSeconds' must be a number")
        if not 0 <= seconds <= _MAX_EXPIRE_SECONDS:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                "TTL index 'expireAfterSeconds' option must be within an acceptable range",
            )
        if len(self.key) != 1 or "_id" in self.key:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                "TTL indexes are single-field indexes, compound indexes do not support TTL",
            )
        return int(seconds)

    def as_document(self) -> dict[str, Any]:
        """The declaration as `listIndexes` shows it and the data file keeps it."""
        document: dict[str, Any] = {"v": 2, "key": dict(self.key), "name": self.name}
        if self.unique:
            document["unique"] = True
        if self.sparse:
            document["sparse"] = True
        if self.partial_filter is not None:
            document["partialFilterExpression"] = self.partial_filter
        if self.expire_after_seconds is not None:
            document["expireAfterSeconds"] = self.expire_after_seconds
        return document


def _direction(path: str, direction: Any) -> int:
    if type(direction) is str:
        raise unsupported(f"an index of kind '{direction}'")
    if isinstance(direction, bool) or not isinstance(direction, int | float) or direction == 0:
        raise CommandError(
            CANNOT_CREATE_INDEX, f"Values in the index key pattern must be non-zero numbers: {path}"
        )
    if "$**" in path:
        raise unsupported("a wildcard index")
    return 1 if direction > 0 else -1


def _check_partial_filter(partial: dict[str, Any]) -> None:
    for name, operand in partial.items():
        if name == "$and" and type(operand) is list:
            for clause in operand:
                _check_partial_filter(clause)
            continue
        operators = operand if type(operand) is dict and next(iter(operand), "")[:1] == "$" else {}
        refused = [operator for operator in operators if operator not in _PARTIAL_OPERATORS]
        if name.startswith("$") or refused or operators.get("$exists", True) is False:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                f"Expression not supported in partial index: {refused[0] if refused else name}",
            )


class Index:
    """The entries of one index over the records of a collection."""

    __slots__ = ("_covers", "_moment_field", "entries", "fields", "pattern", "spec")

    def __init__(self, spec: IndexSpec) -> None:
        self.spec = spec
        self.pattern = SortPattern(
            ((path, direction < 0) for path, direction in spec.key.items()), "an index"
        )
        self.entries: SortedList = SortedList()
        self._covers: Predicate | None = self._coverage()
        self._moment_field = self._only_moments()
        self.fields = {path[0] for path in self.pattern.paths} | _filter_fields(spec.partial_filter)
        """Top-level fields whose change may move a document in the index."""

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

    def keys(self, document: dict[str, Any], known: dict[str, bytes] | None = None) -> list[bytes]:
        """The keys under which the document belongs in this index; none when it is outside a partial index.

        `known` is as for `SortPattern.keys`.
        """
        moment_field = self._moment_field
        if moment_field is not None:
            value = document.get(moment_field)
            if type(value) is datetime:
                return [encode_value(value)]
            if value is None:
                return []
        if self._covers is not None and not self._covers(document):
            return []
        return self.pattern.keys(document, known)

    def conflict(self, keys: list[bytes], record: int | None) -> bool:
        """Whether another record already holds one of the keys (only meaningful for a unique index)."""
        own = None if record is None else _RECORD.pack(record)
        return any(
            own is None or entry[-8:] != own
            for key in keys
            for entry in self.entries.irange(key, key + AFTER_PREFIX)
        )

    def add(self, keys: list[bytes], record: int) -> None:
        """Enter a record under its keys."""
        suffix = _RECORD.pack(record)
        for key in keys:
            self.entries.add(key + suffix)

    def remove(self, keys: list[bytes], record: int) -> None:
        """Take a record out from under its keys."""
        suffix = _RECORD.pack(record)
        for key in keys:
            self.entries.remove(key + suffix)

    def load(self, records: dict[int, dict[str, Any]]) -> None:
        """Fill an empty index from all records; raises DuplicateEntry when a unique index cannot hold them."""
        entries: list[bytes] = []
        for record, document in records.items():
            suffix = _RECORD.pack(record)
            entries.extend(key + suffix for key in self.keys(document))
        self.entries = SortedList(entries)
        if self.spec.unique:
            self._refuse_duplicates()

    def _refuse_duplicates(self) -> None:
        previous = b""
        for entry in self.entries:
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
