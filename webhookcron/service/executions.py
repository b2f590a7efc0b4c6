"""What users do with executions: make new ones, and cancel them; what `ExecutionLog` does besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
)
from webhookcron.core.jobs import Job
from webhookcron.core.schedules import count_fire_times, fire_times_between
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import Conflict, Invalid
from webhookcron.service.execution_log import ExecutionLog, LogPage, LogQuery
from webhookcron.service.idempotency import OnceOnly
from webhookcron.service.platform import Platform, retention_of, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.creations import CreationStore

log = structlog.get_logger(__name__)

MAX_AT_ONCE = 1_000
"""Executions that one backfill or one replay by filter makes at most."""

MOST_COUNTED = 100_000
"""How far the fire times of a range that is too long are counted, to say how many they are."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Past fire times of a job, and the executions made for them."""

    fire_times: list[datetime]
    executions: list[Execution]
    """One per fire time, in their order; empty for a dry run."""


class ExecutionService(ExecutionLog):
    """The log, and what adds to it.

    Every method may raise StoreUnavailable and NotFound (which also stands for those of other owners).
    """

    def __init__(self, platform: Platform, audit: AuditTrail | None = None) -> None:
        super().__init__(platform, audit)
        self._platform = platform
        self._once = OnceOnly(CreationStore(platform.database), platform.executions)

    def trigger(self, principal: Principal, job_id: str, idempotency_key: str | None) -> Execution:
        """A manual execution of the job, now, whatever the job's state; the one made before for the same key."""
        job = self._jobs.get(job_id, owner_id=principal.owner_filter)
        now = stored_now(self._platform.clock)

        def make(key: str) -> list[Execution]:
            execution = _queued(job, manual_execution_id(job.id, key), Trigger.MANUAL, now, now)
            return self._make([execution])

        made = self._once.executions(
            principal, idempotency_key, "job.trigger", {"job": job.id}, make, now=now
        )
        self._audit.record_job(principal, "job.trigger", job)
        return _the_one(made)

    def make_manual(self, jobs: Mapping[str, Job], now: datetime) -> None:
        """Make a manual execution of each job under the id it stands for. Raises StoreUnavailable."""
        self._make([_queued(job, id_, Trigger.MANUAL, now, now) for id_, job in jobs.items()])

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

        def make(key: str) -> list[Execution]:
            return self._make(
                [
                    _queued(
                        job, backfill_execution_id(job.id, fire_time, key), Trigger.BACKFILL, fire_time, now
                    )
                    for fire_time in fire_times
                ]
            )

        asked = {"job": job.id, "from": first, "to": last}
        made = self._once.executions(principal, idempotency_key, "job.backfill", asked, make, now=now)
        self._audit.record_job(principal, "job.backfill", job, count=len(made))
        return Backfill([execution.scheduled_at for execution in made], made)

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
        now = stored_now(self._platform.clock)
        made = self._once.executions(
            principal,
            idempotency_key,
            "execution.replay",
            {"execution": origin.id},
            lambda key: self._make([self._replay_of(origin, job, key)]),
            now=now,
        )
        self._audit.record_job(principal, "execution.replay", job, executionId=origin.id)
        return _the_one(made)

    def replay_matching(
        self, principal: Principal, query: LogQuery, idempotency_key: str | None, *, dry_run: bool
    ) -> LogPage:
        """Replays of the executions that `query` finds, at most `MAX_AT_ONCE`, the latest first.

        Left out are records that stand for many fire times, and executions of deleted jobs. With `dry_run` the
        originals are returned and nothing is made. `more` says whether the query finds further ones. Raises Invalid.
        """
        wanted = replace(query, limit=min(query.limit, MAX_AT_ONCE))
        if dry_run:
            origins, more = self._origins(principal, wanted)
            return LogPage([origin for origin, _ in origins], more)
        more = False

        def make(key: str) -> list[Execution]:
            nonlocal more
            origins, more = self._origins(principal, wanted)
            return self._make([self._replay_of(origin, job, key) for origin, job in origins])

        made = self._once.executions(
            principal,
            idempotency_key,
            "execution.replayMany",
            asdict(wanted),
            make,
            now=stored_now(self._platform.clock),
        )
        self._audit.record(
            principal, "execution.replayMany", resource_id=query.job_id, details={"count": len(made)}
        )
        return LogPage(made, more)

    def _origins(self, principal: Principal, query: LogQuery) -> tuple[list[tuple[Execution, Job]], bool]:
        """Finished executions with their jobs, and whether there are further ones."""
        found: list[Execution] = []
        more = False
        for executions in self.pages(principal, query):
            found += executions
            if len(found) >= query.limit:
                more = True
                break
        jobs = self._jobs.load(sorted({execution.job_id for execution in found}))
        origins: list[tuple[Execution, Job]] = []
        for execution in found[: query.limit]:
            job = jobs.get(execution.job_id)
            if isinstance(job, Job) and execution.skipped_count is None and execution.status.final:
                origins.append((execution, job))
        return origins, more

    def cancel(self, principal: Principal, execution_id: str) -> Execution:
        """The execution, cancelled. Raises Conflict unless it is queued or waits for its next attempt."""
        execution = self.get(principal, execution_id)
        now = stored_now(self._platform.clock)
        expire_at = now + self._retention(execution.job_id)
        if not self._executions.cancel_one(execution_id, Reason.CANCELLED, now=now, expire_at=expire_at):
            status = self.get(principal, execution_id).status.value
            raise Conflict(f"the execution is {status}; only queued and retrying ones can be cancelled")
        self._record(principal, "execution.cancel", execution)
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


def _the_one(made: Sequence[Execution]) -> Execution:
    if not made:
        raise Conflict(
            "the execution that this request made is not in the log any more; use another Idempotency-Key"
        )
    return made[0]
