"""All databases of one data file in memory, with the background duties: expiry and the bound on finished executions."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import bson
from bson.errors import BSONError

from webhookcron.embedded import data_file as sql
from webhookcron.embedded.adoption import adopt_document
from webhookcron.embedded.collection import Collection
from webhookcron.embedded.data_file import DataFile
from webhookcron.embedded.errors import (
    BAD_VALUE,
    INDEX_KEY_SPECS_CONFLICT,
    INDEX_NOT_FOUND,
    INDEX_OPTIONS_CONFLICT,
    INVALID_NAMESPACE,
    INVALID_OPTIONS,
    CommandError,
    StoreUnavailable,
)
from webhookcron.embedded.index_specs import IndexSpec
from webhookcron.embedded.indexes import Index, record_of
from webhookcron.embedded.journal import Journal
from webhookcron.embedded.redo_log import RedoLog
from webhookcron.embedded.transaction import Transaction

EXECUTIONS = "executions"
"""The collection whose finished documents are bounded, in every database."""

DEFAULT_MAX_FINISHED_EXECUTIONS = 50_000
_TRIMMED_AT_ONCE = 256
"""Finished executions removed together when the bound is passed, so that most inserts remove nothing."""

_EXPIRED_AT_ONCE = 1000
"""Documents that one sweep of a TTL index removes; the rest waits for the next sweep."""

_MOST_LATE = 5_000
"""Records that may wait to be entered into one index: what a query has to wait for at most, some 20 ms."""

_MAX_COLLECTIONS = 10_000
_MAX_INDEXES = 64
_ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


class Store:
    """The collections of one data file. Not thread-safe: one command at a time."""

    def __init__(self, path: Path, max_finished_executions: int = DEFAULT_MAX_FINISHED_EXECUTIONS) -> None:
        """Load the data file; `max_finished_executions` 0 means no bound. Raises StoreUnavailable."""
        self.max_finished_executions = max_finished_executions
        self._file = DataFile(path)
        self._journal = Journal(self._file, RedoLog(path))
        self._transaction = Transaction(self._journal)
        self._collections: dict[tuple[str, str], Collection] = {}
        self._finished: dict[Collection, Index] = {}
        """The executions of each database by `completedAt`, kept while there is a bound."""
        self._next_number = 1
        try:
            self._load()
            self._redo()
        except (BSONError, KeyError, sqlite3.Error) as error:
            self._file.close()
            raise StoreUnavailable(f"the data file {path} is damaged: {error}") from error
        except CommandError as error:
            self._file.close()
            raise StoreUnavailable(f"cannot use the data file {path}: {error.message}") from error

    def _load(self) -> None:
        by_number: dict[int, Collection] = {}
        for number, database, name in self._file.collections():
            collection = Collection(number, database, name, self._transaction)
            by_number[number] = self._collections[database, name] = collection
            self._next_number = max(self._next_number, number + 1)
        for record, number, document, size in self._file.documents():
            by_number[number].load(record, adopt_document(document), size)
            self._transaction.continue_after(record)
        for number, spec in self._file.indexes():
            by_number[number].attach(by_number[number].built_index(IndexSpec(spec)))
        for collection in by_number.values():
            self._watch_finished(collection)

    def _redo(self) -> None:
        """Do again what the data file does not hold."""
        # Not before, as the commands work on stores.
        from webhookcron.embedded.redoing import redo

        for next_record, items in self._journal.redo():
            self._transaction.begin_redo(next_record)
            for item in items:
                redo(self, item)
            self._transaction.redone(next_record)
        self._journal.begin()

    # Collections

    def numbered(self, number: int) -> Collection:
        """The collection of this number; raises KeyError."""
        for collection in self._collections.values():
            if collection.number == number:
                return collection
        raise KeyError(number)

    def find(self, database: str, name: str) -> Collection | None:
        """The collection, or None when it does not exist."""
        return self._collections.get((database, name))

    def obtain(self, database: str, name: str) -> Collection:
        """The collection, created when it does not exist."""
        collection = self._collections.get((database, name))
        return self._create(database, name) if collection is None else collection

    def _create(self, database: str, name: str) -> Collection:
        _check_namespace(database, name)
        if len(self._collections) >= _MAX_COLLECTIONS:
            raise CommandError(BAD_VALUE, f"more than {_MAX_COLLECTIONS} collections")
        number, self._next_number = self._next_number, self._next_number + 1
        collection = Collection(number, database, name, self._transaction)
        self._collections[database, name] = collection
        self._transaction.changed_catalog(
            sql.INSERT_COLLECTION,
            (number, database, name),
            lambda: _ignore(self._forget_collection(database, name)),
        )
        self._watch_finished(collection)
        return collection

    def _forget_collection(self, database: str, name: str) -> Collection:
        collection = self._collections.pop((database, name))
        self._finished.pop(collection, None)
        return collection

    def drop(self, database: str, name: str) -> int | None:
        """Remove a collection; the number of indexes it had, None when there was none."""
        if (database, name) not in self._collections:
            return None
        finished = self._finished.get(self._collections[database, name])
        collection = self._forget_collection(database, name)

        collection.is_dropped = True

        def undo() -> None:
            collection.is_dropped = False
            self._collections[database, name] = collection
            if finished is not None:
                self._finished[collection] = finished

        self._transaction.dropped(collection)
        self._transaction.changed_catalog(sql.DELETE_COLLECTION, (collection.number,), undo)
        self._transaction.changed_catalog(sql.DELETE_INDEXES, (collection.number,), lambda: None)
        return len(collection.indexes) + 1

    def collections_of(self, database: str) -> list[Collection]:
        """The collections of a database, by name."""
        found = (collection for (owner, _), collection in self._collections.items() if owner == database)
        return sorted(found, key=lambda collection: collection.name)

    def databases(self) -> list[str]:
        """The names of the databases that have a collection."""
        return sorted({database for database, _ in self._collections})

    # Indexes

    def create_index(self, collection: Collection, document: dict[str, Any]) -> bool:
        """Declare an index; False when the very same one exists. Raises CommandError on a conflict."""
        spec = IndexSpec(adopt_document(document))
        if list(spec.key) == ["_id"]:
            return False
        for present in collection.indexes.values():
            same_key = list(present.spec.key.items()) == list(spec.key.items())
            same_name = present.spec.name == spec.name
            if same_name and present.spec.as_document() == spec.as_document():
                return False
            if same_name:
                code = INDEX_OPTIONS_CONFLICT if same_key else INDEX_KEY_SPECS_CONFLICT
                raise CommandError(
                    code, f"An existing index has the same name as the requested index: {spec.name}"
                )
            if same_key and present.spec.partial_filter == spec.partial_filter:
                raise CommandError(
                    INDEX_OPTIONS_CONFLICT, f"Index already exists with a different name: {present.spec.name}"
                )
        if len(collection.indexes) >= _MAX_INDEXES - 1:
            raise CommandError(67, f"add index fails, too many indexes for {collection.namespace}")
        collection.attach(collection.built_index(spec))
        self._transaction.changed_catalog(
            sql.INSERT_INDEX,
            (collection.number, spec.name, bson.encode(spec.as_document())),
            lambda: _ignore(collection.detach(spec.name)),
        )
        return True

    def drop_index(self, collection: Collection, name: str) -> None:
        """Remove an index by name; raises CommandError when it does not exist or is that of `_id`."""
        if name == "_id_":
            raise CommandError(INVALID_OPTIONS, "cannot drop _id index")
        if name not in collection.indexes:
            raise CommandError(INDEX_NOT_FOUND, f"index not found with name [{name}]")
        index = collection.detach(name)
        self._transaction.changed_catalog(
            sql.DELETE_INDEX, (collection.number, name), lambda: self._bring_back(collection, index)
        )

    def _bring_back(self, collection: Collection, index: Index) -> None:
        # Built anew: documents may have changed since it was detached.
        collection.attach(collection.built_index(index.spec))

    @staticmethod
    def index_documents(collection: Collection) -> list[dict[str, Any]]:
        """All index declarations of a collection, that of `_id` first."""
        return [_ID_INDEX, *(index.spec.as_document() for index in collection.indexes.values())]

    # Duties

    @property
    def is_clean(self) -> bool:
        """Whether everything done so far is committed."""
        return self._transaction.is_empty

    @property
    def must_measure(self) -> bool:
        """Whether an update has to measure what it makes, however small it is itself."""
        return self._journal.must_measure

    def before_request(self) -> int:
        """A mark for `repeatable`, taken before a request is carried out."""
        return self._transaction.before_request()

    def repeatable(self, mark: int, message: bytes) -> None:
        """The changes since the mark are those of this message, which can be carried out again (redoing.py)."""
        self._transaction.repeatable(mark, message)

    def commit(self) -> None:
        """Make everything since the last commit durable; raises CommandError after undoing it."""
        if self._transaction.is_empty:
            return
        self._trim_finished()
        for collection in self._transaction.commit():
            for index in collection.all_indexes:
                if index.late > _MOST_LATE:
                    index.catch_up(index.late - _MOST_LATE)

    def catch_up(self) -> bool:
        """Enter a few hundred records into each index for which some wait; whether there was any."""
        found = False
        for collection in self._collections.values():
            for index in collection.all_indexes:
                if index.late:
                    index.catch_up()
                    found = True
        return found

    def roll_back(self) -> None:
        """Undo everything since the last commit."""
        self._transaction.roll_back()

    def sweep_expired(self, now: datetime) -> int:
        """Remove documents whose TTL index says they expired at or before `now` (naive UTC); how many."""
        removed = 0
        for collection in list(self._collections.values()):
            for index in list(collection.indexes.values()):
                seconds = index.spec.expire_after_seconds
                if seconds is not None:
                    removed += self._remove_expired(collection, index, now - timedelta(seconds=seconds))
        return removed

    def _remove_expired(self, collection: Collection, index: Index, limit: datetime) -> int:
        clauses = [{index.pattern.names[0]: {"$lte": limit}}]
        if index.spec.partial_filter:
            clauses.append(index.spec.partial_filter)
        expired = list(islice(collection.matching_records({"$and": clauses}), _EXPIRED_AT_ONCE))
        for record in expired:
            collection.remove(record)
        return len(expired)

    def _watch_finished(self, collection: Collection) -> None:
        if collection.name != EXECUTIONS or not self.max_finished_executions:
            return
        spec = IndexSpec(
            {
                "key": {"completedAt": 1},
                "name": "finished",
                "partialFilterExpression": {"completedAt": {"$type": "date"}},
            }
        )
        index = collection.built_index(spec)
        collection.attach(index, internal=True)
        self._finished[collection] = index

    def _trim_finished(self) -> None:
        bound = self.max_finished_executions
        for collection, index in self._finished.items():
            if index.most_entries <= bound or len(index.entries) <= bound:
                continue
            surplus = len(index.entries) - bound + min(_TRIMMED_AT_ONCE, bound // 2)
            for entry in list(index.entries[:surplus]):
                record = record_of(entry)
                if record in collection.records:
                    collection.remove(record)

    def save_some(self) -> bool:
        """Bring the data file a step nearer to what is in memory; whether there was something to do.

        Not while something awaits its commit: what may yet be undone is not for the file.
        """
        return self.is_clean and self._journal.save_some()

    def give_back_space(self) -> None:
        """Let the data file shrink a little when it has much free space."""
        self._journal.give_back_space()

    def document_counts(self) -> Iterator[tuple[str, int]]:
        """Namespace and number of documents of every collection."""
        for collection in self._collections.values():
            yield collection.namespace, len(collection.records)

    def close(self) -> None:
        """Commit what is left, save it, and close the data file."""
        try:
            self.commit()
        finally:
            self._journal.close()


def _ignore(_: object) -> None:
    return None


def _check_namespace(database: str, name: str) -> None:
    if not database or len(database) > 63 or any(c in database for c in '/\\. "$\0'):
        raise CommandError(INVALID_NAMESPACE, f"Invalid database name: '{database}'")
    if not name or name.startswith((".", "system.")) or name.endswith(".") or "$" in name or "\0" in name:
        raise CommandError(INVALID_NAMESPACE, f"Invalid collection name: '{name}'")
    if len(database) + len(name) + 1 > 255:
        raise CommandError(INVALID_NAMESPACE, f"Fully qualified namespace is too long: '{database}.{name}'")
