"""The log as one long stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from webhookcron.core.executions import Execution
from webhookcron.service.errors import TooMany
from webhookcron.service.execution_log import ExecutionLog, LogQuery
from webhookcron.service.places import InPlace
from webhookcron.service.principals import Principal

AT_A_TIME = 200

MOST_EXPORTS = 2
"""Of one process at a time: each occupies one of the threads that answer requests, as long as it takes."""


class ExportService:
    """Streams executions."""

    def __init__(self, executions: ExecutionLog) -> None:
        self._executions = executions
        self._room = threading.BoundedSemaphore(MOST_EXPORTS)

    def rows(self, principal: Principal, query: LogQuery) -> Iterator[Execution]:
        """All executions that `query` finds, the latest fire time first; to be read to the end, or closed.

        Raises Invalid, and TooMany when enough exports are under way. StoreUnavailable may come in the middle.
        """
        pages = self._executions.pages(principal, replace(query, limit=AT_A_TIME))
        if not self._room.acquire(blocking=False):
            raise TooMany(f"{MOST_EXPORTS} exports are under way; try again when one has ended", 5)
        return InPlace((execution for page in pages for execution in page), self._room)
