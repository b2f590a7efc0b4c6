"""Figures about jobs and executions, from counts and hourly roll-ups: never from reading the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import JobStatus
from webhookcron.core.rollups import ROLLED_UP, RollupTotals
from webhookcron.core.schedules import ScheduleType
from webhookcron.service.owners import Owners
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.rollups import RollupStore

PERIODS = {"last24Hours": timedelta(hours=24), "last7Days": timedelta(days=7)}
"""Names of the periods -> how long they are. They begin with a whole hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodStatistics:
    """Executions that ended in a period; the last half minute may be missing."""

    since: datetime
    by_status: Mapping[ExecutionStatus, int]
    success_rate: float | None
    """success / (success + failed + timeout), 0 to 1; None when none ran."""
    average_duration_ms: float | None
    p95_duration_ms: float | None
    """By buckets; None when none ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The caller's jobs and executions; everyone's for those who see everyone's."""

    total: int
    by_status: Mapping[JobStatus, int]
    by_type: Mapping[ScheduleType, int]
    periods: Mapping[str, PeriodStatistics]


class StatisticsService:
    """Counts. May raise StoreUnavailable, and TickSourceUnavailable when platform time was never known."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._jobs = platform.jobs
        self._rollups = RollupStore(platform.database)
        self._owners = Owners(platform)

    def of(self, principal: Principal) -> Statistics:
        """The figures for what `principal` sees."""
        owners = self._owners.visible_to(principal)
        counts = self._jobs.count_by_state(owners)
        now = stored_now(self._platform.clock)
        by_status = dict.fromkeys(JobStatus, 0)
        by_type = dict.fromkeys(ScheduleType, 0)
        for (status, type_), count in counts.items():
            by_status[JobStatus(status)] += count
            by_type[ScheduleType(type_)] += count
        return Statistics(
            total=sum(counts.values()),
            by_status=by_status,
            by_type=by_type,
            periods={name: self._period(principal, now, length) for name, length in PERIODS.items()},
        )

    def _period(self, principal: Principal, now: datetime, length: timedelta) -> PeriodStatistics:
        since = now - length
        totals: RollupTotals = self._rollups.totals(owner_id=principal.owner_filter, since=since, until=now)
        return PeriodStatistics(
            since=since.replace(minute=0, second=0, microsecond=0),
            by_status={status: totals.counts.get(status, 0) for status in ROLLED_UP},
            success_rate=_rounded(totals.success_rate, 4),
            average_duration_ms=_rounded(totals.mean_duration_ms, 1),
            p95_duration_ms=_rounded(totals.duration_quantile_ms(0.95), 1),
        )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
