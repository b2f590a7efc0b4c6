"""Executions: the run of a job for one fire time, trigger, backfill or replay, and its attempts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

LEASE_MARGIN = timedelta(seconds=15)
"""A claim lasts the request's deadline and this much more: time to record the outcome."""

FIRST_RECHECK = timedelta(seconds=30)
"""A queued execution that nobody claimed is pushed again after this, then after twice as long, and so on."""

LONGEST_RECHECK = timedelta(minutes=10)

WAITING_RECHECK = timedelta(seconds=60)
"""An execution that waits for an overlapping one is looked at again after this."""

MAX_LOST_ATTEMPTS = 3
"""After so many leases that ran out an execution is `failed: lost`."""


class Trigger(StrEnum):
    """Why an execution exists."""

    SCHEDULE = "schedule"
    """A fire time of the job's schedule."""
    MANUAL = "manual"
    """Someone asked for it now."""
    BACKFILL = "backfill"
    """Someone asked for a past fire time."""
    REPLAY = "replay"
    """Someone asked for an earlier execution again; `replay_of` names it."""


class ExecutionStatus(StrEnum):
    """Where an execution stands. The last five are final."""

    QUEUED = "queued"
    """Created, or due again, and waiting for a worker."""
    RUNNING = "running"
    """A worker holds a lease on it and calls the webhook."""
    RETRYING = "retrying"
    """The last attempt failed; `next_attempt_at` says when the next one comes."""
    SUCCESS = "success"
    """An attempt ended as the job's success rule asks."""
    FAILED = "failed"
    """No attempt succeeded and none is left."""
    TIMEOUT = "timeout"
    """As failed, and the last attempt hit its deadline."""
    SKIPPED = "skipped"
    """Not run; `reason` says why."""
    CANCELLED = "cancelled"
    """Stopped before it could run or run again; `reason` says by what."""

    @property
    def final(self) -> bool:
        """Whether nothing moves an execution on from here."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset(
    {
        ExecutionStatus.SUCCESS,
        ExecutionStatus.FAILED,
        ExecutionStatus.TIMEOUT,
        ExecutionStatus.SKIPPED,
        ExecutionStatus.CANCELLED,
    }
)

COUNTED_STATUSES = frozenset({ExecutionStatus.SUCCESS, ExecutionStatus.FAILED, ExecutionStatus.TIMEOUT})
"""The final statuses of executions that ran: what a job's run counters count."""


class Reason(StrEnum):
    """Why an execution was not run, or ended without an answer."""

    MISFIRE = "misfire"
    """Found later than the grace, and the misfire policy does not run it."""
    CATCH_UP_LIMIT = "catchUpLimit"
    """Missed, and older than the fire times that `catchUpLimit` lets run."""
    OVERLAP = "overlap"
    """The previous execution was not final, and the overlap policy does not wait."""
    PAUSED = "paused"
    """The job was paused before this could run."""
    DISABLED = "disabled"
    """The job was disabled before this could run."""
    COMPLETED = "completed"
    """The schedule was over before this could run."""
    SUPERSEDED = "superseded"
    """The schedule was changed, and this is no fire time of the present one."""
    DELETED = "deleted"
    """The job was deleted."""
    CANCELLED = "cancelled"
    """Someone cancelled it."""
    LOST = "lost"
    """Workers that had claimed it died, too many times."""
    CIRCUIT_OPEN = "circuitOpen"
    """Queued until its host, which could not be connected to several times in a row, is tried again."""
    WAITING = "waiting"
    """Queued behind the job's execution that is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptError:
    """What went wrong in an attempt: a kind of the closed list, and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedRedirect:
    """The status that asked for a redirect, and the URL it led to."""

    status: int
    url: str


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One HTTP request made for an execution. Treated as immutable; one is made per fire, so it is not frozen."""

    number: int
    """From 1; a retry has the next number."""
    started_at: datetime
    duration_ms: int
    phases: Mapping[str, float] | None = None
    """Milliseconds from the start until each phase ended; None for a lost attempt."""
    lateness_ms: int | None = None
    """How long after the fire time it started; None for attempts of older releases."""
    request_method: str | None = None
    request_url: str | None = None
    request_headers: tuple[tuple[str, str], ...] = ()
    """Secrets are redacted."""
    redirects: tuple[FollowedRedirect, ...] = ()
    """Those that were followed, in order."""
    response_status: int | None = None
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: str | None = None
    response_body_base64: bool = False
    """True when the body is no text and `response_body` holds it in base64."""
    truncated: bool = False
    error: AttemptError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The run of a job for one fire time, one manual trigger, backfill or replay. All moments are aware UTC."""

    id: str
    """`job:ms` | `job:m:key` | `job:ms:b:key` | `origin:r:key`; also the `webhook-id` of all its attempts."""
    job_id: str
    owner_id: str
    job_name: str
    host: str
    trigger: Trigger
    status: ExecutionStatus
    reason: str | None = None
    scheduled_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    duration_ms: int | None = None
    attempt_count: int = 0
    next_attempt_at: datetime | None = None
    replay_of: str | None = None
    skipped_count: int | None = None
    """For the one record that stands for many missed fire times: how many; None otherwise."""
    skipped_until: datetime | None = None
    """For that record: the last of them; `scheduled_at` is the first."""
    response_status: int | None = None
    error: AttemptError | None = None
    attempts: tuple[Attempt, ...] = ()
    check_at: datetime | None = None
    """When the sweep looks at it next; None when it is final and counted."""
    lost_count: int = 0
    interrupted: bool = False
    """A worker that stopped cut off a call for it: no attempt is counted, but the target may have it."""
    pushes: int = 1
    """How many times it was handed to the broker since it was last queued."""
    claim: str | None = None
    counted: bool = True
    """Whether the job's counters hold it; False from its outcome until they do."""
    count_token: str | None = None
    """The group of outcomes that it is counted with."""
    expire_at: datetime | None = None


