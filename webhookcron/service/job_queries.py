"""Lists of jobs: which ones, in which order, which page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SORT_FIELDS = {
    "createdAt": "createdAt",
    "updatedAt": "updatedAt",
    "name": "name",
    "nextRunAt": "nextRunAt",
    "lastRunAt": "lastRunAt",
}
"""Names a list may be ordered by -> document fields, each with an index."""

MAX_SORT_FIELDS = 3
MAX_LIMIT = 100
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """What to list. None and empty mean no restriction."""

    page: int = 1
    limit: int = 20
    sort: tuple[tuple[str, int], ...] = (("createdAt", -1),)
    """(name of SORT_FIELDS, 1 or -1), the most important first."""
    statuses: tuple[str, ...] = ()
    is_active: bool | None = None
    schedule_type: str | None = None
    tag: str | None = None
    key: str | None = None

    def filter(self, owner_id: str | None) -> dict[str, Any]:
        """The store's filter; `owner_id` None = jobs of everyone."""
        filter_: dict[str, Any] = {}
        if owner_id is not None:
            filter_["ownerId"] = owner_id
        statuses = set(self.statuses)
        if self.is_active is not None:
            paused = {"paused"}
            allowed = {"active", "completed", "disabled"} if self.is_active else paused
            statuses = statuses & allowed if statuses else allowed
        if statuses or self.is_active is not None:
            filter_["status"] = {"$in": sorted(statuses)}
        for field, value in (("scheduleType", self.schedule_type), ("tags", self.tag), ("key", self.key)):
            if value is not None:
                filter_[field] = value
        return filter_

    def sort_keys(self) -> list[tuple[str, int]]:
        """The store's order; the id decides between equals, so that pages do not overlap."""
        keys = [(SORT_FIELDS[name], direction) for name, direction in self.sort]
        return [*keys, ("_id", keys[-1][1])]
