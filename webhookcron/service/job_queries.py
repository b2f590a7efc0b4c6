"""Lists of jobs: which ones, in which order, which page."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
MAX_SEARCH_WORDS = 10
MAX_WORD = 50
"""As many characters of a word as the search knows."""

_STATUSES_OF_ACTIVITY = {True: {"active", "completed", "disabled"}, False: {"paused"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """What to list. None and empty mean no restriction."""

    page: int = 1
    limit: int = 20
    sort: tuple[tuple[str, int], ...] = (("createdAt", -1),)
    """(name of SORT_FIELDS, 1 or -1), the most important first."""
    search: str | None = None
    """Words, each of which begins a word of name, description or tags."""
    owner_id: str | None = None
    """Of use to those who see everyone's jobs."""
    statuses: tuple[str, ...] = ()
    is_active: bool | None = None
    schedule_type: str | None = None
    tag: str | None = None
    any_tags: tuple[str, ...] = ()
    all_tags: tuple[str, ...] = ()
    host: str | None = None
    last_statuses: tuple[str, ...] = ()
    key: str | None = None

    def filter(self, owner_ids: Sequence[str]) -> dict[str, Any]:
        """The store's filter, for jobs of `owner_ids`: every list is walked owner by owner in an index."""
        if self.owner_id is not None:
            owner_ids = [owner_id for owner_id in owner_ids if owner_id == self.owner_id]
        filter_: dict[str, Any] = {"ownerId": _any_of(owner_ids)}
        statuses = set(self.statuses)
        if self.is_active is not None:
            allowed = _STATUSES_OF_ACTIVITY[self.is_active]
            statuses = statuses & allowed if statuses else allowed
        if statuses or self.is_active is not None:
            filter_["status"] = _any_of(sorted(statuses))
        for field, value in (
            ("scheduleType", self.schedule_type),
            ("host", None if self.host is None else self.host.lower()),
            ("key", self.key),
        ):
            if value is not None:
                filter_[field] = value
        if self.last_statuses:
            filter_["lastStatus"] = _any_of(self.last_statuses)
        wanted_tags = (*self.all_tags, *(() if self.tag is None else (self.tag,)))
        every: list[dict[str, Any]] = [{"tags": tag} for tag in dict.fromkeys(wanted_tags)]
        if self.any_tags:
            every.append({"tags": _any_of(self.any_tags)})
        every += [{"searchTerms": {"$regex": f"^{word}"}} for word in search_words(self.search or "")]
        if len(every) == 1:
            filter_ |= every[0]
        elif every:
            filter_["$and"] = every
        return filter_

    def sort_keys(self) -> list[tuple[str, int]]:
        """The store's order; the id decides between equals, so that pages do not overlap."""
        keys = [(SORT_FIELDS[name], direction) for name, direction in dict(self.sort).items()]
        return [*keys, ("_id", keys[-1][1])]


def search_words(text: str) -> list[str]:
    """The words of a search: of letters, digits and underscores only, so that they are literal in a pattern."""
    words = re.findall(r"\w+", text.lower())
    return list(dict.fromkeys(word[:MAX_WORD] for word in words))[:MAX_SEARCH_WORDS]


def _any_of(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}
