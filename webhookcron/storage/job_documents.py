"""Job documents ↔ jobs. Secrets are sealed in documents and plain in jobs.

A document is flat and in camelCase, like the resource of the HTTP API. A field that is None is left out, except where
a list is ordered by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from webhookcron.core.errors import CorruptDocument, SecretUnreadable
from webhookcron.core.jobs import (
    DeliveryJob,
    Job,
    JobStatus,
    MisfirePolicy,
    OverlapPolicy,
    Policies,
    TickJob,
)
from webhookcron.core.retries import Backoff, RetryPolicy
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.storage.client import Document
from webhookcron.storage.fields import (
    MOST_DAYS,
    MOST_MS,
    integer,
    integer_or_none,
    moment,
    moment_or_none,
    text,
)
from webhookcron.storage.request_documents import (
    REQUEST_FIELDS,
    Sealer,
    request_fields,
    request_from_document,
)

Read = TypeVar("Read")

MAX_SEARCH_TERMS = 200

SCHEDULE_FIELDS = (
    "scheduleType", "timezone", "cronExpression", "interval", "intervalValue", "anchorAt", "anchorFires", "runAt",
    "startAt", "endAt",
)  # fmt: skip

TICK_FIELDS = (
    "ownerId", "name", "host", "version", "status", *SCHEDULE_FIELDS, "misfirePolicy", "misfireGraceMs",
    "catchUpLimit", "overlapPolicy", "jitterMs", "maxRuns", "scheduledRuns", "handledThrough", "scheduleSince",
    "retentionDays", "deleteAfterCompletion", "nextRunAt",
)  # fmt: skip

TICK_PROJECTION = dict.fromkeys(TICK_FIELDS, 1)

DELIVERY_PROJECTION = dict.fromkeys(
    ("version", *SCHEDULE_FIELDS, *REQUEST_FIELDS, "maxRetries", "retryDelaysMs", "retryDelayMs", "retryBackoff",
     "retryMaxDelayMs", "disableAfterFailures", "retentionDays"), 1,
)  # fmt: skip


def definition_document(job: Job, sealer: Sealer) -> Document:
    """The fields that a change of the definition writes; None for a field that has to be removed."""
    policies, schedule, retry = job.policies, job.schedule, job.policies.retry
    return {
        "name": job.name,
        "key": job.key,
        "description": job.description or None,
        "tags": list(job.tags),
        "searchTerms": search_terms(job.name, job.description, job.tags),
        "alerts": list(job.alerts) or None,
        "scheduleType": schedule.type.value,
        "timezone": schedule.timezone,
        "cronExpression": schedule.cron_expression,
        "interval": schedule.interval.value if schedule.interval else None,
        "intervalValue": schedule.interval_value,
        "anchorAt": schedule.anchor_at,
        "anchorFires": schedule.anchor_fires or None,
        "runAt": schedule.run_at,
        "startAt": schedule.start_at,
        "endAt": schedule.end_at,
        **request_fields(job.request, sealer),
        "maxRetries": retry.max_retries,
        "retryDelaysMs": None if retry.retry_delays_ms is None else list(retry.retry_delays_ms),
        "retryDelayMs": retry.retry_delay_ms,
        "retryBackoff": retry.retry_backoff.value,
        "retryMaxDelayMs": retry.retry_max_delay_ms,
        "misfirePolicy": policies.misfire_policy.value,
        "misfireGraceMs": policies.misfire_grace_ms,
        "catchUpLimit": policies.catch_up_limit,
        "overlapPolicy": policies.overlap_policy.value,
        "jitterMs": policies.jitter_ms,
        "maxRuns": policies.max_runs,
        "disableAfterFailures": policies.disable_after_failures,
        "deleteAfterCompletion": policies.delete_after_completion,
        "retentionDays": policies.retention_days,
    }


def state_document(job: Job) -> Document:
    """The fields of a new job that its definition does not hold."""
    return {
        "_id": job.id,
        "ownerId": job.owner_id,
        "status": job.status.value,
        "statusReason": job.status_reason,
        "version": job.version,
        "createdAt": job.created_at,
        "updatedAt": job.updated_at,
        "handledThrough": job.handled_through,
        "scheduleSince": job.schedule_since,
        "scheduledRuns": job.scheduled_runs,
        "pausedFrom": job.paused_from,
        "pausedUntil": job.paused_until,
        "nextRunAt": job.next_run_at,
        "lastRunAt": job.last_run_at,
        "totalRuns": job.total_runs,
        "successfulRuns": job.successful_runs,
        "failedRuns": job.failed_runs,
        "consecutiveFailures": job.consecutive_failures,
    }


def new_job_document(job: Job, sealer: Sealer) -> Document:
    """The whole document of a new job."""
    fields = (state_document(job), definition_document(job, sealer))
    return {name: value for part in fields for name, value in part.items() if value is not None}


def job_from_document(document: Document, sealer: Sealer | None) -> Job:
    """The job a document holds; CorruptDocument when it cannot be one, SecretUnreadable when only a secret is amiss.

    Without a `sealer` secrets stay sealed: each is `SEALED` then, so that the job can be shown and no more.
    """
    get = document.get
    try:
        return Job(
            id=text(document, "_id"),
            owner_id=text(document, "ownerId"),
            name=text(document, "name"),
            key=get("key"),
            description=get("description", ""),
            tags=tuple(get("tags", ())),
            alerts=tuple(get("alerts", ())),
            schedule=schedule_from_document(document),
            request=request_from_document(document, sealer),
            policies=Policies(
                retry=_retry_policy_from_document(document),
                misfire_policy=MisfirePolicy(document["misfirePolicy"]),
                misfire_grace_ms=integer(document, "misfireGraceMs", most=MOST_MS),
                catch_up_limit=integer(document, "catchUpLimit"),
                overlap_policy=OverlapPolicy(document["overlapPolicy"]),
                jitter_ms=integer(document, "jitterMs", most=MOST_MS),
                max_runs=integer_or_none(document, "maxRuns"),
                disable_after_failures=integer(document, "disableAfterFailures"),
                delete_after_completion=document["deleteAfterCompletion"],
                retention_days=integer_or_none(document, "retentionDays", most=MOST_DAYS),
            ),
            status=JobStatus(document["status"]),
            status_reason=get("statusReason"),
            version=integer(document, "version"),
            created_at=moment(document, "createdAt"),
            updated_at=moment(document, "updatedAt"),
            handled_through=moment(document, "handledThrough"),
            schedule_since=moment(document, "scheduleSince"),
            scheduled_runs=integer(document, "scheduledRuns"),
            paused_from=moment_or_none(document, "pausedFrom"),
            paused_until=moment_or_none(document, "pausedUntil"),
            active=get("active"),
            waiting=get("waiting"),
            next_run_at=moment_or_none(document, "nextRunAt"),
            last_run_at=moment_or_none(document, "lastRunAt"),
            last_status=get("lastStatus"),
            total_runs=integer(document, "totalRuns"),
            successful_runs=integer(document, "successfulRuns"),
            failed_runs=integer(document, "failedRuns"),
            consecutive_failures=integer(document, "consecutiveFailures"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptDocument(document.get("_id"), f"{type(error).__name__}: {error}") from error


def delivery_job_from_document(document: Document, sealer: Sealer) -> DeliveryJob:
    """The part of a job that a worker delivers by; errors as those of `job_from_document`."""
    try:
        return DeliveryJob(
            text(document, "_id"),
            integer(document, "version"),
            schedule_from_document(document),
            request_from_document(document, sealer),
            _retry_policy_from_document(document),
            integer(document, "disableAfterFailures"),
            integer_or_none(document, "retentionDays", most=MOST_DAYS),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptDocument(document.get("_id"), f"{type(error).__name__}: {error}") from error


def read_by_id(
    documents: Iterable[Document], reading: Callable[[Document], Read]
) -> dict[str, Read | CorruptDocument | SecretUnreadable]:
    """What `reading` makes of each document, by id; one that it cannot read comes as its error."""
    found: dict[str, Read | CorruptDocument | SecretUnreadable] = {}
    for document in documents:
        try:
            found[document["_id"]] = reading(document)
        except (CorruptDocument, SecretUnreadable) as error:
            found[document["_id"]] = error
    return found


def tick_job_from_document(document: Document) -> TickJob:
    """The part of a job that decides about its fire times; CorruptDocument when it cannot be read."""
    try:
        return TickJob(
            id=text(document, "_id"),
            owner_id=text(document, "ownerId"),
            name=text(document, "name"),
            host=text(document, "host"),
            version=integer(document, "version"),
            status=JobStatus(document["status"]),
            schedule=schedule_from_document(document),
            misfire_policy=MisfirePolicy(document["misfirePolicy"]),
            misfire_grace_ms=integer(document, "misfireGraceMs", most=MOST_MS),
            catch_up_limit=integer(document, "catchUpLimit"),
            overlap_policy=OverlapPolicy(document["overlapPolicy"]),
            jitter_ms=integer(document, "jitterMs", most=MOST_MS),
            max_runs=integer_or_none(document, "maxRuns"),
            scheduled_runs=integer(document, "scheduledRuns"),
            handled_through=moment(document, "handledThrough"),
            schedule_since=moment(document, "scheduleSince"),
            retention_days=integer_or_none(document, "retentionDays", most=MOST_DAYS),
            delete_after_completion=bool(document["deleteAfterCompletion"]),
            next_run_at=moment_or_none(document, "nextRunAt"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptDocument(document.get("_id"), f"{type(error).__name__}: {error}") from error


def tick_job_or_error(document: Document) -> TickJob | CorruptDocument:
    """As `tick_job_from_document`, the error handed back instead of raised."""
    try:
        return tick_job_from_document(document)
    except CorruptDocument as error:
        return error


def tick_job_of(job: Job) -> TickJob:
    """The part of `job` that decides about its fire times."""
    policies = job.policies
    return TickJob(
        id=job.id,
        owner_id=job.owner_id,
        name=job.name,
        host=job.host,
        version=job.version,
        status=job.status,
        schedule=job.schedule,
        misfire_policy=policies.misfire_policy,
        misfire_grace_ms=policies.misfire_grace_ms,
        catch_up_limit=policies.catch_up_limit,
        overlap_policy=policies.overlap_policy,
        jitter_ms=policies.jitter_ms,
        max_runs=policies.max_runs,
        scheduled_runs=job.scheduled_runs,
        handled_through=job.handled_through,
        schedule_since=job.schedule_since,
        retention_days=policies.retention_days,
        delete_after_completion=policies.delete_after_completion,
        next_run_at=job.next_run_at,
    )


def schedule_from_document(document: Document) -> Schedule:
    """The schedule of a job document."""
    get = document.get
    interval = get("interval")
    return Schedule(
        type=ScheduleType(document["scheduleType"]),
        timezone=document["timezone"],
        cron_expression=get("cronExpression"),
        interval=None if interval is None else IntervalUnit(interval),
        interval_value=get("intervalValue"),
        anchor_at=get("anchorAt"),
        anchor_fires=get("anchorFires", False),
        run_at=get("runAt"),
        start_at=get("startAt"),
        end_at=get("endAt"),
    )


def _retry_policy_from_document(document: Document) -> RetryPolicy:
    delays = document.get("retryDelaysMs")
    return _retry_policy(
        integer(document, "maxRetries"),
        None if delays is None else tuple(delays),
        document.get("retryDelayMs"),
        document["retryBackoff"],
        document.get("retryMaxDelayMs"),
    )


@lru_cache(maxsize=1024)
def _retry_policy(
    max_retries: int,
    delays_ms: tuple[int, ...] | None,
    delay_ms: int | None,
    backoff: str,
    max_delay_ms: int | None,
) -> RetryPolicy:
    """One object for the many jobs that have the same policy."""
    return RetryPolicy(
        max_retries=max_retries,
        retry_delays_ms=delays_ms,
        retry_delay_ms=delay_ms,
        retry_backoff=Backoff(backoff),
        retry_max_delay_ms=max_delay_ms,
    )


def search_terms(name: str, description: str, tags: Iterable[str]) -> list[str]:
    """The words of a job that a search finds by their beginnings: lower case, without doubles, bounded."""
    words = re.findall(r"\w+", " ".join((name, description, *tags)).lower())
    return list(dict.fromkeys(word[:50] for word in words))[:MAX_SEARCH_TERMS]
