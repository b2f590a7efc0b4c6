"""Cron jobs: a schedule, a webhook and policies, owned by a user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.retries import RetryPolicy
from webhookcron.core.schedules import Schedule
from webhookcron.core.target_urls import UrlUnusable, parse_target_url


class JobStatus(StrEnum):
    """Whether a job's schedule makes executions."""

    ACTIVE = "active"
    """Its fire times make executions. Set at creation and by resume."""
    PAUSED = "paused"
    """Its owner stopped it; fire times inside the pause are neither run nor recorded. Resume makes it active."""
    COMPLETED = "completed"
    """Its schedule is over (once, endAt, maxRuns). A new schedule makes it active again."""
    DISABLED = "disabled"
    """The platform stopped it: 410 Gone, or failures in a row; `status_reason` says which. Resume makes it active."""


class MisfirePolicy(StrEnum):
    """What becomes of fire times found later than the grace."""

    FIRE_ONCE = "fireOnce"
    """One run for the latest missed fire time; the others are recorded as skipped."""
    SKIP = "skip"
    """None is run; each is recorded as skipped."""
    FIRE_ALL = "fireAll"
    """Each is run in order, the next one when the previous is final, at most `catch_up_limit` of them."""


class OverlapPolicy(StrEnum):
    """What becomes of a fire time that comes while the job's previous execution is not final."""

    ALLOW = "allow"
    """It runs beside the previous one."""
    SKIP = "skip"
    """It is recorded as skipped."""
    QUEUE = "queue"
    """It waits for the previous one; only one waits, later ones are recorded as skipped."""


_DEFAULT_RETRIES = RetryPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """How a job deals with failure, lateness and overlap."""

    retry: RetryPolicy = _DEFAULT_RETRIES
    misfire_policy: MisfirePolicy = MisfirePolicy.FIRE_ONCE
    misfire_grace_ms: int = 60_000
    """How late (after fire time + jitter) a fire is still in time; 15,000 to 86,400,000."""
    catch_up_limit: int = 100
    """fireAll runs at most so many missed fire times; 1 to 1,000."""
    overlap_policy: OverlapPolicy = OverlapPolicy.ALLOW
    jitter_ms: int = 0
    """Each fire acts up to so much after its fire time; 0 to 3,600,000."""
    max_runs: int | None = None
    """The schedule is over after so many scheduled executions; None = no bound."""
    disable_after_failures: int = 0
    """So many failed executions in a row disable the job; 0 = never."""
    delete_after_completion: bool = False
    retention_days: int | None = None
    """How long finished executions are kept; None = the platform's RETENTION_DAYS."""


_DEFAULT_POLICIES = Policies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cron job: its definition, and what the platform keeps about it. All moments are aware UTC."""

    id: str
    """24 hexadecimal digits."""
    owner_id: str
    name: str
    key: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    schedule: Schedule
    request: RequestSpec
    policies: Policies = _DEFAULT_POLICIES
    alerts: tuple[str, ...] = ()

    status: JobStatus = JobStatus.ACTIVE
    status_reason: str | None = None
    version: int = 1
    """Grows by one with every change of the definition or status; the ETag."""
    created_at: datetime
    updated_at: datetime

    handled_through: datetime
    """The cursor: the latest fire time accounted for (or the moment from which fire times count)."""
    schedule_since: datetime
    """When the present schedule came into force."""
    scheduled_runs: int = 0
    """How many executions the present schedule has made; what `max_runs` bounds."""
    paused_from: datetime | None = None
    paused_until: datetime | None = None
    """The last pause; both None when there was none, `paused_until` None while it lasts."""
    active: str | None = None
    waiting: str | None = None
    """Overlap slots: ids of the execution under way and of the one that waits for it."""

    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_status: str | None = None
    total_runs: int = 0
    successful_runs: int = 0
    failed_runs: int = 0
    consecutive_failures: int = 0

    @property
    def host(self) -> str:
        """The host of the webhook URL, in its normal form."""
        return host_of(self.request.url)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the webhook URL; see `origin_of`."""
        return origin_of(self.request.url)


class DeliveryJob(NamedTuple):
    """The part of a job that a worker delivers by; cheap to make and to keep by the thousand."""

    id: str
    version: int
    schedule: Schedule
    request: RequestSpec
    retry: RetryPolicy
    disable_after_failures: int
    """0 = never."""
    retention_days: int | None
    """None = as long as the platform keeps executions by default."""

    @property
    def origin(self) -> str:
        """Scheme, host and port of the webhook URL; see `origin_of`."""
        return origin_of(self.request.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickJob:
    """The part of a job that decides about its fire times; cheap to keep by the thousand."""

    id: str
    owner_id: str
    name: str
    host: str
    version: int
    status: JobStatus
    schedule: Schedule
    misfire_policy: MisfirePolicy
    misfire_grace_ms: int
    catch_up_limit: int
    overlap_policy: OverlapPolicy
    jitter_ms: int
    max_runs: int | None
    scheduled_runs: int
    handled_through: datetime
    schedule_since: datetime
    retention_days: int | None
    delete_after_completion: bool
    next_run_at: datetime | None = None
    """What the job shows as its next run; the rule and the cursor decide, not this."""


@lru_cache(maxsize=8192)
def host_of(url: str) -> str:
    """The host in `url` in its normal form, so that no notation escapes the host's caps; empty when it has none."""
    try:
        return parse_target_url(url).host
    except UrlUnusable:
        return ""


@lru_cache(maxsize=8192)
def origin_of(url: str) -> str:
    """Scheme, host and port that `url` leads to, as `https://example.com:443`; empty when it is none to be called."""
    try:
        return parse_target_url(url).origin_text
    except UrlUnusable:
        return ""
