"""Places for what may go on a few times at once only, each kept by whoever reads a stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class InPlace(Iterator[T], Generic[T]):
    """Items, and a place that is given back once, however they end: read up, by an error, closed, or never begun."""

    def __init__(self, items: Iterator[T], room: threading.BoundedSemaphore) -> None:
        """`room`: a place of it has been taken for this already."""
        self._items = items
        self._room: threading.BoundedSemaphore | None = room

    def __next__(self) -> T:
        try:
            return next(self._items)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Nothing more is wanted."""
        room, self._room = self._room, None
        if room is not None:
            room.release()
