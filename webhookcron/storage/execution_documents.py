"""Execution documents ↔ executions. A field that is None or at its default is left out of the document."""

from __future__ import annotations

from typing import Any

from webhookcron.core.errors import CorruptDocument
from webhookcron.core.executions import (
    Attempt,
    AttemptError,
    ClaimedExecution,
    Execution,
    ExecutionStatus,
    FollowedRedirect,
    Trigger,
)
from webhookcron.core.fires import DueRun
from webhookcron.storage.client import Document
from webhookcron.storage.fields import integer_or_none, moment, moment_or_none, naive_moment, text

CLAIM_PROJECTION = dict.fromkeys(
    ("jobId", "ownerId", "jobName", "host", "trigger", "status", "scheduledAt", "queuedAt", "startedAt",
     "attemptCount", "lostCount", "pushes", "interrupted", "error"), 1,
)  # fmt: skip

_TRIGGERS = {trigger.value: trigger for trigger in Trigger}

Headers = tuple[tuple[str, str], ...]

_SCHEDULE = Trigger.SCHEDULE.value
_QUEUED = ExecutionStatus.QUEUED.value


def execution_document(execution: Execution | DueRun) -> Document:
    """The document of a new execution."""
    if isinstance(execution, DueRun):
        return _queued_document(execution)
    document: Document = {
        "_id": execution.id,
        "jobId": execution.job_id,
        "ownerId": execution.owner_id,
        "jobName": execution.job_name,
        "host": execution.host,
        "trigger": execution.trigger.value,
        "status": execution.status.value,
        "scheduledAt": execution.scheduled_at,
        "queuedAt": execution.queued_at,
        "attemptCount": execution.attempt_count,
        "pushes": execution.pushes,
    }
    for key, value in (
        ("reason", execution.reason),
        ("completedAt", execution.completed_at),
        ("checkAt", execution.check_at),
        ("expireAt", execution.expire_at),
        ("replayOf", execution.replay_of),
        ("skippedCount", execution.skipped_count),
        ("skippedUntil", execution.skipped_until),
    ):
        if value is not None:
            document[key] = value
    if not execution.counted:
        document |= {"counted": False, "countToken": execution.count_token}
    return document


def _queued_document(run: DueRun) -> Document:
    job = run.job
    return {
        "_id": run.id,
        "jobId": job.id,
        "ownerId": job.owner_id,
        "jobName": job.name,
        "host": job.host,
        "trigger": _SCHEDULE,
        "status": _QUEUED,
        "scheduledAt": run.fire_time,
        "queuedAt": run.queued_at,
        "attemptCount": 0,
        "pushes": 1,
        "checkAt": run.check_at,
    }


