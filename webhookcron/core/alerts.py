"""Alerts: who is told when jobs fail, and what is told when. Pure: moments come as arguments."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

TOLD_AT_ONCE = 5
"""Messages that one alert sends at once within a digest interval; the rest waits for the digest."""

RETRY_DELAYS = (
    timedelta(seconds=30),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=6),
)
"""Between the tries to send a message; after the last one it is given up."""


class AlertEvent(StrEnum):
    """What an alert may tell of."""

    FAILURE = "failure"
    """An execution failed, its retries included."""
    RECOVERY = "recovery"
    """A job that had failed succeeded again."""
    DISABLED = "disabled"
    """The platform stopped a job, because it failed too often or its target asked for it."""
    MISSED = "missed"
    """Fire times were skipped, because they were found too late."""
    SILENCE = "silence"
    """An active job has had no success for longer than `silence_minutes`."""


class Channel(StrEnum):
    """How an alert reaches people."""

    EMAIL = "email"
    """Mail to `to`, through the operator's server."""
    WEBHOOK = "webhook"
    """A signed call of `url`."""
    OPERATOR = "operator"
    """The operator's own channels (WEBHOOKCRON_APPRISE_URLS)."""


class MessageStatus(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    """Waiting for a worker, or for its next try."""
    SENDING = "sending"
    """A worker holds it."""
    SENT = "sent"
    """The mail server, the receiver or the service took it."""
    FAILED = "failed"
    """Given up; `error` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Whom to tell of what. Applies to all jobs of its owner, or to the jobs that name it in their `alerts`."""

    id: str
    owner_id: str
    name: str
    channel: Channel
    events: frozenset[AlertEvent]
    all_jobs: bool = False
    is_active: bool = True
    to: tuple[str, ...] = ()
    url: str = ""
    signing_secret: str = field(default="", repr=False)
    silence_minutes: int | None = None
    created_at: datetime
    updated_at: datetime
    digest_at: datetime | None = None
    """When what was not told at once is told; None while nothing waits."""
    told: int = 0
    """Messages sent at once since the last digest."""

    def wants(self, event: AlertEvent) -> bool:
        """Whether it tells of `event`."""
        return self.is_active and event in self.events


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """What an alert knows of one job."""

    alert_id: str
    job_id: str
    job_name: str = ""
    failing_since: datetime | None = None
    """When the first failure since the last success was seen; None while the job is well."""
    failures: int = 0
    """Since then."""
    told_at: datetime | None = None
    """When the present run of failures was told of at once; None = it was not (yet)."""
    untold_failures: int = 0
    untold_recoveries: int = 0
    untold_missed: int = 0
    execution_id: str | None = None
    """The last failed execution."""
    disabled_version: int | None = None
    """The version of the job whose stop was told of."""
    silent_since: datetime | None = None
    """Since when it has had no success, if that was told of."""
    revision: int = 0
    """How often it was stored: what it was read as must not be written over what another instance made of it."""

    @property
    def has_news(self) -> bool:
        """Whether the next digest has something to tell of this job."""
        return bool(self.untold_failures or self.untold_recoveries or self.untold_missed)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember: the job is well, and all was told."""
        return not self.has_news and self.failing_since is self.told_at is self.silent_since is None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a piece of news makes of a state, and what is to be told at once."""

    state: AlertState
    tell: tuple[AlertEvent, ...] = ()


def judge(
    alert: Alert,
    state: AlertState,
    *,
    failures: int,
    failed_id: str | None,
    ends_well: bool,
    missed: int,
    room: int,
    now: datetime,
) -> Judged:
    """What is told of a job of which so many executions failed and fire times were missed, in this order.

    `ends_well` says that the last execution of the group succeeded, `room` how many more messages may go at once.
    A first failure is told at once; what follows waits for the digest, until the job has recovered. A job that fails
    again soon after it recovered waits, too.
    """
    tell: list[AlertEvent] = []
    if failures:
        first = state.failing_since is None
        state = replace(
            state,
            failing_since=state.failing_since or now,
            failures=state.failures + failures,
            execution_id=failed_id or state.execution_id,
        )
        quiet = state.told_at is not None
        if first and not quiet and room > 0 and alert.wants(AlertEvent.FAILURE):
            tell.append(AlertEvent.FAILURE)
            state = replace(state, told_at=now, untold_failures=state.untold_failures + failures - 1)
            room -= 1
        elif alert.wants(AlertEvent.FAILURE):
            state = replace(state, untold_failures=state.untold_failures + failures)
    if ends_well and state.failing_since is not None:
        told = state.told_at is not None and state.told_at >= state.failing_since
        if alert.wants(AlertEvent.RECOVERY):
            if told and room > 0:
                tell.append(AlertEvent.RECOVERY)
                room -= 1
            else:
                state = replace(state, untold_recoveries=state.untold_recoveries + 1)
        # `told_at` stays until the digest: a job that flaps is told of once in each interval.
        state = replace(state, failing_since=None, failures=0)
    if missed and alert.wants(AlertEvent.MISSED):
        if room > 0 and not state.untold_missed:
            tell.append(AlertEvent.MISSED)
        else:
            state = replace(state, untold_missed=state.untold_missed + missed)
    return Judged(state, tuple(tell))


def after_digest(state: AlertState, *, job_is_there: bool = True) -> AlertState:
    """The state once the digest has told of it. A job that was deleted is not failing any more, nor silent."""
    if not job_is_there:
        state = replace(state, failing_since=None, failures=0, silent_since=None)
    return replace(
        state,
        untold_failures=0,
        untold_recoveries=0,
        untold_missed=0,
        # Failing on: told. Well again: the next failure is a first one.
        told_at=state.failing_since,
    )


def next_try(tries: int, now: datetime) -> datetime | None:
    """When a message that failed for the `tries`-th time (from 1) is tried again; None = it is given up."""
    return now + RETRY_DELAYS[tries - 1] if tries <= len(RETRY_DELAYS) else None
