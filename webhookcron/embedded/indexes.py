"""Sorted indexes: their entries, and how documents enter and leave them.

An entry is the joined keys of the indexed fields (see ordering.py) followed by the document's record number, so a
plain sorted list of byte strings serves equality, ranges, both directions and uniqueness.

Entries follow late: a change only notes the version that the index still holds, and whoever asks for the entries finds
them brought up to date. An execution that is inserted, claimed, ended and counted before anybody asks moves once.
"""

from datetime import datetime
from itertools import islice
from struct import Struct
from typing import Any

from webhookcron.embedded.entry_list import EntryList
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.matching import Predicate, compile_filter
from webhookcron.embedded.ordering import AFTER_PREFIX, MISSING, moment_key
from webhookcron.embedded.paths import values_at
from webhookcron.embedded.sort_patterns import SortPattern

_RECORD = Struct(">Q")

_CAUGHT_UP_AT_ONCE = 500
"""Late records that `catch_up` enters: some milliseconds, which no request notices."""


class Index:
    """The entries of one index over the records of a collection."""

    __slots__ = ("_covers", "_entries", "_moment_field", "_records", "fields", "late_versions",
                 "pattern", "spec")  # fmt: skip

    def __init__(self, spec: IndexSpec, records: dict[int, dict[str, Any]]) -> None:
        """An index over these records, as they are and as they change; `load` fills it."""
        self.spec = spec
        self.pattern = SortPattern(
            ((path, direction < 0) for path, direction in spec.key.items()), "an index"
        )
        self._records = records
        self._entries = EntryList()
        self.late_versions: dict[int, dict[str, Any] | None] = {}
        """By record, the version of which the entries are there; None = none are."""
        self._covers: Predicate | None = self._coverage()
        self._moment_field = self._only_moments()
        self.fields = {path[0] for path in self.pattern.paths} | _filter_fields(spec.partial_filter)
        """Top-level fields whose change may move a document in the index."""

    @property
    def entries(self) -> EntryList:
        """The entries of all records as they are now, in order."""
        if self.late_versions:
            self._enter(list(self.late_versions.items()))
            self.late_versions.clear()
        return self._entries

    @property
    def late(self) -> int:
        """How many records are to be entered anew."""
        return len(self.late_versions)

    @property
    def most_entries(self) -> int:
        """A number that the entries do not exceed where no field is an array, had without bringing them up to date."""
        return len(self._entries) + len(self.late_versions)

    def catch_up(self, at_least: int = 0) -> None:
        """Enter those records that have waited longest: so many, or a few hundred if that is more."""
        first = list(islice(self.late_versions.items(), max(_CAUGHT_UP_AT_ONCE, at_least)))
        for record, _ in first:
            del self.late_versions[record]
        self._enter(first)

    def _enter(self, late: list[tuple[int, dict[str, Any] | None]]) -> None:
        records = self._records
        gone: dict[int, dict[str, Any]] = {}
        come: dict[int, dict[str, Any]] = {}
        for record, old in late:
            new = records.get(record)
            if new is not old:
                if old is not None:
                    gone[record] = old
                if new is not None:
                    come[record] = new
        added = set(self._entries_of(come))
        if gone:
            removed = set(self._entries_of(gone))
            for entry in removed - added:
                self._entries.remove(entry)
            added -= removed
        self._entries.add_run(sorted(added))

    def _entries_of(self, records: dict[int, dict[str, Any]]) -> list[bytes]:
        pack = _RECORD.pack
        name = self._moment_field
        if name is not None:
            found: list[bytes] = []
            for record, document in records.items():
                value = document.get(name)
                if type(value) is datetime:
                    found.append(moment_key(value) + pack(record))
                elif value is not None:
                    found += [key + pack(record) for key in self.keys(document)]
            return found
        if self._covers is not None:
            covers = self._covers
            records = {record: document for record, document in records.items() if covers(document)}
        return self.pattern.entries(list(records.values()), list(map(pack, records)))

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
        self._entries = EntryList(self._entries_of(self._records))
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
