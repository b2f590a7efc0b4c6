"""What a message tells, as JSON: the payload of webhooks, and what mails are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from webhookcron.core.alerts import Alert, AlertEvent, AlertState
from webhookcron.core.executions import Execution

Notice = dict[str, Any]

MOST_JOBS = 50
"""A digest names so many jobs; `more` counts the others."""

MAX_TEXT = 500


def of_job(
    alert: Alert,
    event: AlertEvent,
    *,
    job_id: str,
    job_name: str,
    now: datetime,
    since: datetime | None = None,
    execution: Execution | None = None,
    count: int | None = None,
    reason: str | None = None,
) -> Notice:
    """One event of one job. `count` is how many fire times or failures it stands for, `since` when it began."""
    entry: dict[str, Any] = {"jobId": job_id, "jobName": job_name}
    if since is not None:
        entry["since"] = _moment(since)
    if count is not None:
        entry["count"] = count
    if reason:
        entry["reason"] = reason[:MAX_TEXT]
    if execution is not None:
        entry |= _execution(execution)
    return {"event": event.value, "alertId": alert.id, "alertName": alert.name, "at": _moment(now), **entry}


def digest(alert: Alert, states: Sequence[AlertState], *, now: datetime, interval: timedelta) -> Notice:
    """What came together of several jobs within `interval`."""
    jobs = [
        {
            "jobId": state.job_id,
            "jobName": state.job_name,
            "failures": state.untold_failures,
            "recoveries": state.untold_recoveries,
            "missed": state.untold_missed,
            "failing": state.failing_since is not None,
            **({} if state.failing_since is None else {"since": _moment(state.failing_since)}),
            **({} if state.execution_id is None else {"executionId": state.execution_id}),
        }
        for state in sorted(states, key=lambda state: -state.untold_failures)
    ]
    return {
        "event": "digest",
        "alertId": alert.id,
        "alertName": alert.name,
        "at": _moment(now),
        "minutes": round(interval.total_seconds() / 60),
        "jobs": jobs[:MOST_JOBS],
        "more": max(0, len(jobs) - MOST_JOBS),
    }


def test(alert: Alert, *, now: datetime) -> Notice:
    """A message that shows whether messages arrive."""
    return {"event": "test", "alertId": alert.id, "alertName": alert.name, "at": _moment(now)}


def _execution(execution: Execution) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "executionId": execution.id,
        "scheduledAt": _moment(execution.scheduled_at),
        "status": execution.status.value,
        "attemptCount": execution.attempt_count,
    }
    if execution.response_status is not None:
        entry["responseStatus"] = execution.response_status
    if execution.error is not None:
        entry["error"] = {"kind": execution.error.kind, "message": execution.error.message[:MAX_TEXT]}
    return entry


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
