"""One collection: its records, its indexes, and the single ways in which a document enters, changes and leaves."""

from collections.abc import Iterator
from typing import Any

from webhookcron.embedded.errors import DUPLICATE_KEY, CommandError
from webhookcron.embedded.indexes import DuplicateEntry, Index, IndexSpec, SortPattern
from webhookcron.embedded.matching import compile_filter, is_operator_document
from webhookcron.embedded.ordering import hashable_id
from webhookcron.embedded.planner import choose_plan
from webhookcron.embedded.transaction import Transaction

Document = dict[str, Any]


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
        self._transaction = transaction
        self._all_indexes: tuple[Index, ...] = ()
        self._internal: list[Index] = []
        self._by_field: dict[str, tuple[Index, ...]] = {}

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
        self._all_indexes = (*self.indexes.values(), *self._internal)
        fields = {field for index in self._all_indexes for field in index.fields}
        self._by_field = {
            field: tuple(index for index in self._all_indexes if field in index.fields) for field in fields
        }

    def built_index(self, spec: IndexSpec) -> Index:
        """A new index over the present documents; raises the duplicate-key error when it cannot be unique."""
        index = Index(spec)
        try:
            index.load(self.records)
        except DuplicateEntry as duplicate:
            raise self._duplicate(index, self.records[duplicate.record]) from duplicate
        return index

    # Changes

    def insert(self, document: Document, body: bytes | None = None) -> None:
        """Add a document that has an `_id`; `body` is its BSON when the caller has it.

        Raises the duplicate-key error (11000) and then leaves everything as it was.
        """
        identity = hashable_id(document["_id"])
        if identity in self.record_by_id:
            raise self._duplicate_id(document["_id"])
        keys = [index.keys(document) for index in self._all_indexes]
        for index, index_keys in zip(self._all_indexes, keys, strict=True):
            if index.spec.unique and index.conflict(index_keys, None):
                raise self._duplicate(index, document)
        record = self._transaction.new_record()
        for index, index_keys in zip(self._all_indexes, keys, strict=True):
            if index_keys:
                index.add(index_keys, record)
        self.records[record] = document
        self.record_by_id[identity] = record
        self._transaction.stored(self, record, None, document, body)

    def replace(self, record: int, new: Document, touches: set[str] | None) -> None:
        """Put a new version in the place of a document with the same `_id`.

        `touches` names the top-level fields that may differ; None means any. Raises the duplicate-key error.
        """
        old = self.records[record]
        moves: list[tuple[Index, list[bytes], list[bytes]]] = []
        for index in self._all_indexes if touches is None else self._touched(touches):
            old_keys, new_keys = index.keys(old), index.keys(new)
            if old_keys != new_keys:
                if index.spec.unique and index.conflict(new_keys, record):
                    raise self._duplicate(index, new)
                moves.append((index, old_keys, new_keys))
        for index, old_keys, new_keys in moves:
            index.remove(old_keys, record)
            index.add(new_keys, record)
        self.records[record] = new
        self._transaction.stored(self, record, old, new, None)

    def _touched(self, touches: set[str]) -> list[Index]:
        by_field = self._by_field
        found: list[Index] = []
        for field in touches:
            for index in by_field.get(field, ()):
                if index not in found:
                    found.append(index)
        return found

    def remove(self, record: int) -> None:
        """Take a document out."""
        document = self.records.pop(record)
        del self.record_by_id[hashable_id(document["_id"])]
        for index in self._all_indexes:
            keys = index.keys(document)
            if keys:
                index.remove(keys, record)
        self._transaction.removed(self, record, document)

    def restore(self, record: int, old: Document | None) -> None:
        """Undo one change: bring back the old version, or take an inserted document out (None)."""
        present = self.records.get(record)
        if present is not None:
            for index in self._all_indexes:
                index.remove(index.keys(present), record)
            if old is None:
                del self.records[record]
                del self.record_by_id[hashable_id(present["_id"])]
        if old is not None:
            self.records[record] = old
            self.record_by_id[hashable_id(old["_id"])] = record
            for index in self._all_indexes:
                index.add(index.keys(old), record)

    def load(self, record: int, document: Document) -> None:
        """Take in a document from the data file, before any index is attached."""
        self.records[record] = document
        self.record_by_id[hashable_id(document["_id"])] = record

    # Reading

    def matching_records(
        self, condition: Document, sort: SortPattern | None = None, wanted: int | None = None
    ) -> Iterator[int]:
        """Record numbers of the matching documents, in the order of the sort when one is given.

        `wanted` is how many the caller will take at most. The collection must not change while iterating.
        """
        direct = self._by_identity(condition)
        matches = compile_filter(condition)
        records = self.records
        if direct is not None:
            found = (record for record in direct if matches(records[record]))
            return self._sorted(found, sort)
        plan = None
        if condition or sort is not None:
            plan = choose_plan(list(self.indexes.values()), condition, sort, wanted)
        if plan is None:
            if not condition:
                return self._sorted(iter(records), sort)
            return self._sorted((r for r, document in records.items() if matches(document)), sort)
        found = (record for record in plan.records() if matches(records[record]))
        return found if plan.sorted_already else self._sorted(found, sort)

    def find(
        self, condition: Document, sort: SortPattern | None = None, wanted: int | None = None
    ) -> Iterator[Document]:
        """The matching documents; see `matching_records`."""
        records = self.records
        return (records[record] for record in self.matching_records(condition, sort, wanted))

    def _sorted(self, found: Iterator[int], sort: SortPattern | None) -> Iterator[int]:
        if sort is None:
            return found
        records = self.records
        sort_key = sort.sort_key
        return iter(sorted(found, key=lambda record: sort_key(records[record])))

    def _by_identity(self, condition: Document) -> list[int] | None:
        """The records that an equality or `$in` on `_id` allows; None when the filter has neither."""
        if "_id" not in condition:
            return None
        operand = condition["_id"]
        if is_operator_document(operand):
            if type(operand.get("$in")) is list:
                wanted = operand["$in"]
            elif "$eq" in operand:
                wanted = [operand["$eq"]]
            else:
                return None
        else:
            wanted = [operand]
        by_id = self.record_by_id
        found: dict[int, None] = {}
        for value in wanted:
            if type(value).__name__ == "Regex":
                return None
            record = by_id.get(hashable_id(value))
            if record is not None:
                found[record] = None
        return list(found)

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
    if type(value).__name__ == "ObjectId":
        return f"ObjectId('{value}')"
    return str(value)
