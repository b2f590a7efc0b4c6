"""One collection: its records, its indexes, and the single ways in which a document enters, changes and leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from bson import ObjectId, Regex

from webhookcron.embedded.errors import DUPLICATE_KEY, CommandError
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.indexes import DuplicateEntry, Index
from webhookcron.embedded.journal import LARGE_DOCUMENT_BYTES
from webhookcron.embedded.matching import compile_filter, is_operator_document
from webhookcron.embedded.ordering import MISSING, hashable_id
from webhookcron.embedded.planner import choose_plan
from webhookcron.embedded.sort_patterns import SortPattern
from webhookcron.embedded.transaction import Transaction

Document = dict[str, Any]

_MAX_REMEMBERED_SHAPES = 1000

_PLAIN_TYPES = frozenset({str, int, bool, datetime})
"""Types of which two equal values of the very same type are equal in BSON."""


def _note(late_versions: Iterable[dict[int, Document | None]], record: int, old: Document | None) -> None:
    """A record has another version than `old` now (None = it is new); the entries of these indexes follow later."""
    for late in late_versions:
        if record not in late:
            late[record] = old


class _Touched:
    """A field that an update touches, and the indexes in which a change of it may move a document."""

    __slots__ = ("field", "indexes", "is_checked", "late")

    def __init__(self, field: str, indexes: tuple[Index, ...]) -> None:
        self.field = field
        self.indexes = indexes
        self.late = tuple(index.late_versions for index in indexes)
        self.is_checked = any(index.spec.unique or index.pattern.has_dotted_path for index in indexes)
        """Whether one of them may refuse a document though the field is no array."""


class Collection:
    """Documents by record number, in order of insertion; every change is entered in the transaction.

    Documents are never changed in place, so readers may keep them.
    """

    def __init__(self, number: int, database: str, name: str, transaction: Transaction) -> None:
        self.number = number
        self.database = database
        self.name = name
        self.records: dict[int, Document] = {}
        self.record_by_id: dict[Any, int] = {}
        self.indexes: dict[str, Index] = {}
        self.large_records: set[int] = set()
        """Records so large that each update of them must be measured."""
        self.is_dropped = False
        self._transaction = transaction
        self.all_indexes: tuple[Index, ...] = ()
        """Internal ones among them."""
        self._internal: list[Index] = []
        self._unique_indexes: tuple[Index, ...] = ()
        self._refusing_indexes: dict[tuple[str, ...], tuple[Index, ...]] = {}
        self._late: tuple[dict[int, Document | None], ...] = ()
        """What each index has still to enter."""
        self._touched_indexes: dict[frozenset[str], list[_Touched]] = {}

    @property
    def namespace(self) -> str:
        """`database.collection`, as error messages show it."""
        return f"{self.database}.{self.name}"

    # Indexes

    def attach(self, index: Index, internal: bool = False) -> None:
        """Keep an index, already filled, up to date from now on; an internal one is listed nowhere."""
        if internal:
            self._internal.append(index)
        else:
            self.indexes[index.spec.name] = index
        self._refresh_index_tables()

    def detach(self, name: str) -> Index:
        """Stop keeping an index; gives it back as it was."""
        index = self.indexes.pop(name)
        self._refresh_index_tables()
        return index

    def _refresh_index_tables(self) -> None:
        self.all_indexes = (*self.indexes.values(), *self._internal)
        self._unique_indexes = tuple(index for index in self.all_indexes if index.spec.unique)
        self._refusing_indexes.clear()
        self._late = tuple(index.late_versions for index in self.all_indexes)
        self._touched_indexes.clear()

    def built_index(self, spec: IndexSpec) -> Index:
        """A new index over the present documents; raises the duplicate-key error when it cannot be unique."""
        index = Index(spec, self.records)
        try:
            index.load()
        except DuplicateEntry as duplicate:
            raise self._duplicate(index, self.records[duplicate.record]) from duplicate
        return index

    # Changes

    def insert(self, document: Document) -> None:
        """Add a document that has an `_id`.

        Raises the duplicate-key error (11000) and then leaves everything as it was.
        """
        identity = hashable_id(document["_id"])
        if identity in self.record_by_id:
            raise self._duplicate_id(document["_id"])
        self._check_keys(document, None)
        self._enter(self._transaction.new_record(), identity, document)

    def _enter(self, record: int, identity: Any, document: Document) -> None:
        # One that was rolled back may have had the number before: then its entries are what is late.
        _note(self._late, record, None)
        self.records[record] = document
        self.record_by_id[identity] = record
        self._transaction.stored(self, record, None)

    def place(self, record: int, document: Document | None) -> None:
        """Make this the version of a record, as it was once before (None: it was gone); nothing is checked."""
        self._transaction.continue_after(record)
        old = self.records.get(record)
        if old is None:
            if document is not None:
                self._enter(record, hashable_id(document["_id"]), document)
        elif document is None:
            self.remove(record)
        else:
            _note(self._late, record, old)
            self.records[record] = document
            self._transaction.stored(self, record, old)

    def _check_keys(self, document: Document, record: int | None) -> None:
        """Refuse what an index cannot hold, before anything is changed."""
        for index in self._unique_indexes:
            if index.conflict(index.keys(document), record):
                raise self._duplicate(index, document)
        arrays: tuple[str, ...] = ()
        if list(map(type, document.values())).count(list) > 1:
            arrays = tuple(name for name, value in document.items() if type(value) is list)
        for index in self._refusing(arrays):
            index.keys(document)

    def _refusing(self, array_fields: tuple[str, ...]) -> tuple[Index, ...]:
        """The indexes that might refuse a document of which these fields are arrays."""
        found = self._refusing_indexes.get(array_fields)
        if found is None:
            found = tuple(index for index in self.all_indexes if index.pattern.may_refuse(array_fields))
            if len(self._refusing_indexes) < _MAX_REMEMBERED_SHAPES:
                self._refusing_indexes[array_fields] = found
        return found

    def replace(self, record: int, new: Document, touches: frozenset[str] | None) -> None:
        """Put a new version in the place of a document with the same `_id`.

        `touches` names the top-level fields that may differ; None means any. Raises the duplicate-key error.
        """
        old = self.records[record]
        if touches is None:
            self._check_keys(new, record)
            _note(self._late, record, old)
        else:
            self._note_touched(record, old, new, touches)
        self.records[record] = new
        self._transaction.stored(self, record, old)

    def _note_touched(self, record: int, old: Document, new: Document, touches: frozenset[str]) -> None:
        """Note the change in the indexes over fields whose value is another one: often what is touched stays."""
        changed = [
            touched
            for touched in self._touched(touches)
            if old.get(touched.field, MISSING) is not new.get(touched.field, MISSING)
        ]
        for touched in changed:
            if touched.is_checked or type(new.get(touched.field)) is list:
                self._check_keys(new, record)
                break
        for touched in changed:
            _note(touched.late, record, old)

    def _touched(self, touches: frozenset[str]) -> list[_Touched]:
        found = self._touched_indexes.get(touches)
        if found is None:
            found = [
                _Touched(field, tuple(index for index in self.all_indexes if field in index.fields))
                for field in touches
                if any(field in index.fields for index in self.all_indexes)
            ]
            if len(self._touched_indexes) < _MAX_REMEMBERED_SHAPES:
                self._touched_indexes[touches] = found
        return found

    def remove(self, record: int) -> None:
        """Take a document out."""
        document = self.records.pop(record)
        del self.record_by_id[hashable_id(document["_id"])]
        _note(self._late, record, document)
        self.large_records.discard(record)
        self._transaction.stored(self, record, document)

    def restore(self, record: int, old: Document | None) -> None:
        """Undo one change: bring back the old version, or take an inserted document out (None)."""
        present = self.records.get(record)
        _note(self._late, record, present)
        if old is not None:
            self.records[record] = old
            self.record_by_id[hashable_id(old["_id"])] = record
        elif present is not None:
            del self.records[record]
            del self.record_by_id[hashable_id(present["_id"])]

    def load(self, record: int, document: Document, size: int) -> None:
        """Take in a document of this many bytes from the data file, before any index is attached."""
        self.records[record] = document
        self.record_by_id[hashable_id(document["_id"])] = record
        if size > LARGE_DOCUMENT_BYTES:
            self.large_records.add(record)

    # Reading

    def stored(self, record: int) -> Document | None:
        """The document of a record; None when it is gone, maybe with the whole collection."""
        return None if self.is_dropped else self.records.get(record)

    def matching_records(
        self, condition: Document, sort: SortPattern | None = None, wanted: int | None = None
    ) -> Iterator[int]:
        """Record numbers of the matching documents, in the order of the sort when one is given.

        `wanted` is how many the caller will take at most. The collection must not change while iterating.
        """
        records = self.records
        direct = self._by_identity(condition)
        if direct is not None:
            found, rest = direct
            if rest:
                matches = compile_filter(rest)
                found = [record for record in found if matches(records[record])]
            return self._sorted(iter(found), sort)
        matches = compile_filter(condition)
        plan = None
        if condition or sort is not None:
            plan = choose_plan(list(self.indexes.values()), condition, sort, wanted)
        if plan is None:
            if not condition:
                return self._sorted(iter(records), sort)
            return self._sorted((r for r, document in records.items() if matches(document)), sort)
        candidates = (record for record in plan.records() if matches(records[record]))
        return candidates if plan.sorted_already else self._sorted(candidates, sort)

    def guarded_record(self, condition: Document) -> int | None:
        """The record of a filter that names one `_id` and compares other fields with plain values, when it matches.

        None also for every other kind of filter: ask `matching_records`. This is how nearly all updates ask, so it
        compiles nothing.
        """
        identity = condition.get("_id")
        if type(identity) is not str:
            return None
        record = self.record_by_id.get(identity)
        if record is None:
            return None
        document = self.records[record]
        for name, operand in condition.items():
            kind = type(operand)
            if kind is dict:
                if not _lacks(document, name, operand):
                    return None
            # Only the very type: what else may be equal (1 and 1.0, an element of an array) needs the compiled form.
            elif (
                kind not in _PLAIN_TYPES or document.get(name) != operand or type(document[name]) is not kind
            ):
                return None
        return record

    def find(
        self, condition: Document, sort: SortPattern | None = None, wanted: int | None = None
    ) -> Iterator[Document]:
        """The matching documents; see `matching_records`."""
        records = self.records
        return (records[record] for record in self.matching_records(condition, sort, wanted))

    def count(self, condition: Document) -> int:
        """How many documents match; from an index alone where equality with text is all that is asked."""
        if not condition:
            return len(self.records)
        if all(_is_text(operand) for operand in condition.values()):
            plan = choose_plan(list(self.indexes.values()), condition, None, None)
            if plan is not None and plan.served.issuperset(condition) and not plan.index.pattern.array_fields:
                return plan.candidates
        return sum(1 for _ in self.matching_records(condition))

    def _sorted(self, found: Iterator[int], sort: SortPattern | None) -> Iterator[int]:
        if sort is None:
            return found
        records = self.records
        sort_key = sort.sort_key
        return iter(sorted(found, key=lambda record: sort_key(records[record])))

    def _by_identity(self, condition: Document) -> tuple[list[int], Document] | None:
        """The records that the filter's `_id` names, and what else it asks; None when it names none exactly."""
        if "_id" not in condition:
            return None
        operand = condition["_id"]
        wanted = [operand]
        if is_operator_document(operand):
            if len(operand) > 1:
                return None
            operator, argument = next(iter(operand.items()))
            if operator == "$in" and type(argument) is list:
                wanted = argument
            elif operator == "$eq":
                wanted = [argument]
            else:
                return None
        by_id = self.record_by_id
        found: list[int] = []
        for value in wanted:
            if type(value) is Regex or is_operator_document(value):
                return None
            record = by_id.get(hashable_id(value))
            if record is not None:
                found.append(record)
        rest = {name: value for name, value in condition.items() if name != "_id"}
        return (found if len(found) < 2 else list(dict.fromkeys(found))), rest

    # Errors

    def _duplicate_id(self, identity: Any) -> CommandError:
        return _duplicate_key(self.namespace, "_id_", {"_id": 1}, {"_id": identity})

    def _duplicate(self, index: Index, document: Document) -> CommandError:
        spec = index.spec
        return _duplicate_key(self.namespace, spec.name, dict(spec.key), index.key_value(document))


