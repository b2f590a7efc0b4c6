"""What the mirror should say about a job, and how an entry that says something else is put right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeGuard

import structlog

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.fires import act_at, first_pending
from webhookcron.core.jobs import JobStatus, TickJob
from webhookcron.ticks.source import Advance, DueFire, MirrorEntry

log = structlog.get_logger(__name__)


def mirror_entry(job: TickJob) -> MirrorEntry | None:
    """How an active job has to be mirrored, from its rule and cursor alone; None when its schedule is over.

    Raises CorruptDocument when that cannot be said: one document that nobody foresaw must not hold up the others.
    """
    try:
        pending = first_pending(job.schedule, job.handled_through, job.scheduled_runs, job.max_runs)
        if pending is None:
            return None
        return entry_at(job, pending, act_at(job.id, pending, job.jitter_ms))
    except Exception as error:
        raise CorruptDocument(job.id, f"{type(error).__name__}: {error}") from error


def mirror_entries(
    jobs: Iterable[TickJob],
) -> tuple[list[MirrorEntry], list[TickJob], list[CorruptDocument]]:
    """The entries of active jobs, those whose schedule is over, and those of which neither can be said."""
    entries: list[MirrorEntry] = []
    over: list[TickJob] = []
    corrupt: list[CorruptDocument] = []
    for job in jobs:
        try:
            entry = mirror_entry(job)
        except CorruptDocument as error:
            corrupt.append(error)
            continue
        if entry is None:
            over.append(job)
        else:
            entries.append(entry)
    return entries, over, corrupt


def entry_at(job: TickJob, fire_time: datetime, at: datetime | None) -> MirrorEntry:
    """The entry of `job` for a fire time, to be acted on `at`; None = at the fire time."""
    return MirrorEntry(job.id, job.version, fire_time, fire_time if at is None else at)


def is_as_mirrored(job: TickJob | CorruptDocument | None, fire: DueFire) -> TypeGuard[TickJob]:
    """Whether the job is active and mirrored in the version that MongoDB holds."""
    return isinstance(job, TickJob) and job.status is JobStatus.ACTIVE and job.version == fire.version


def corrected(fire: DueFire, job: TickJob | CorruptDocument | None, now: datetime) -> Advance:
    """Mirror what MongoDB says where the mirror says something else, or nothing readable; nothing fires yet."""
    if isinstance(job, CorruptDocument):
        return set_aside(fire, job.reason, now)
    if job is None or job.status is not JobStatus.ACTIVE:
        return Advance(fire, None)
    try:
        return Advance(fire, mirror_entry(job))
    except CorruptDocument as error:
        return set_aside(fire, error.reason, now)


def set_aside(fire: DueFire, reason: str, now: datetime) -> Advance:
    """A job that cannot be read is looked at again in five minutes; the others go on."""
    log.error("job.corrupt", job_id=fire.job_id, reason=reason)
    moment = now + timedelta(minutes=5)
    return Advance(fire, MirrorEntry(fire.job_id, fire.version or 0, fire.fire_time or moment, moment))
