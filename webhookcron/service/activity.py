"""How busy the platform was, hour by hour, and how punctual it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.rollups import HOUR, hour_at, hour_of
from webhookcron.service.owners import Owners
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.recent_runs import RecentRunStore
from webhookcron.storage.rollups import RollupStore

LOOKED_AT = 400
"""How many of the latest executions tell how punctual the platform is."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Executions that ended within `length` from `starts_at` on."""

    starts_at: datetime
    length: timedelta
    counts: Mapping[ExecutionStatus, int]


@dataclass(frozen=True, slots=True)
class Punctuality:
    """How long after their fire times the latest executions were called."""

    median: timedelta
    p99: timedelta
    count: int
    """How many were looked at."""


class ActivityService:
    """Reads roll-ups and the end of the log. May raise StoreUnavailable, and TickSourceUnavailable without a clock."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._rollups = RollupStore(platform.database)
        self._runs = RecentRunStore(platform.database)
        self._owners = Owners(platform)

    def hours(self, principal: Principal, count: int, *, together: int = 1) -> list[Activity]:
        """The latest `count` whole hours up to the present one, `together` in one, the earliest first.

        Those in which nothing ended are there, too. The last half minute may be missing.
        """
        now = stored_now(self._platform.clock)
        first = hour_of(now) - count + 1
        found = self._rollups.hours(
            owner_id=principal.owner_filter, since=hour_at(first), until=now + timedelta(milliseconds=1)
        )
        sums: list[dict[ExecutionStatus, int]] = [{} for _ in range(0, count, together)]
        for hour in found:
            into = sums[(hour_of(hour.hour_at) - first) // together]
            for status, number in hour.counts.items():
                into[status] = into.get(status, 0) + number
        return [
            Activity(hour_at(first + index * together), together * HOUR, counts)
            for index, counts in enumerate(sums)
        ]

    def punctuality(self, principal: Principal) -> Punctuality | None:
        """The delays of the caller's latest executions; None when the schedule made none of them."""
        delays = sorted(self._runs.delays(self._owners.visible_to(principal), LOOKED_AT))
        if not delays:
            return None
        last = len(delays) - 1
        return Punctuality(delays[last // 2], delays[round(last * 0.99)], len(delays))
