"""Open cursors: what is left of a result that did not fit in one reply."""

from collections import OrderedDict
from secrets import randbits
from typing import Any

import bson

from webhookcron.embedded.errors import CURSOR_NOT_FOUND, CommandError

MAX_CURSORS = 1000
"""Open cursors; the one unused longest gives way to a new one."""

IDLE_SECONDS = 600.0
"""A cursor unused this long is closed, as in MongoDB."""

FIRST_BATCH = 101
MAX_REPLY_BYTES = 16 * 1024 * 1024


class Cursor:
    """The rest of a result. The documents are those of the moment of the query."""

    __slots__ = ("_documents", "_position", "namespace", "used_at")

    def __init__(self, namespace: str, documents: list[dict[str, Any]], now: float) -> None:
        self.namespace = namespace
        self._documents = documents
        self._position = 0
        self.used_at = now

    def next_batch(self, size: int | None) -> list[dict[str, Any]]:
        """Up to `size` further documents (None: as many as fit), at most MAX_REPLY_BYTES of them."""
        start = self._position
        end = len(self._documents) if size is None else min(start + size, len(self._documents))
        batch = fitting(self._documents[start:end])
        self._position = start + len(batch)
        return batch

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was handed out."""
        return self._position >= len(self._documents)


def fitting(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the documents, from the first, as one reply may carry; at least one."""
    if len(documents) < 2:
        return documents
    room = MAX_REPLY_BYTES
    for position, document in enumerate(documents):
        room -= len(bson.encode(document)) + 16
        if room < 0:
            return documents[: max(1, position)]
    return documents


class Cursors:
    """All open cursors by number. `now` is a monotonic time in seconds."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, Cursor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def first_reply(
        self, namespace: str, documents: list[dict[str, Any]], batch: int | None, single: bool, now: float
    ) -> dict[str, Any]:
        """The reply that starts a result; keeps a cursor when something is left."""
        cursor = Cursor(namespace, documents, now)
        first = cursor.next_batch(FIRST_BATCH if batch is None else batch)
        number = 0
        if not single and not cursor.is_exhausted:
            number = randbits(62) + 1
            while len(self._open) >= MAX_CURSORS:
                self._open.popitem(last=False)
            self._open[number] = cursor
        return {"cursor": {"firstBatch": first, "id": bson.Int64(number), "ns": namespace}, "ok": 1.0}

    def next_reply(self, number: int, namespace: str, batch: int | None, now: float) -> dict[str, Any]:
        """The reply of `getMore`; raises CommandError (43) for a cursor that is not open."""
        cursor = self._open.get(number)
        if cursor is None or cursor.namespace != namespace:
            raise CommandError(CURSOR_NOT_FOUND, f"cursor id {number} not found")
        cursor.used_at = now
        self._open.move_to_end(number)
        documents = cursor.next_batch(batch)
        left = number
        if cursor.is_exhausted:
            del self._open[number]
            left = 0
        return {"cursor": {"nextBatch": documents, "id": bson.Int64(left), "ns": namespace}, "ok": 1.0}

    def kill(self, number: int) -> bool:
        """Close a cursor; False when it was not open."""
        return self._open.pop(number, None) is not None

    def close_idle(self, now: float) -> None:
        """Close the cursors unused for IDLE_SECONDS."""
        while self._open:
            number, cursor = next(iter(self._open.items()))
            if now - cursor.used_at < IDLE_SECONDS:
                return
            del self._open[number]
