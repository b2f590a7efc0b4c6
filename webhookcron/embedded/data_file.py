"""The data file: documents in one SQLite database, written in groups; the redo log (redo_log.py) continues it.

The file holds whole documents as BSON; memory is what answers queries. What was written survives the death of the
process (SIGKILL) at once; with `synchronous=NORMAL` a power cut may cost the last moments but never damages the file
(SQLite documentation, "Write-Ahead Logging").
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion

from webhookcron.embedded.errors import StoreUnavailable

SCHEMA_VERSION = 2
_WITHOUT_LOG = 1
"""The version that wrote everything here at once: such a file is continued by no log yet."""
ALREADY_OPEN_EXIT_CODE = 3

CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""How documents are decoded everywhere in the store: naive UTC moments, as BSON has no zones."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (
    id INTEGER PRIMARY KEY, database TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (database, name));
CREATE TABLE IF NOT EXISTS indexes (
    collection INTEGER NOT NULL, name TEXT NOT NULL, spec BLOB NOT NULL, PRIMARY KEY (collection, name));
CREATE TABLE IF NOT EXISTS documents (
    record INTEGER PRIMARY KEY, collection INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS redo (generation INTEGER NOT NULL);
INSERT INTO redo (generation) SELECT 0 WHERE NOT EXISTS (SELECT * FROM redo)
"""

CatalogChange = tuple[str, tuple[Any, ...]]
"""A statement on collections or indexes, and its values."""

_VACUUM_PAGES = 512
"""Free pages given back to the file system at a time, so that no request waits long."""

_KEPT_FREE_PAGES = 256
_LOG_LIMIT_BYTES = 16 * 1024 * 1024
_PAGE_BYTES = 8192
"""Of new files: several finished executions to a page cost a fifth less than with SQLite's 4096."""


class DataFile:
    """One open data file; holds its lock until closed."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises StoreUnavailable when it is in use, unreadable or not a data file."""
        self.path = path
        try:
            # SQLite gives its log the mode of the file: documents are for this user only.
            path.touch(mode=0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot open the data file {path}: {error.strerror}") from error
        self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreUnavailable(
                    f"the data file {path} is in use by another server", ALREADY_OPEN_EXIT_CODE
                ) from error
            raise StoreUnavailable(f"cannot use the data file {path}: {error}") from error
        except StoreUnavailable:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA busy_timeout=0")
        execute(f"PRAGMA page_size={_PAGE_BYTES}")
        execute("PRAGMA locking_mode=EXCLUSIVE")
        execute("PRAGMA auto_vacuum=INCREMENTAL")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        execute(f"PRAGMA journal_size_limit={_LOG_LIMIT_BYTES}")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _WITHOUT_LOG, SCHEMA_VERSION):
            raise StoreUnavailable(f"the data file {self.path} was made by another version ({version})")
        # Taking the write lock now is what refuses a second server.
        execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            execute(statement)
        execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        execute("COMMIT")

    def collections(self) -> list[tuple[int, str, str]]:
        """Number, database and name of every collection."""
        return self._connection.execute("SELECT id, database, name FROM collections ORDER BY id").fetchall()

    def indexes(self) -> list[tuple[int, dict[str, Any]]]:
        """Collection number and declaration of every index."""
        rows = self._connection.execute("SELECT collection, spec FROM indexes ORDER BY rowid").fetchall()
        return [(collection, bson.decode(spec, CODEC)) for collection, spec in rows]

    def documents(self) -> Iterator[tuple[int, int, dict[str, Any], int]]:
        """Record number, collection number, document and its size in bytes, in the order of insertion."""
        rows = self._connection.execute("SELECT record, collection, body FROM documents ORDER BY record")
        for record, collection, body in rows:
            yield record, collection, bson.decode(body, CODEC), len(body)

    def generation(self) -> int:
        """The redo log that continues this file."""
        generation: int = self._connection.execute("SELECT generation FROM redo").fetchone()[0]
        return generation

    # One transaction at a time: `begin`, any of the changes, then `finish` or `roll_back`. All raise sqlite3.Error
    # when the file cannot be written.

    def begin(self) -> None:
        """Open the transaction."""
        self._connection.execute("BEGIN IMMEDIATE")

    def change_catalog(self, changes: Iterable[CatalogChange]) -> None:
        """Carry out statements on collections and indexes."""
        for statement, values in changes:
            self._connection.execute(statement, values)

    def put(self, documents: list[tuple[int, int, bytes]], removed: list[tuple[int]]) -> None:
        """Write documents, new ones and new versions, given as (record, collection number, body); remove others."""
        if removed:
            self._connection.executemany("DELETE FROM documents WHERE record = ?", removed)
        if documents:
            self._connection.executemany(
                "INSERT OR REPLACE INTO documents (record, collection, body) VALUES (?, ?, ?)", documents
            )

    def finish(self, generation: int) -> None:
        """Commit; from here the log of this generation continues the file."""
        self._connection.execute("UPDATE redo SET generation = ?", (generation,))
        self._connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Leave the file as it was."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def give_back_space(self) -> None:
        """Return some free pages to the file system when there are many."""
        free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free > _KEPT_FREE_PAGES:
            # As a script: the statement frees a page a step, and `execute` makes one step only.
            self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            # The file itself gets shorter when the log is folded into it.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Fold the log into the file and release the lock."""
        self._connection.close()


INSERT_COLLECTION = "INSERT INTO collections (id, database, name) VALUES (?, ?, ?)"
DELETE_COLLECTION = "DELETE FROM collections WHERE id = ?"
INSERT_INDEX = "INSERT OR REPLACE INTO indexes (collection, name, spec) VALUES (?, ?, ?)"
DELETE_INDEX = "DELETE FROM indexes WHERE collection = ? AND name = ?"
DELETE_INDEXES = "DELETE FROM indexes WHERE collection = ?"