def execution_from_document(document: Document) -> Execution:
    """The execution a document holds; CorruptDocument when it cannot be one."""
    get = document.get
    try:
        error = get("error")
        return Execution(
            id=text(document, "_id"),
            job_id=text(document, "jobId"),
            owner_id=text(document, "ownerId"),
            job_name=text(document, "jobName"),
            host=text(document, "host"),
            trigger=Trigger(document["trigger"]),
            status=ExecutionStatus(document["status"]),
            reason=get("reason"),
            scheduled_at=moment(document, "scheduledAt"),
            queued_at=moment(document, "queuedAt"),
            started_at=moment_or_none(document, "startedAt"),
            completed_at=moment_or_none(document, "completedAt"),
            duration_ms=get("durationMs"),
            attempt_count=integer_or_none(document, "attemptCount") or 0,
            next_attempt_at=moment_or_none(document, "nextAttemptAt"),
            replay_of=get("replayOf"),
            skipped_count=get("skippedCount"),
            skipped_until=moment_or_none(document, "skippedUntil"),
            response_status=get("responseStatus"),
            error=AttemptError(kind=error["kind"], message=error["message"]) if error else None,
            attempts=tuple(attempt_from_document(attempt) for attempt in get("attempts", ())),
            check_at=moment_or_none(document, "checkAt"),
            lost_count=integer_or_none(document, "lostCount") or 0,
            interrupted=bool(get("interrupted", False)),
            pushes=integer_or_none(document, "pushes") or 1,
            claim=get("claim"),
            counted=get("counted", True),
            count_token=get("countToken"),
            expire_at=moment_or_none(document, "expireAt"),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error_:
        raise CorruptDocument(document.get("_id"), f"{type(error_).__name__}: {error_}") from error_


def claimed_execution(document: Document) -> ClaimedExecution:
    """What a worker needs of a document read by `CLAIM_PROJECTION` with naive moments; CorruptDocument as above.

    It is read once per fire, so it takes nothing else along.
    """
    get = document.get
    try:
        error, started_at = get("error"), get("startedAt")
        return ClaimedExecution(
            text(document, "_id"),
            text(document, "jobId"),
            text(document, "ownerId"),
            text(document, "jobName"),
            text(document, "host"),
            _TRIGGERS[document["trigger"]],
            naive_moment(document, "scheduledAt"),
            naive_moment(document, "queuedAt"),
            None if started_at is None else naive_moment(document, "startedAt"),
            integer_or_none(document, "attemptCount") or 0,
            integer_or_none(document, "lostCount") or 0,
            integer_or_none(document, "pushes") or 1,
            bool(get("interrupted", False)),
            AttemptError(kind=error["kind"], message=error["message"]) if error else None,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error_:
        raise CorruptDocument(document.get("_id"), f"{type(error_).__name__}: {error_}") from error_


def attempt_document(attempt: Attempt) -> Document:
    """The sub-document of one attempt. (BSON writes tuples as arrays.)"""
    document: Document = {
        "number": attempt.number,
        "startedAt": attempt.started_at,
        "durationMs": attempt.duration_ms,
    }
    if attempt.phases:
        document["phases"] = dict(attempt.phases)
    for key, value in (
        ("latenessMs", attempt.lateness_ms),
        ("requestMethod", attempt.request_method),
        ("requestUrl", attempt.request_url),
        ("responseStatus", attempt.response_status),
        ("responseBody", attempt.response_body),
    ):
        if value is not None:
            document[key] = value
    if attempt.request_headers:
        document["requestHeaders"] = _headers_document(attempt.request_headers)
    if attempt.redirects:
        document["redirects"] = [{"status": r.status, "url": r.url} for r in attempt.redirects]
    if attempt.response_headers:
        document["responseHeaders"] = _headers_document(attempt.response_headers)
    if attempt.response_body_base64:
        document["responseBodyBase64"] = True
    if attempt.truncated:
        document["truncated"] = True
    if attempt.error is not None:
        document["error"] = {"kind": attempt.error.kind, "message": attempt.error.message}
    return document


def attempt_from_document(document: Document) -> Attempt:
    """The attempt a sub-document holds."""
    get = document.get
    error = get("error")
    return Attempt(
        number=document["number"],
        started_at=document["startedAt"],
        duration_ms=document["durationMs"],
        phases=get("phases"),
        lateness_ms=get("latenessMs"),
        request_method=get("requestMethod"),
        request_url=get("requestUrl"),
        request_headers=_headers_from_document(get("requestHeaders")),
        redirects=tuple(FollowedRedirect(status=r["status"], url=r["url"]) for r in get("redirects") or ()),
        response_status=get("responseStatus"),
        response_headers=_headers_from_document(get("responseHeaders")),
        response_body=get("responseBody"),
        response_body_base64=get("responseBodyBase64", False),
        truncated=get("truncated", False),
        error=AttemptError(kind=error["kind"], message=error["message"]) if error else None,
    )


def _headers_document(headers: Headers) -> str | Headers:
    """Headers as one text, a line each: half as much time as arrays for an attempt to become BSON and to come back.

    Names hold no colon (RFC 9110 section 5.1), and no part a line break; what does all the same stays an array.
    """
    joined = "\n".join(map(":".join, headers))
    return joined if joined.count("\n") == len(headers) - 1 else headers


def _headers_from_document(value: Any) -> Headers:
    if isinstance(value, str):
        return tuple(
            (name, content) for name, _, content in (line.partition(":") for line in value.split("\n"))
        )
    return tuple((name, content) for name, content in value or ())
