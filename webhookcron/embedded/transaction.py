"""What changed since the last commit: enough to write it, and enough to undo it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bson

from webhookcron.embedded.errors import DOCUMENT_TOO_LARGE, OPERATION_FAILED, OUT_OF_DISK_SPACE, CommandError

if TYPE_CHECKING:
    from webhookcron.embedded.collection import Collection
    from webhookcron.embedded.data_file import DataFile

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
LARGE_DOCUMENT_BYTES = 8 * 1024 * 1024
"""Documents beyond this size are measured at every update, others only when a big command changes them."""


def check_document_size(size: int) -> None:
    """Refuse a document beyond MongoDB's limit."""
    if size > MAX_DOCUMENT_BYTES:
        raise CommandError(
            DOCUMENT_TOO_LARGE,
            f"object to insert too large. size in bytes: {size}, max size: {MAX_DOCUMENT_BYTES}",
        )


class Transaction:
    """The changes of the requests since the last commit, each document once however often it changed."""

    def __init__(self, data_file: DataFile) -> None:
        self._data_file = data_file
        self._next_record = 1
        self._pending: dict[int, tuple[Collection, dict[str, Any] | None, bytes | None]] = {}
        self._created: set[int] = set()
        """Records that the file does not hold yet."""
        self._catalog: list[tuple[str, tuple[Any, ...]]] = []
        self._undo: list[tuple[Collection, int, dict[str, Any] | None] | Callable[[], None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self._undo

    def new_record(self) -> int:
        """A record number never used before in this data file's present documents."""
        record = self._next_record
        self._next_record += 1
        return record

    def continue_after(self, record: int) -> None:
        """Give out only numbers above this one."""
        self._next_record = max(self._next_record, record + 1)

    def stored(
        self,
        collection: Collection,
        record: int,
        old: dict[str, Any] | None,
        new: dict[str, Any],
        body: bytes | None,
    ) -> None:
        """Note a new version of a document (`old` None: it is new); `body` is its BSON when known."""
        self._undo.append((collection, record, old))
        self._pending[record] = (collection, new, body)
        if old is None:
            self._created.add(record)

    def removed(self, collection: Collection, record: int, old: dict[str, Any]) -> None:
        """Note that a document is gone."""
        self._undo.append((collection, record, old))
        self._pending[record] = (collection, None, None)

    def dropped(self, collection: Collection) -> None:
        """Note that all documents went with their collection, whose drop has its own undo."""
        self._pending.update((record, (collection, None, None)) for record in collection.records)

    def changed_catalog(self, statement: str, values: tuple[Any, ...], undo: Callable[[], None]) -> None:
        """Note a change of collections or indexes, with what takes it back in memory."""
        self._catalog.append((statement, values))
        self._undo.append(undo)

    def commit(self) -> None:
        """Write everything noted; on failure undo it in memory and raise CommandError."""
        if not self._undo:
            return
        created: list[tuple[int, int, bytes]] = []
        changed: list[tuple[bytes, int]] = []
        removed: list[tuple[int]] = []
        try:
            for record, (collection, document, body) in self._pending.items():
                if document is None:
                    removed.append((record,))
                    continue
                if body is None:
                    body = bson.encode(document)
                if len(body) > LARGE_DOCUMENT_BYTES:
                    check_document_size(len(body))
                    collection.large_records.add(record)
                if record in self._created:
                    created.append((record, collection.number, body))
                else:
                    changed.append((body, record))
            self._data_file.write(self._catalog, created, changed, removed)
        except sqlite3.Error as error:
            self.roll_back()
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise CommandError(
                OUT_OF_DISK_SPACE if full else OPERATION_FAILED, f"the data file was not written: {error}"
            ) from error
        except Exception:
            self.roll_back()
            raise
        self._forget()

    def roll_back(self) -> None:
        """Undo everything noted since the last commit, latest first."""
        for entry in reversed(self._undo):
            if isinstance(entry, tuple):
                collection, record, old = entry
                collection.restore(record, old)
            else:
                entry()
        self._forget()

    def _forget(self) -> None:
        self._undo.clear()
        self._pending.clear()
        self._created.clear()
        self._catalog.clear()
