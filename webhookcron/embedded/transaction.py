"""What the requests since the last commit changed: enough to make it durable, and enough to undo it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, Any

import bson

from webhookcron.embedded.redo_log import encoded_item

if TYPE_CHECKING:
    from webhookcron.embedded.collection import Collection
    from webhookcron.embedded.data_file import CatalogChange
    from webhookcron.embedded.journal import Journal

MESSAGE = 1
"""An item of the redo log: a request, as it came, which makes the same changes when it is carried out again."""

IMAGE = 2
"""An item of the redo log: the version that a document has now, or that it is gone."""

IMAGE_HEAD = Struct("<IQ")
"""Numbers of the collection and the record; then the document, nothing when it is gone."""


class Transaction:
    """The changes of one turn, in order."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._next_record = 1
        self._first_record = 1
        """The next record when the turn began."""
        self._catalog: list[CatalogChange] = []
        self._undo: list[tuple[Collection, int, dict[str, Any] | None] | Callable[[], None]] = []
        self._dropped: dict[int, Collection] = {}
        self._items: list[bytes] = []
        self._told = 0
        """How many entries of `_undo` the items account for."""

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
        self._next_record = self._first_record = max(self._next_record, record + 1)

    # Changes

    def stored(self, collection: Collection, record: int, old: dict[str, Any] | None) -> None:
        """Note a new version of a document, or that it is gone; `old` is the one before, None when it is new."""
        self._undo.append((collection, record, old))

    def dropped(self, collection: Collection) -> None:
        """Note that all documents went with their collection, whose drop has its own undo."""
        self._dropped.update(dict.fromkeys(collection.records, collection))

    def changed_catalog(self, statement: str, values: tuple[Any, ...], undo: Callable[[], None]) -> None:
        """Note a change of collections or indexes, with what takes it back in memory."""
        self._catalog.append((statement, values))
        self._undo.append(undo)

    # The redo log

    def before_request(self) -> int:
        """Account for what was changed until now; a mark for `repeatable`."""
        if self._told < len(self._undo):
            self._tell_images()
        return len(self._undo)

    def repeatable(self, mark: int, message: bytes) -> None:
        """What was changed since the mark is what this message changes whenever it is carried out there."""
        if len(self._undo) > mark:
            self._items.append(encoded_item(MESSAGE, message))
            self._told = len(self._undo)

    def _tell_images(self) -> None:
        for record, collection in self._changed(since=self._told).items():
            document = collection.stored(record)
            body = b"" if document is None else bson.encode(document)
            self._items.append(encoded_item(IMAGE, IMAGE_HEAD.pack(collection.number, record) + body))
        self._told = len(self._undo)

    # The end

    def commit(self) -> set[Collection]:
        """Make everything noted durable, and tell which collections changed.

        On failure undoes it in memory and raises CommandError.
        """
        if not self._undo:
            return set()
        changed = self._changed()
        try:
            if self._catalog:
                self._journal.save(self._catalog, changed | self._dropped)
            else:
                self.before_request()
                self._journal.append(self._first_record, self._items, changed)
        except Exception:
            self.roll_back()
            raise
        self._forget()
        return set(changed.values())

    def redone(self, next_record: int) -> None:
        """Take over what was done again from the redo log, which has it; `next_record` is what follows it at least."""
        self._journal.changed(self._changed())
        self._next_record = max(self._next_record, next_record)
        self._forget()

    def begin_redo(self, next_record: int) -> None:
        """The turn that is done again began with this record number."""
        self._next_record = self._first_record = next_record

    def _changed(self, since: int = 0) -> dict[int, Collection]:
        """The records that changed since the `_undo` was so long."""
        return {entry[1]: entry[0] for entry in islice(self._undo, since, None) if type(entry) is tuple}

    def roll_back(self) -> None:
        """Undo everything noted since the last commit, latest first."""
        for entry in reversed(self._undo):
            if isinstance(entry, tuple):
                collection, record, old = entry
                collection.restore(record, old)
            else:
                entry()
        self._next_record = self._first_record
        self._forget()

    def _forget(self) -> None:
        self._undo.clear()
        self._catalog.clear()
        self._dropped.clear()
        self._items.clear()
        self._told = 0
        self._first_record = self._next_record
