"""What becomes of a job when its owner changes, pauses or resumes it. Pure: the moment is an argument.

`now` is platform time in whole milliseconds; the caller has settled the job's fire times up to it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from webhookcron.core.fires import first_pending
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.service.definitions import Definition, with_definition
from webhookcron.service.errors import Conflict
from webhookcron.service.schedule_fields import first_cursor

PASSED_IN_PAUSE = "the last fire time of the schedule passed while the job was paused"
PASSED_WHILE_DISABLED = "the last fire time of the schedule passed while the job was disabled"
SCHEDULE_OVER = "the schedule is over"


def new_job(definition: Definition, *, job_id: str, owner_id: str, now: datetime, active: bool) -> Job:
    """A job that starts with `definition` at `now`; paused from the start unless `active`."""
    cursor = first_cursor(definition.schedule, now)
    job = Job(
        id=job_id,
        owner_id=owner_id,
        name=definition.name,
        key=definition.key,
        description=definition.description,
        tags=definition.tags,
        alerts=definition.alerts,
        schedule=definition.schedule,
        request=definition.request,
        policies=definition.policies,
        created_at=now,
        updated_at=now,
        handled_through=cursor,
        schedule_since=now,
    )
    job = replace(job, next_run_at=_next(job))
    # Nothing has fired yet, so a pause from the start accounts for nothing.
    return job if active else replace(paused(job, now), handled_through=cursor)


def rescheduled(job: Job, definition: Definition, now: datetime) -> Job:
    """`job` under a definition with other fire times: its cursor and runs start anew, and a completed job is active."""
    changed = replace(
        with_definition(job, definition),
        handled_through=first_cursor(definition.schedule, now),
        schedule_since=now,
        scheduled_runs=0,
        updated_at=now,
    )
    if changed.status is JobStatus.COMPLETED:
        changed = replace(changed, status=JobStatus.ACTIVE, status_reason=None)
    upcoming = _next(changed) if changed.status is JobStatus.ACTIVE else None
    return replace(changed, next_run_at=upcoming)


def redefined(job: Job, definition: Definition, now: datetime) -> Job:
    """`job` under a definition with the same fire times."""
    return replace(with_definition(job, definition), updated_at=now)


def paused(job: Job, now: datetime) -> Job:
    """`job` paused from `now`. A completed job raises Conflict; a paused one stays as it is."""
    if job.status is JobStatus.PAUSED:
        return job
    if job.status is JobStatus.COMPLETED:
        raise Conflict("the job is completed, so there is nothing to pause")
    return replace(
        job,
        status=JobStatus.PAUSED,
        status_reason=None,
        paused_from=now,
        paused_until=None,
        next_run_at=None,
        handled_through=max(job.handled_through, now)
        if job.status is JobStatus.ACTIVE
        else job.handled_through,
        updated_at=now,
    )


def resumed(job: Job, now: datetime) -> Job:
    """`job` active again from `now`, its failures in a row forgotten; fire times up to now are left out.

    A schedule that comes into force with this same change starts as that of a new job does: a `runAt` within the grace
    fires at once. When no fire time is left the job is completed. A completed job raises Conflict; an active one stays
    as it is.
    """
    if job.status is JobStatus.ACTIVE:
        return job
    if job.status is JobStatus.COMPLETED:
        raise Conflict(
            "the job is completed: give it a schedule that has fire times left to make it active again"
        )
    was_paused = job.status is JobStatus.PAUSED
    changed = replace(
        job,
        status=JobStatus.ACTIVE,
        status_reason=None,
        paused_until=now if was_paused else job.paused_until,
        consecutive_failures=0,
        handled_through=first_cursor(job.schedule, now) if job.schedule_since == now else now,
        updated_at=now,
    )
    upcoming = _next(changed)
    if upcoming is not None:
        return replace(changed, next_run_at=upcoming)
    passed = PASSED_IN_PAUSE if was_paused else PASSED_WHILE_DISABLED
    reason = SCHEDULE_OVER if _next(job) is None else passed
    return replace(changed, status=JobStatus.COMPLETED, status_reason=reason, next_run_at=None)


def _next(job: Job) -> datetime | None:
    return first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.policies.max_runs)
