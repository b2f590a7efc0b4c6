"""The execution log as users see it: lists of it, and its removal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from webhookcron.core.errors import NotFound
from webhookcron.core.executions import Execution, Trigger
from webhookcron.core.jobs import TickJob
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import FieldErrors, Invalid
from webhookcron.service.owners import Owners
from webhookcron.service.platform import Platform
from webhookcron.service.principals import Principal
from webhookcron.storage.execution_logs import LogFilter, Position

MOST_DELETED = 10_000
"""Executions that one request removes at most."""

DELETED_AT_ONCE = 500

LOOK_SECONDS = 0.5
"""How long a page is looked for before what was found is given."""

MOST_SEARCHED = timedelta(hours=24)
"""How long a range of fire times may be whose errors are searched for text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which executions to list, the latest fire time first. None and empty mean no restriction."""

    job_id: str | None = None
    owner_id: str | None = None
    """Of use to those who see everyone's executions."""
    statuses: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    host: str | None = None
    min_duration_ms: int | None = None
    error_text: str | None = None
    """Part of the error's message; only together with `job_id`, or a range of at most `MOST_SEARCHED`."""
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    """Exclusive."""
    after: Position | None = None
    """(scheduledAt, id) of the last one already seen."""
    limit: int = 20

    def check(self) -> None:
        """Raise Invalid when its parts do not fit together."""
        errors = FieldErrors()
        if self.scheduled_from and self.scheduled_to and self.scheduled_to <= self.scheduled_from:
            errors.add("to", "must lie after from")
        if self.error_text is not None and self.job_id is None:
            first, end = self.scheduled_from, self.scheduled_to
            if first is None or end is None or end - first > MOST_SEARCHED:
                errors.add("error", "needs a jobId, or from and to at most 24 hours apart")
        errors.raise_if_any("query")


@dataclass(frozen=True, slots=True)
class LogPage:
    """A page of the log."""

    items: list[Execution]
    more: bool
    """Whether there may be further ones after the last item."""
    next_after: Position | None = None
    """Where to go on, as the next query's `after`; None at the end."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of many executions that were to be removed."""

    deleted: int
    kept: int
    """Under way, or not accounted for yet."""
    more: bool
    """Further ones match."""


class ExecutionLog:
    """The executions that a user may see.

    Every method may raise StoreUnavailable and NotFound (which also stands for those of other owners).
    """

    def __init__(self, platform: Platform, audit: AuditTrail | None = None) -> None:
        self._executions = platform.executions
        self._jobs = platform.jobs
        self._owners = Owners(platform)
        self._audit = audit or AuditTrail(platform)

    def get(self, principal: Principal, execution_id: str) -> Execution:
        """The execution with all its attempts."""
        return self._executions.get(execution_id, owner_id=principal.owner_filter)

    def page(self, principal: Principal, query: LogQuery) -> LogPage:
        """A page of executions. The log of a job that is deleted can still be listed.

        Where no index knows all that is asked for, a page may hold fewer than `limit` although there are more: looking
        stops after `LOOK_SECONDS`. Raises Invalid.
        """
        query.check()
        which = self._filter(principal, query)
        items: list[Execution] = []
        after, until = query.after, time.monotonic() + LOOK_SECONDS
        while True:
            step = self._executions.step(which, after=after, limit=query.limit - len(items))
            items += step.items
            after = step.next
            if after is None or len(items) >= query.limit or time.monotonic() >= until:
                return LogPage(items, after is not None, after)

    def pages(self, principal: Principal, query: LogQuery) -> Iterator[list[Execution]]:
        """All executions that `query` finds, some at a time; its `limit` is how many at a time. Raises Invalid."""
        query.check()
        return self._steps(self._filter(principal, query), query)

    def _steps(self, which: LogFilter, query: LogQuery) -> Iterator[list[Execution]]:
        after = query.after
        while True:
            step = self._executions.step(which, after=after, limit=query.limit)
            yield step.items
            after = step.next
            if after is None:
                return

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
        self._record(principal, "execution.delete", execution)

    def delete_matching(self, principal: Principal, query: LogQuery) -> Deletion:
        """Remove the finished executions that `query` finds, at most `MOST_DELETED` at once.

        Those under way, and those whose fire time lies after their job's cursor, stay. Raises Invalid, also when
        neither a job nor an end is named.
        """
        if query.job_id is None and query.scheduled_to is None:
            raise Invalid({"to": ["is needed where no jobId is given"]}, location="query")
        deleted = kept = 0
        more = False
        for executions in self.pages(principal, replace(query, limit=DELETED_AT_ONCE)):
            if deleted + kept >= MOST_DELETED and executions:
                more = True
                break
            removable = self._removable(executions)
            count = self._executions.remove_final(removable)
            deleted += count
            kept += len(executions) - count
        self._audit.record(
            principal,
            "execution.deleteMany",
            resource_id=query.job_id,
            details={"deleted": deleted, "to": query.scheduled_to},
        )
        return Deletion(deleted, kept, more)

    def _removable(self, executions: Sequence[Execution]) -> list[str]:
        """The ids of those that nothing could make again."""
        scheduled = {e.job_id for e in executions if e.trigger is Trigger.SCHEDULE}
        jobs = self._jobs.tick_jobs(sorted(scheduled))
        ids: list[str] = []
        for execution in executions:
            job = jobs.get(execution.job_id) if execution.trigger is Trigger.SCHEDULE else None
            # A job that cannot be read may have any cursor.
            settled = job is None or (
                isinstance(job, TickJob) and execution.scheduled_at <= job.handled_through
            )
            if execution.status.final and settled:
                ids.append(execution.id)
        return ids

    # --- steps

    def _filter(self, principal: Principal, query: LogQuery) -> LogFilter:
        owners: tuple[str, ...] = ()
        if query.job_id is None or principal.owner_filter is not None or query.owner_id is not None:
            owners = self._owners.visible_to(principal)
            if query.owner_id is not None:
                # Nobody has an empty id: what is not visible is not there.
                owners = tuple(owner for owner in owners if owner == query.owner_id) or ("",)
        return LogFilter(
            job_id=query.job_id,
            owner_ids=owners,
            statuses=query.statuses,
            triggers=query.triggers,
            host=None if query.host is None else query.host.lower(),
            min_duration_ms=query.min_duration_ms,
            error_text=query.error_text,
            scheduled_from=query.scheduled_from,
            scheduled_to=query.scheduled_to,
        )

    def _record(self, principal: Principal, action: str, execution: Execution) -> None:
        self._audit.record(principal, action, resource_id=execution.id, resource_name=execution.job_name)

    def _check_job_known(self, principal: Principal, job_id: str) -> None:
        try:
            self._jobs.get(job_id, owner_id=principal.owner_filter)
        except NotFound:
            any_log = LogQuery(job_id=job_id, limit=1)
            if not self.page(principal, any_log).items:
                raise
