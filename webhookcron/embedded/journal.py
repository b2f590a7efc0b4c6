"""Where changes are kept: at once in the redo log, and later, each document once, in the data file.

A commit is durable when its turn is in the log. The documents that changed follow in the data file when no requests
come, or when the log gets long, a few at a time: one that is inserted, claimed, ended and counted within seconds is
written there once. Documents are never changed in place, so a save writes them as they were when it began, while the
turns after that go to the next log.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import bson

from webhookcron.embedded.errors import DOCUMENT_TOO_LARGE, OPERATION_FAILED, OUT_OF_DISK_SPACE, CommandError

if TYPE_CHECKING:
    from webhookcron.embedded.collection import Collection
    from webhookcron.embedded.data_file import CatalogChange, DataFile
    from webhookcron.embedded.redo_log import Item, RedoLog

logger = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024

LARGE_DOCUMENT_BYTES = 1024 * 1024
"""Documents that were beyond this size when they were saved last are measured at every update."""

UNMEASURED_BYTES = 12 * 1024 * 1024
"""What requests may add unmeasured, so that it brings no document past its limit that is not a large one."""

_LONG_LOG_BYTES = 8 * 1024 * 1024
"""From here the data file follows while requests come: some 5,000 fires, which a start takes a second to redo."""

_SAVED_AT_ONCE = 64
"""Documents of one step of a save: about a millisecond."""

_TRIED_AGAIN_SECONDS = 5.0
"""After a save that failed: each try begins a log, and few are enough to notice that there is room again."""

_MOST_STEPS = 32
"""Steps that a big save takes at most, so that it ends before the next log gets long."""


def check_document_size(size: int) -> None:
    """Refuse a document beyond MongoDB's limit."""
    if size > MAX_DOCUMENT_BYTES:
        raise CommandError(
            DOCUMENT_TOO_LARGE,
            f"object to insert too large. size in bytes: {size}, max size: {MAX_DOCUMENT_BYTES}",
        )


class Journal:
    """The data file and the redo log that continues it."""

    def __init__(self, data_file: DataFile, log: RedoLog) -> None:
        self._file = data_file
        self._log = log
        self._generation = data_file.generation()
        self._unsaved: dict[int, Collection] = {}
        """Changed since the last save began."""
        self._saving: list[tuple[int, Collection, dict[str, Any] | None]] = []
        """What the save under way has still to write, last first; the data file then has a transaction open."""
        self._saved: dict[int, Collection] = {}
        """What the save under way began with."""
        self._under_way = False
        self._not_before = 0.0
        """When the next save may begin, after one that failed."""
        self._unmeasured = 0
        self._unmeasured_later = 0
        """The part of it that came since the save began."""

    @property
    def must_measure(self) -> bool:
        """Whether so much came since the documents were measured that each update has to measure its own."""
        return self._unmeasured > UNMEASURED_BYTES

    @property
    def is_saved(self) -> bool:
        """Whether the data file holds everything."""
        return not self._under_way and not self._unsaved

    def redo(self) -> Iterator[tuple[int, list[Item]]]:
        """The turns that the data file does not hold: the number of the first new record of each, and its items."""
        return self._log.frames(self._generation)

    def begin(self) -> None:
        """Save what `redo` gave, and start logging. Raises CommandError when the files cannot be written."""
        # Behind every log there is: what they hold must not be overwritten before it is saved.
        self._generation = max([self._generation, *self._log.generations()])
        self.save()

    def append(self, next_record: int, items: Sequence[bytes], changed: dict[int, Collection]) -> None:
        """Make one turn durable; on failure raises CommandError, and nothing of it is kept."""
        before = self._log.size
        try:
            self._log.append(next_record, items)
        except OSError as error:
            raise CommandError(
                OUT_OF_DISK_SPACE, f"the log of the data file was not written: {error.strerror}"
            ) from error
        self.changed(changed)
        added = self._log.size - before
        self._unmeasured += added
        if self._under_way:
            self._unmeasured_later += added
            self.save_some()
        elif self._log.size > _LONG_LOG_BYTES:
            self.save_some()

    def changed(self, records: dict[int, Collection]) -> None:
        """These records are to be saved."""
        self._unsaved |= records

    def save_some(self) -> bool:
        """Bring the data file a step nearer to what is in memory; whether there was something to do.

        Trouble is logged, and everything tried again later: the log has it.
        """
        if self.is_saved or time.monotonic() < self._not_before:
            return False
        try:
            if not self._under_way:
                self._begin_save()
            self._step(max(_SAVED_AT_ONCE, len(self._saved) // _MOST_STEPS))
        except (sqlite3.Error, OSError) as error:
            logger.error("the data file was not written, its log goes on: %s", error)
            self._give_up()
            self._not_before = time.monotonic() + _TRIED_AGAIN_SECONDS
            return False
        return True

    def save(
        self, catalog: Iterable[CatalogChange] = (), changed: dict[int, Collection] | None = None
    ) -> None:
        """Write everything now, with changes of the catalog and what changed with them, all or nothing.

        On failure raises CommandError; what was committed before is still in the log.
        """
        before = dict(self._unsaved)
        try:
            while self._under_way:
                self._step(len(self._saving))
            before = dict(self._unsaved)
            self.changed(changed or {})
            self._begin_save()
            self._file.change_catalog(catalog)
            while self._under_way:
                self._step(len(self._saving))
        except (sqlite3.Error, OSError) as error:
            self._give_up()
            for record in changed or {}:
                if record not in before:
                    self._unsaved.pop(record, None)
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise CommandError(
                OUT_OF_DISK_SPACE if full else OPERATION_FAILED, f"the data file was not written: {error}"
            ) from error

    def _begin_save(self) -> None:
        records = [
            (record, collection, collection.stored(record)) for record, collection in self._unsaved.items()
        ]
        self._file.begin()
        self._under_way = True
        self._log.start(self._generation + 1)
        self._generation += 1
        self._saved, self._unsaved = self._unsaved, {}
        self._saving = records[::-1]
        self._unmeasured_later = 0

    def _step(self, wanted: int) -> None:
        part = self._saving[-wanted:] if wanted else []
        put: list[tuple[int, int, bytes]] = []
        removed: list[tuple[int]] = []
        for record, collection, document in reversed(part):
            if document is None:
                removed.append((record,))
                continue
            body = bson.encode(document)
            if len(body) > LARGE_DOCUMENT_BYTES:
                collection.large_records.add(record)
            put.append((record, collection.number, body))
        self._file.put(put, removed)
        del self._saving[len(self._saving) - len(part) :]
        if not self._saving:
            self._file.finish(self._generation)
            self._under_way = False
            self._saved = {}
            self._unmeasured = self._unmeasured_later
            self._log.discard_before(self._generation)

    def _give_up(self) -> None:
        """Take everything back to where the save began; the logs keep what the data file lacks."""
        if self._under_way:
            self._file.roll_back()
            self._under_way = False
        self._unsaved = self._saved | self._unsaved
        self._saved, self._saving = {}, []

    def give_back_space(self) -> None:
        """Let the data file shrink a little when it has much free space."""
        if not self._under_way:
            self._file.give_back_space()

    def close(self) -> None:
        """Save what is not saved, and close; the log goes with it."""
        try:
            if not self.is_saved:
                self.save()
            self._log.close()
            self._log.discard_from(0)
        finally:
            self._log.close()
            self._file.close()
