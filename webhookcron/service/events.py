"""Executions as they happen, for as long as someone listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from webhookcron.core.errors import WebhookcronError
from webhookcron.core.executions import Execution
from webhookcron.service.errors import TooMany
from webhookcron.service.execution_log import ExecutionLog, LogQuery
from webhookcron.service.live_log import changed_since, cursor_of
from webhookcron.service.places import InPlace
from webhookcron.service.principals import Principal

LOOK_EVERY_SECONDS = 1.0

STREAM_SECONDS = 8.0
"""How long one stream lasts before the client connects anew: a server that is told to stop waits for it, and the
credential is looked at again."""

MOST_STREAMS = 2
"""Of one process at a time: each occupies one of the threads that answer requests."""

LATEST = 100
"""Executions that are compared between two looks."""


NOTHING = "-"
"""The cursor where there was no execution: an empty one would say that there is no cursor."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one look found."""

    cursor: str
    """Where a later stream goes on."""
    executions: list[Execution]
    """New ones and changed ones, the earliest fire time first; empty when nothing happened."""


class EventService:
    """Looks again and again at the latest executions."""

    def __init__(
        self,
        executions: ExecutionLog,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._executions = executions
        self._monotonic = monotonic
        self._sleep = sleep
        self._room = threading.BoundedSemaphore(MOST_STREAMS)

    def changes(self, principal: Principal, query: LogQuery, cursor: str | None) -> InPlace[Changes]:
        """What happens to the latest `LATEST` executions that `query` finds; to be closed.

        cursor  Where an earlier stream ended: what happened since comes first. None = from now on.

        Raises Invalid, StoreUnavailable, and TooMany when enough streams are open. A store that goes away later ends
        the stream.
        """
        query = replace(query, limit=LATEST)
        if not self._room.acquire(blocking=False):
            raise TooMany(f"{MOST_STREAMS} streams are open; ask for the list again and again instead", 5)
        try:
            first = self._look(principal, query, cursor)
        except BaseException:
            self._room.release()
            raise
        return InPlace(self._later(principal, query, first), self._room)

    def _later(self, principal: Principal, query: LogQuery, found: Changes) -> Iterator[Changes]:
        ends_at = self._monotonic() + STREAM_SECONDS
        while True:
            yield found
            if self._monotonic() >= ends_at:
                return
            self._sleep(LOOK_EVERY_SECONDS)
            try:
                found = self._look(principal, query, found.cursor)
            except WebhookcronError:
                return  # The client connects anew, and learns it from the answer.

    def _look(self, principal: Principal, query: LogQuery, cursor: str | None) -> Changes:
        latest = self._executions.page(principal, query).items
        changed = [] if cursor is None else changed_since(cursor, latest)
        return Changes(cursor_of(latest) or NOTHING, changed[::-1])
