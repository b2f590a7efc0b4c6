"""Hourly roll-ups: what a job's executions came to, small enough to answer for a month without reading any of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from webhookcron.core.executions import EPOCH, FINAL_STATUSES, EndedExecution, ExecutionStatus, Reason

HOUR = timedelta(hours=1)

DURATION_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
"""Upper ends, included, of the duration buckets; one more bucket holds what is longer. Stored: never change them."""

ROLLED_UP = (
    ExecutionStatus.SUCCESS,
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMEOUT,
    ExecutionStatus.SKIPPED,
    ExecutionStatus.CANCELLED,
)
"""The statuses that are counted, in the order in which shares write them. Stored: append only."""

_MISSED = frozenset({Reason.MISFIRE.value, Reason.CATCH_UP_LIMIT.value})

_RAN = frozenset({ExecutionStatus.SUCCESS, ExecutionStatus.FAILED, ExecutionStatus.TIMEOUT})


@dataclass(slots=True)
class Share:
    """What a group of finished executions adds to one hour of one job."""

    owner_id: str
    job_id: str
    hour: int
    """Whole hours since 1970, UTC, by the moment of completion."""
    counts: dict[ExecutionStatus, int] = field(default_factory=dict)
    duration_ms_sum: int = 0
    """Of the last attempts of those that ran."""
    buckets: dict[int, int] = field(default_factory=dict)
    """Number of the bucket in `DURATION_BOUNDS_MS` → executions that ran and lasted so long."""
    last_status: ExecutionStatus | None = None
    """How the last one that ran ended; None when none ran."""
    failed_id: str | None = None
    """The id of the last one that failed or timed out."""
    missed: int = 0
    """Fire times that were skipped because they were found too late."""

    @property
    def failures(self) -> int:
        """How many failed or timed out."""
        return self.counts.get(ExecutionStatus.FAILED, 0) + self.counts.get(ExecutionStatus.TIMEOUT, 0)

    def add(self, other: Share) -> None:
        """Take the sums of `other` in."""
        for status, count in other.counts.items():
            self.counts[status] = self.counts.get(status, 0) + count
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.duration_ms_sum += other.duration_ms_sum


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRollup:
    """One stored hour of one job, or of all jobs of an owner (`job_id` None)."""

    owner_id: str
    job_id: str | None
    hour_at: datetime
    """The beginning of the hour."""
    counts: Mapping[ExecutionStatus, int]
    duration_ms_sum: int
    duration_buckets: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupTotals:
    """Several hours in one."""

    counts: Mapping[ExecutionStatus, int]
    duration_ms_sum: int
    duration_buckets: Mapping[int, int]

    @classmethod
    def of(cls, hours: Iterable[HourRollup]) -> RollupTotals:
        """The sums over `hours`."""
        total = Share("", "", 0)
        for hour in hours:
            total.add(Share("", "", 0, dict(hour.counts), hour.duration_ms_sum, dict(hour.duration_buckets)))
        return cls(counts=total.counts, duration_ms_sum=total.duration_ms_sum, duration_buckets=total.buckets)

    @property
    def ran(self) -> int:
        """Executions that were run: success, failed and timeout."""
        return sum(self.counts.get(status, 0) for status in _RAN)

    @property
    def success_rate(self) -> float | None:
        """success / (success + failed + timeout), 0 to 1; None when none ran."""
        return self.counts.get(ExecutionStatus.SUCCESS, 0) / self.ran if self.ran else None

    @property
    def mean_duration_ms(self) -> float | None:
        """The mean duration of the last attempts; None when none ran."""
        measured = sum(self.duration_buckets.values())
        return self.duration_ms_sum / measured if measured else None

    def duration_quantile_ms(self, share: float) -> float | None:
        """The duration that `share` (0 to 1) of the executions did not pass, by the buckets; None when none ran.

        Within a bucket the executions are taken as evenly spread, as Prometheus' histogram_quantile does; beyond the
        last bound that bound is the answer.
        """
        wanted = share * sum(self.duration_buckets.values())
        if not self.duration_buckets:
            return None
        passed = 0
        for bucket, count in sorted(self.duration_buckets.items()):
            if bucket >= len(DURATION_BOUNDS_MS):
                break
            if passed + count >= wanted:
                low = DURATION_BOUNDS_MS[bucket - 1] if bucket else 0
                return low + (DURATION_BOUNDS_MS[bucket] - low) * max(0.0, wanted - passed) / count
            passed += count
        return float(DURATION_BOUNDS_MS[-1])


def shares_of(executions: Sequence[EndedExecution]) -> list[Share]:
    """What finished `executions` add to the hours of their jobs; a record of many missed fire times adds them all."""
    shares: dict[tuple[str, int], Share] = {}
    for execution in sorted(executions, key=_ended_at):
        ended_at = execution.completed_at
        if ended_at is None or execution.status not in FINAL_STATUSES:
            continue
        hour = (ended_at - EPOCH) // HOUR
        share = shares.get((execution.job_id, hour))
        if share is None:
            share = shares[execution.job_id, hour] = Share(execution.owner_id, execution.job_id, hour)
        status = execution.status
        share.counts[status] = share.counts.get(status, 0) + (execution.skipped_count or 1)
        if status in _RAN:
            share.last_status = status
            if status is not ExecutionStatus.SUCCESS:
                share.failed_id = execution.id
        elif execution.reason in _MISSED:
            share.missed += execution.skipped_count or 1
        if execution.duration_ms is not None and status in _RAN:
            bucket = bisect_left(DURATION_BOUNDS_MS, execution.duration_ms)
            share.buckets[bucket] = share.buckets.get(bucket, 0) + 1
            share.duration_ms_sum += execution.duration_ms
    return list(shares.values())


def _ended_at(execution: EndedExecution) -> datetime:
    return EPOCH if execution.completed_at is None else execution.completed_at


def hour_of(moment: datetime) -> int:
    """Whole hours from 1970 to `moment`."""
    return (moment - EPOCH) // HOUR


def hour_at(hour: int) -> datetime:
    """The moment at which an hour begins."""
    return EPOCH + hour * HOUR
