"""Definitions as flat fields again: what answers show, and what a partial change is laid over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from webhookcron.core.headers import secret_names
from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import AuthSpec, NoPayload, RequestSpec
from webhookcron.core.retries import DEFAULT_DELAYS_MS
from webhookcron.service.auth_fields import OPTIONAL_FIELDS, REQUIRED_FIELDS, SECRET_FIELDS
from webhookcron.service.schedule_fields import FIELDS_BY_TYPE
from webhookcron.service.secret_values import MASK

_RETRY_CURVES = (("retry_delays_ms",), ("retry_delay_ms", "retry_backoff", "retry_max_delay_ms"))


def definition_fields(job: Job) -> dict[str, Any]:
    """Every field of the job's definition by its name in snake_case, None where it has none; secrets are masked.

    Building a definition of this for the same job yields the job's definition. `signing_secret` is left out, and so
    is `delay_ms`, which has become `run_at`.
    """
    schedule, request, policies, retry = job.schedule, job.request, job.policies, job.policies.retry
    delays = retry.retry_delays_ms
    if delays is None and retry.retry_delay_ms is None:
        delays = DEFAULT_DELAYS_MS
    return {
        "name": job.name,
        "key": job.key,
        "description": job.description,
        "tags": list(job.tags),
        "alerts": list(job.alerts),
        "schedule_type": schedule.type.value,
        "cron_expression": schedule.cron_expression,
        "interval": schedule.interval.value if schedule.interval else None,
        "interval_value": schedule.interval_value,
        "run_at": schedule.run_at,
        "timezone": schedule.timezone,
        "start_at": schedule.start_at,
        "end_at": schedule.end_at,
        "max_runs": policies.max_runs,
        "jitter_ms": policies.jitter_ms,
        "delete_after_completion": policies.delete_after_completion,
        **_request_fields(request),
        "max_retries": retry.max_retries,
        "retry_delays_ms": None if delays is None else list(delays),
        "retry_delay_ms": retry.retry_delay_ms,
        "retry_backoff": retry.retry_backoff.value,
        "retry_max_delay_ms": retry.retry_max_delay_ms,
        "misfire_policy": policies.misfire_policy.value,
        "misfire_grace_ms": policies.misfire_grace_ms,
        "catch_up_limit": policies.catch_up_limit,
        "overlap_policy": policies.overlap_policy.value,
        "disable_after_failures": policies.disable_after_failures,
        "retention_days": policies.retention_days,
    }


def patched(job: Job, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the job's definition with those of `patch` laid over; None puts a field back to its default.

    Naming fire times in another way, or retry delays by the other curve, drops the fields of the present way.
    """
    result = definition_fields(job)
    if job.policies.retry.retry_delays_ms is None:
        result["retry_delays_ms"] = None
    given = {name for name, value in patch.items() if value is not None}
    for ways in (tuple(FIELDS_BY_TYPE.values()), _RETRY_CURVES):
        chosen = [names for names in ways if given & set(names)]
        if chosen:
            dropped = (name for names in ways if names not in chosen for name in names)
            result.update(dict.fromkeys(dropped))
    if given & {name for names in FIELDS_BY_TYPE.values() for name in names}:
        result["schedule_type"] = None
    if "delay_ms" in given:
        result["run_at"] = None
    if "retry_delay_ms" in patch and "retry_delay_ms" not in given:
        result.update(retry_backoff=None, retry_max_delay_ms=None)
    result.update(patch)
    return result


def _request_fields(request: RequestSpec) -> dict[str, Any]:
    secret = secret_names(request.secret_headers)
    return {
        "webhook_url": request.url,
        "method": request.method,
        "headers": {name: MASK if name.lower() in secret else value for name, value in request.headers},
        "secret_headers": list(request.secret_headers),
        "query": dict(request.query),
        "payload": None if isinstance(request.payload, NoPayload) else request.payload,
        "content_type": request.content_type,
        "timeout_ms": request.timeout_ms,
        "success_statuses": request.success_statuses,
        "success_body": request.success_body,
        "follow_redirects": request.follow_redirects,
        "auth": None if request.auth is None else _auth_fields(request.auth),
        "signing": request.signing,
    }


def _auth_fields(auth: AuthSpec) -> dict[str, Any]:
    shown = {*REQUIRED_FIELDS[auth.type], *OPTIONAL_FIELDS.get(auth.type, ())}
    values = {field.name: getattr(auth, field.name) for field in fields(auth) if field.name in shown}
    return {
        "type": auth.type.value,
        **{
            name: MASK if name in SECRET_FIELDS and value else value
            for name, value in values.items()
            if value or name in REQUIRED_FIELDS[auth.type]
        },
    }
