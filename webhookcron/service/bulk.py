"""One thing done with many jobs, in groups, with a result for each."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import structlog

from webhookcron.core.errors import (
    NotFound,
    StoreUnavailable,
    TickSourceUnavailable,
    VersionConflict,
    WebhookcronError,
)
from webhookcron.core.executions import Reason, manual_execution_id
from webhookcron.core.fires import first_pending
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.service import job_states
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import Conflict, Invalid, NotReached
from webhookcron.service.executions import ExecutionService
from webhookcron.service.job_queries import JobQuery
from webhookcron.service.jobs import CHANGED_TOO_OFTEN, JobService, Transition
from webhookcron.service.mirror import Mirror
from webhookcron.service.owners import Owners
from webhookcron.service.platform import Platform, retention_of, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.job_documents import tick_job_of

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 10_000
IN_A_GROUP = 250

MOST_SECONDS = 25.0
"""How long one request works at most; what is left then is told as not done."""


class BulkAction(StrEnum):
    """What can be done with many jobs."""

    ACTIVATE = "activate"
    """Resume those that are paused or disabled."""
    DEACTIVATE = "deactivate"
    """Pause them."""
    DELETE = "delete"
    TRIGGER = "trigger"
    """Run each now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItem:
    """What became of one job."""

    id: str
    error: WebhookcronError | None = None
    """None = done."""
    execution_id: str | None = None
    """Of a trigger."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of all."""

    items: list[BulkItem]
    more: bool
    """Further jobs match the filter."""