def _duplicate_key(
    namespace: str, index: str, pattern: dict[str, int], value: dict[str, Any]
) -> CommandError:
    shown = ", ".join(f"{name}: {_shown(part)}" for name, part in value.items())
    return CommandError(
        DUPLICATE_KEY,
        f"E11000 duplicate key error collection: {namespace} index: {index} dup key: {{ {shown} }}",
        {"keyPattern": pattern, "keyValue": value},
    )


def _shown(value: Any) -> str:
    if type(value) is str:
        return f'"{value}"'
    if value is None:
        return "null"
    if type(value) is ObjectId:
        return f"ObjectId('{value}')"
    return str(value)


def _lacks(document: Document, name: str, operand: Document) -> bool:
    """Whether the condition is `{"$ne": text}` on a field that is missing, or an array without that text."""
    if len(operand) != 1 or type(unwanted := operand.get("$ne")) is not str or name[:1] == "$" or "." in name:
        return False
    value = document.get(name, MISSING)
    return value is MISSING or (type(value) is list and unwanted not in value)


def _is_text(operand: Any) -> bool:
    """Whether the filter asks for one text, or one of several: what an index entry decides without the document."""
    if type(operand) is str:
        return True
    if type(operand) is not dict or operand.keys() != {"$in"} or type(operand["$in"]) is not list:
        return False
    values = operand["$in"]
    return all(type(value) is str for value in values) and len(set(values)) == len(values)
