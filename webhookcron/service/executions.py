"""What users do with executions: look at the log, make new ones, cancel and remove them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import BrokerUnavailable, NotFinal, NotFound, StoreUnavailable
from webhookcron.core.executions import (
    MILLISECOND,
    Execution,
    ExecutionStatus,
    Reason,
    Trigger,
    backfill_execution_id,
    manual_execution_id,
    recheck_after,
    replay_execution_id,
    request_key,
)
from webhookcron.core.jobs import Job
from webhookcron.core.schedules import count_fire_times, fire_times_between
from webhookcron.service.errors import Conflict, Invalid
from webhookcron.service.platform import Platform, retention_of, stored_now
from webhookcron.service.principals import Principal

log = structlog.get_logger(__name__)

MAX_AT_ONCE = 1_000
"""Executions that one backfill or one replay by filter makes at most."""

MOST_COUNTED = 100_000
"""How far the fire times of a range that is too long are counted, to say how many they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which executions to list, the latest fire time first. None and empty mean no restriction."""

    job_id: str | None = None
    statuses: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    """Exclusive."""
    after: tuple[datetime, str] | None = None
    """(scheduledAt, id) of the last one already seen."""
    limit: int = 20


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the log."""

    items: list[Execution]
    more: bool
    """Whether there are further ones after the last item."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Past fire times of a job, and the executions made for them."""

    fire_times: list[datetime]
    executions: list[Execution]
    """One per fire time, in their order; empty for a dry run."""


