"""Open cursors: what is left of a result that did not fit in one reply."""

from collections import OrderedDict
from secrets import randbits
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from webhookcron.embedded.errors import CURSOR_NOT_FOUND, CommandError

MAX_CURSORS = 1000
"""Open cursors; the one unused longest gives way to a new one."""

IDLE_SECONDS = 600.0
"""A cursor unused this long is closed, as in MongoDB."""

FIRST_BATCH = 1_000
"""Documents of a first reply where the client names no number. MongoDB's 101 would only make the platform ask twice."""
MAX_REPLY_BYTES = 16 * 1024 * 1024


class Cursor:
    """The rest of a result. The documents are those of the moment of the query."""

    __slots__ = ("_documents", "_position", "namespace", "used_at")

    def __init__(self, namespace: str, documents: list[dict[str, Any]], now: float) -> None:
        self.namespace = namespace
        self._documents = documents
        self._position = 0
        self.used_at = now

    def next_batch(self, field: str, size: int | None, number: int) -> RawBSONDocument:
        """The `cursor` part of a reply with up to `size` further documents (None: as many as fit).

        It carries the cursor's number while something is left, else 0.
        """
        start = self._position
        end = len(self._documents) if size is None else start + size
        batch = self._documents[start:end]
        body = self._encoded(field, batch, number)
        if len(body) > MAX_REPLY_BYTES and len(batch) > 1:
            batch = _fitting(batch)
            body = self._encoded(field, batch, number)
        self._position = start + len(batch)
        return RawBSONDocument(body)

    def _encoded(self, field: str, batch: list[dict[str, Any]], number: int) -> bytes:
        left = self._position + len(batch) < len(self._documents)
        return bson.encode({field: batch, "id": bson.Int64(number if left else 0), "ns": self.namespace})

    @property
    def is_exhausted(self) -> bool:
        """Whether everything was handed out."""
        return self._position >= len(self._documents)


def _fitting(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many of the documents, from the first, as one reply may carry; at least one."""
    room = MAX_REPLY_BYTES
    for position, document in enumerate(documents):
        room -= len(bson.encode(document))
        if room < 0:
            return documents[: max(1, position)]
    return documents


class Cursors:
    """All open cursors by number. `now` is a monotonic time in seconds."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, Cursor] = OrderedDict()
        # Beginning anywhere, so that a cursor of an earlier life of the server is hardly ever taken for a present one.
        self._last_number = randbits(48)

    def __len__(self) -> int:
        return len(self._open)

    def first_reply(
        self, namespace: str, documents: list[dict[str, Any]], batch: int | None, single: bool, now: float
    ) -> dict[str, Any]:
        """The reply that starts a result; keeps a cursor when something is left."""
        cursor = Cursor(namespace, documents, now)
        self._last_number += 1
        number = 0 if single else self._last_number
        first = cursor.next_batch("firstBatch", FIRST_BATCH if batch is None else batch, number)
        if not single and not cursor.is_exhausted:
            while len(self._open) >= MAX_CURSORS:
                self._open.popitem(last=False)
            self._open[number] = cursor
        return {"cursor": first, "ok": 1.0}

    def next_reply(self, number: int, namespace: str, batch: int | None, now: float) -> dict[str, Any]:
        """The reply of `getMore`; raises CommandError (43) for a cursor that is not open."""
        cursor = self._open.get(number)
        if cursor is None or cursor.namespace != namespace:
            raise CommandError(CURSOR_NOT_FOUND, f"cursor id {number} not found")
        cursor.used_at = now
        self._open.move_to_end(number)
        reply = {"cursor": cursor.next_batch("nextBatch", batch, number), "ok": 1.0}
        if cursor.is_exhausted:
            del self._open[number]
        return reply

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