class BulkService:
    """Does one thing with many jobs. May raise StoreUnavailable and TickSourceUnavailable before anything is done."""

    def __init__(
        self,
        platform: Platform,
        audit: AuditTrail,
        jobs: JobService,
        executions: ExecutionService,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._platform = platform
        self._jobs = platform.jobs
        self._audit = audit
        self._single = jobs
        self._executions = executions
        self._owners = Owners(platform)
        self._mirror = Mirror(platform)
        self._monotonic = monotonic

    def select(self, principal: Principal, query: JobQuery) -> tuple[list[str], bool]:
        """The ids of the jobs that `query` finds, its page aside, at most `MOST_AT_ONCE`; whether there are more."""
        found = self._jobs.ids(query.filter(self._owners.visible_to(principal)), limit=MOST_AT_ONCE + 1)
        return found[:MOST_AT_ONCE], len(found) > MOST_AT_ONCE

    def run(self, principal: Principal, action: BulkAction, job_ids: Sequence[str]) -> list[BulkItem]:
        """Do `action` with each job; one result each, in their order, doubles left out.

        Raises Invalid for more than `MOST_AT_ONCE`.
        """
        wanted = list(dict.fromkeys(job_ids))
        if len(wanted) > MOST_AT_ONCE:
            raise Invalid({"ids": [f"must have at most {MOST_AT_ONCE} entries"]})
        until = self._monotonic() + MOST_SECONDS
        done: dict[str, BulkItem] = {}
        for start in range(0, len(wanted), IN_A_GROUP):
            group = wanted[start : start + IN_A_GROUP]
            if self._monotonic() > until:
                done |= {id_: BulkItem(id=id_, error=NotReached()) for id_ in group}
                continue
            done |= {item.id: item for item in self._group(principal, action, group)}
        items = [done.get(id_) or BulkItem(id=id_, error=NotFound(id_)) for id_ in wanted]
        failed = sum(item.error is not None for item in items)
        self._audit.record(
            principal,
            f"job.bulk.{action.value}",
            details={"succeeded": len(items) - failed, "failed": failed, "firstIds": wanted[:100]},
        )
        return items

    def _group(self, principal: Principal, action: BulkAction, job_ids: Sequence[str]) -> Iterator[BulkItem]:
        try:
            owner_id = principal.owner_filter
            mine = {} if owner_id is None else {"ownerId": owner_id}
            jobs = list(self._jobs.load_sealed(job_ids, mine).values())
            now = stored_now(self._platform.clock)
            if action is BulkAction.TRIGGER:
                yield from self._trigger(jobs, now)
            elif action is BulkAction.DELETE:
                yield from self._delete(principal, jobs, now)
            elif action is BulkAction.ACTIVATE:
                yield from self._move(principal, jobs, job_states.resumed, now)
            else:
                yield from self._move(principal, jobs, job_states.paused, now)
        except (StoreUnavailable, TickSourceUnavailable) as error:
            log.warning("api.bulk_interrupted", did=action.value, count=len(job_ids), error=str(error))
            yield from (BulkItem(id=id_, error=error) for id_ in job_ids)

    # --- state

    def _move(
        self, principal: Principal, jobs: Sequence[Job], transition: Transition, now: datetime
    ) -> Iterator[BulkItem]:
        changed: list[Job] = []
        for job in jobs:
            try:
                moved = transition(job, now)
            except Conflict as error:
                yield BulkItem(id=job.id, error=error)
                continue
            if moved is job:
                yield BulkItem(id=job.id)
                continue
            # Fire times up to now belong to the present state: they are made before another one comes into force.
            if _has_pending(job, now):
                self._platform.scheduler.settle(tick_job_of(job), now)
            changed.append(moved)
        stored = self._jobs.change_states(changed)
        self._mirror.show_many([replace(job, version=job.version + 1) for job in stored])
        written = {job.id for job in stored}
        for job in changed:
            if job.id in written:
                yield BulkItem(id=job.id)
            else:
                # Someone changed it since it was read, which is rare: one by one then.
                change = self._single.resume if transition is job_states.resumed else self._single.pause
                yield self._singly(job.id, partial(change, principal, job.id))

    # --- removal

    def _delete(self, principal: Principal, jobs: Sequence[Job], now: datetime) -> Iterator[BulkItem]:
        for job in jobs:
            # What fell due before the deletion is on record, like all that ever did.
            if _has_pending(job, now):
                self._platform.scheduler.settle(tick_job_of(job), now)
        gone = self._jobs.delete_many([(job.id, job.version) for job in jobs])
        removed = [job for job in jobs if job.id in gone]
        self._mirror.forget_many(removed)
        by_retention: dict[timedelta, list[str]] = {}
        for job in removed:
            by_retention.setdefault(retention_of(job, self._platform), []).append(job.id)
        for retention, ids in by_retention.items():
            try:
                self._platform.executions.cancel_many(ids, Reason.DELETED, now=now, expire_at=now + retention)
            except StoreUnavailable as error:
                # The jobs are gone: what is still queued ends as cancelled when a worker claims it.
                log.warning("api.cancel_later", count=len(ids), error=str(error))
        for job in jobs:
            if job.id in gone:
                yield BulkItem(id=job.id)
            else:
                yield self._singly(job.id, partial(self._single.delete, principal, job.id))

    # --- executions

    def _trigger(self, jobs: Sequence[Job], now: datetime) -> Iterator[BulkItem]:
        triggered = {manual_execution_id(job.id, secrets.token_hex(12)): job for job in jobs}
        self._executions.make_manual(triggered, now)
        yield from (BulkItem(id=job.id, execution_id=id_) for id_, job in triggered.items())

    def _singly(self, job_id: str, change: Callable[[], object]) -> BulkItem:
        try:
            change()
        except VersionConflict:
            return BulkItem(id=job_id, error=Conflict(CHANGED_TOO_OFTEN))
        except WebhookcronError as error:
            return BulkItem(id=job_id, error=error)
        return BulkItem(id=job_id)


def _has_pending(job: Job, now: datetime) -> bool:
    """Whether fire times may have to be settled before the state of the job changes."""
    if job.status not in (JobStatus.ACTIVE, JobStatus.DISABLED):
        return False
    pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.policies.max_runs)
    return pending is not None and pending <= now