class ExecutionService:
    """Executions as users see and make them.

    Every method may raise StoreUnavailable and NotFound (which also stands for those of other owners).
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._executions = platform.executions
        self._jobs = platform.jobs

    # --- the log

    def get(self, principal: Principal, execution_id: str) -> Execution:
        """The execution with all its attempts."""
        return self._executions.get(execution_id, owner_id=principal.owner_filter)

    def page(self, principal: Principal, query: LogQuery) -> LogPage:
        """A page of executions. The log of a job that is deleted can still be listed."""
        found = self._executions.list(
            owner_id=principal.owner_filter,
            job_id=query.job_id,
            statuses=query.statuses,
            triggers=query.triggers,
            scheduled_from=query.scheduled_from,
            scheduled_to=query.scheduled_to,
            after=query.after,
            limit=query.limit + 1,
        )
        return LogPage(found[: query.limit], len(found) > query.limit)

    def page_of_job(self, principal: Principal, query: LogQuery, job_id: str) -> LogPage:
        """As `page`, for one job; NotFound when there is neither such a job nor any log of it."""
        page = self.page(principal, replace(query, job_id=job_id))
        if not page.items:
            self._check_job_known(principal, job_id)
        return page

    def delete(self, principal: Principal, execution_id: str) -> None:
        """Remove a finished execution from the log.

        Raises NotFinal when it is under way, or when its fire time lies after the job's cursor: then a ticker could
        make it again.
        """
        execution = self.get(principal, execution_id)
        cursor: datetime | None = None
        if execution.trigger is Trigger.SCHEDULE:
            try:
                cursor = self._jobs.get(execution.job_id, owner_id=None).handled_through
            except NotFound:
                cursor = None  # The job is deleted, so nothing makes it again.
        self._executions.delete(execution_id, owner_id=principal.owner_filter, handled_through=cursor)

    # --- making executions

    def trigger(self, principal: Principal, job_id: str, idempotency_key: str | None) -> Execution:
        """A manual execution of the job, now, whatever the job's state; the one made before for the same key."""
        job = self._jobs.get(job_id, owner_id=principal.owner_filter)
        now = stored_now(self._platform.clock)
        key = _key(principal, idempotency_key)
        execution = _queued(job, manual_execution_id(job.id, key), Trigger.MANUAL, now, now)
        return self._make([execution])[0]

    def backfill(
        self,
        principal: Principal,
        job_id: str,
        *,
        first: datetime,
        last: datetime,
        dry_run: bool,
        idempotency_key: str | None,
    ) -> Backfill:
        """Executions for the job's fire times in [`first`, `last`], by its present schedule; without them if `dry_run`.

        Raises Invalid when `last` lies after the job's cursor, or the range holds more than `MAX_AT_ONCE` fire times.
        """
        job = self._jobs.get(job_id, owner_id=principal.owner_filter)
        if last < first:
            raise Invalid({"to": ["must not lie before from"]})
        if last > job.handled_through:
            shown = job.handled_through.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            raise Invalid({"to": [f"must not lie after {shown}, up to which the job's fire times have come"]})
        fire_times = fire_times_between(job.schedule, first - MILLISECOND, last, MAX_AT_ONCE + 1)
        if len(fire_times) > MAX_AT_ONCE:
            count = count_fire_times(job.schedule, first - MILLISECOND, last, MOST_COUNTED)
            many = f"more than {count}" if count == MOST_COUNTED else str(count)
            raise Invalid(
                {"to": [f"the range holds {many} fire times; at most {MAX_AT_ONCE} are made at once"]}
            )
        if dry_run or not fire_times:
            return Backfill(fire_times, [])
        now = stored_now(self._platform.clock)
        key = _key(principal, idempotency_key)
        made = self._make(
            [
                _queued(job, backfill_execution_id(job.id, fire_time, key), Trigger.BACKFILL, fire_time, now)
                for fire_time in fire_times
            ]
        )
        return Backfill(fire_times, made)

    def replay(self, principal: Principal, execution_id: str, idempotency_key: str | None) -> Execution:
        """A new execution that does `execution_id` again with the job as it is now.

        Raises NotFinal when that is still under way, and Conflict when its job is gone or it stands for many.
        """
        origin = self.get(principal, execution_id)
        if not origin.status.final:
            raise NotFinal(execution_id)
        if origin.skipped_count is not None:
            raise Conflict("this record stands for many fire times: make them by a backfill of the job")
        try:
            job = self._jobs.get(origin.job_id, owner_id=None)
        except NotFound:
            raise Conflict("the job of this execution is deleted") from None
        return self._make([self._replay_of(origin, job, _key(principal, idempotency_key))])[0]

    def replay_matching(
        self, principal: Principal, query: LogQuery, idempotency_key: str | None, *, dry_run: bool
    ) -> LogPage:
        """Replays of the executions that `query` finds, at most `MAX_AT_ONCE`, the latest first.

        Left out are records that stand for many fire times, and executions of deleted jobs. With `dry_run` the
        originals are returned and nothing is made. `more` says whether the query finds further ones. Raises Invalid.
        """
        if query.scheduled_from and query.scheduled_to and query.scheduled_to <= query.scheduled_from:
            raise Invalid({"to": ["must lie after from"]})
        wanted = replace(query, limit=min(query.limit, MAX_AT_ONCE))
        page = self.page(principal, wanted)
        jobs = self._jobs.load(sorted({execution.job_id for execution in page.items}))
        origins: list[tuple[Execution, Job]] = []
        for execution in page.items:
            job = jobs.get(execution.job_id)
            if isinstance(job, Job) and execution.skipped_count is None and execution.status.final:
                origins.append((execution, job))
        if dry_run:
            return LogPage([origin for origin, _ in origins], page.more)
        key = _key(principal, idempotency_key)
        return LogPage(self._make([self._replay_of(o, job, key) for o, job in origins]), page.more)

    def cancel(self, principal: Principal, execution_id: str) -> Execution:
        """The execution, cancelled. Raises Conflict unless it is queued or waits for its next attempt."""
        execution = self.get(principal, execution_id)
        now = stored_now(self._platform.clock)
        expire_at = now + self._retention(execution.job_id)
        if not self._executions.cancel_one(execution_id, Reason.CANCELLED, now=now, expire_at=expire_at):
            status = self.get(principal, execution_id).status.value
            raise Conflict(f"the execution is {status}; only queued and retrying ones can be cancelled")
        return self.get(principal, execution_id)

    # --- steps

    def _replay_of(self, origin: Execution, job: Job, key: str) -> Execution:
        now = stored_now(self._platform.clock)
        execution_id = replay_execution_id(origin.id, key)
        execution = _queued(job, execution_id, Trigger.REPLAY, origin.scheduled_at, now)
        return replace(execution, replay_of=origin.id)

    def _make(self, executions: Sequence[Execution]) -> list[Execution]:
        """Store and push executions; those that are there already are returned as they stand."""
        if not executions:
            return []
        inserted = self._executions.insert(executions)
        ids = [execution.id for execution in executions]
        if not inserted.present.issuperset(ids):
            raise StoreUnavailable("not all executions could be stored; repeat with the same Idempotency-Key")
        try:
            self._platform.enqueue(ids)
        except BrokerUnavailable as error:
            # They are stored with a checkAt: the sweep pushes them again.
            log.warning("api.push_later", count=len(ids), error=str(error))
        if inserted.created.issuperset(ids):
            return list(executions)
        known = {execution.id: execution for execution in self._executions.get_many(ids)}
        return [known.get(execution.id, execution) for execution in executions]

    def _check_job_known(self, principal: Principal, job_id: str) -> None:
        try:
            self._jobs.get(job_id, owner_id=principal.owner_filter)
        except NotFound:
            any_log = LogQuery(job_id=job_id, limit=1)
            if not self.page(principal, any_log).items:
                raise

    def _retention(self, job_id: str) -> timedelta:
        job = self._jobs.load([job_id]).get(job_id)
        if isinstance(job, Job):
            return retention_of(job, self._platform)
        return timedelta(days=self._platform.settings.retention_days)


def _queued(
    job: Job, execution_id: str, trigger: Trigger, scheduled_at: datetime, now: datetime
) -> Execution:
    return Execution(
        id=execution_id,
        job_id=job.id,
        owner_id=job.owner_id,
        job_name=job.name,
        host=job.host,
        trigger=trigger,
        status=ExecutionStatus.QUEUED,
        scheduled_at=scheduled_at,
        queued_at=now,
        check_at=now + recheck_after(1),
    )


def _key(principal: Principal, idempotency_key: str | None) -> str:
    """What tells executions apart that are asked for: the same key of the same user means the same one."""
    if idempotency_key is None:
        return secrets.token_hex(12)
    return request_key(principal.user_id, idempotency_key)