class ClaimedExecution(NamedTuple):
    """What a worker needs to know of an execution that it has claimed. (A tuple is made in a fraction of the time.)"""

    id: str
    job_id: str
    owner_id: str
    job_name: str
    host: str
    trigger: Trigger
    scheduled_at: datetime
    queued_at: datetime
    started_at: datetime | None = None
    attempt_count: int = 0
    lost_count: int = 0
    pushes: int = 1
    interrupted: bool = False
    error: AttemptError | None = None


class EndedExecution(Protocol):
    """What counters and roll-ups need to know of an execution that is final."""

    @property
    def id(self) -> str: ...
    @property
    def job_id(self) -> str: ...
    @property
    def owner_id(self) -> str: ...
    @property
    def status(self) -> ExecutionStatus: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def scheduled_at(self) -> datetime: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def completed_at(self) -> datetime | None: ...
    @property
    def duration_ms(self) -> int | None: ...
    @property
    def skipped_count(self) -> int | None: ...
    @property
    def check_at(self) -> datetime | None: ...


class Finished(NamedTuple):
    """An execution as a worker has just ended it."""

    id: str
    job_id: str
    owner_id: str
    status: ExecutionStatus
    scheduled_at: datetime
    started_at: datetime | None
    completed_at: datetime
    check_at: datetime
    """When the sweep counts it, if nobody has by then."""
    duration_ms: int | None = None
    reason: str | None = None
    skipped_count: int | None = None


def schedule_execution_id(job_id: str, fire_time: datetime) -> str:
    """The id of the one execution of `job_id` for `fire_time`."""
    return f"{job_id}:{to_ms(fire_time)}"


def missed_summary_id(job_id: str, first: datetime) -> str:
    """The id of the record that stands for the many missed fire times of one outage, from `first` on."""
    return f"{job_id}:{to_ms(first)}:s"


def manual_execution_id(job_id: str, key: str) -> str:
    """The id of a manual trigger; the same key gives the same execution."""
    return f"{job_id}:m:{key}"


def backfill_execution_id(job_id: str, fire_time: datetime, key: str) -> str:
    """The id of a backfilled fire time; the same key gives the same execution."""
    return f"{job_id}:{to_ms(fire_time)}:b:{key}"


def replay_execution_id(origin_id: str, key: str) -> str:
    """The id of a replay of `origin_id` (a replay of a replay names the first origin's id)."""
    return f"{origin_id.split(':r:', 1)[0]}:r:{key}"


def request_key(user_id: str, idempotency_key: str) -> str:
    """The short key that a user's Idempotency-Key gives an execution: 24 hexadecimal digits."""
    return hashlib.sha256(f"{user_id}\n{idempotency_key}".encode()).hexdigest()[:24]


def job_id_of(execution_id: str) -> str:
    """The id of the job that an execution id belongs to."""
    return execution_id.split(":", 1)[0]


def recheck_after(pushes: int) -> timedelta:
    """How long after its push number `pushes` (from 1) a queued execution is pushed again."""
    return min(FIRST_RECHECK * (1 << min(pushes - 1, 10)), LONGEST_RECHECK)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware moment; what MongoDB keeps of it."""
    since = moment - EPOCH
    # Half of what dividing by a timedelta takes; rounded down, before 1970 too, as its parts are never negative.
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC moment of milliseconds since 1970."""
    return EPOCH + milliseconds * MILLISECOND


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
