"""Following the execution log as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from webhookcron.client.api import PAGE, ApiClient, Resource
from webhookcron.core.executions import FINAL_STATUSES

LOOK_BACK = timedelta(minutes=10)
"""Executions of fire times so far before the start of following are shown when they come up late."""

MAX_PAGES = 50
"""Pages of one look. More executions than fit into them within a look are shown by the next one as far as they fit."""

MAX_REMEMBERED = 20_000
"""Executions remembered as shown; the earliest are forgotten first."""


class LogFollower:
    """Looks at the log again and again, and gives each execution whenever it moved on.

    `path` and `parameters` are those of the list. The log is ordered by fire time, so each look reads from the latest
    one back to the earliest that may still move: the start of following, less ten minutes, or the oldest execution that
    was not final. Backfills and replays of older fire times are not seen.
    """

    def __init__(
        self, api: ApiClient, path: str, parameters: Mapping[str, Any], *, started_at: datetime
    ) -> None:
        self._api = api
        self._path = path
        self._parameters = dict(parameters)
        self._from = started_at - LOOK_BACK
        self._shown: dict[str, tuple[Any, ...]] = {}

    def remember(self, executions: list[Resource]) -> None:
        """Take these as shown already."""
        for execution in executions:
            self._shown[execution["id"]] = _state(execution)

    def look(self) -> list[Resource]:
        """What is new or moved on since the last look, by fire time, the earliest first."""
        found: list[Resource] = []
        parameters = {**self._parameters, "from": _moment(self._from), "limit": PAGE}
        for _ in range(MAX_PAGES):
            page = self._api.get(self._path, parameters)
            found += page["items"]
            if page["nextCursor"] is None:
                break
            parameters["cursor"] = page["nextCursor"]
        moved = [execution for execution in found if self._shown.get(execution["id"]) != _state(execution)]
        self.remember(moved)
        while len(self._shown) > MAX_REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._advance(found)
        return sorted(moved, key=lambda execution: (execution["scheduledAt"], execution["id"]))

    def _advance(self, found: list[Resource]) -> None:
        """Let the next look begin later: nothing before it can move any more, but for what comes up late."""
        if not found:
            return
        latest = max(datetime.fromisoformat(execution["scheduledAt"]) for execution in found)
        moving = [
            datetime.fromisoformat(execution["scheduledAt"])
            for execution in found
            if execution["status"] not in FINAL_STATUSES
        ]
        self._from = max(self._from, min([latest - LOOK_BACK, *moving]))


def _state(execution: Resource) -> tuple[Any, ...]:
    return (execution["status"], execution["attemptCount"], execution["nextAttemptAt"])


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
