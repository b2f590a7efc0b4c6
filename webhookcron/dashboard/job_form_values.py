"""The job form, filled in: for a new job, and with what a stored job has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhookcron.core.jobs import Job, JobStatus
from webhookcron.core.request_spec import DEFAULT_SUCCESS_STATUSES, DEFAULT_TIMEOUT_MS, NoPayload
from webhookcron.core.retries import DEFAULT_DELAYS_MS, DEFAULT_RETRIES
from webhookcron.dashboard import form_text
from webhookcron.dashboard.durations import exact_duration
from webhookcron.dashboard.job_form import AUTH_FIELDS, pretty_json
from webhookcron.service.definition_fields import definition_fields
from webhookcron.service.policy_fields import DEFAULTS

LONGEST_PAYLOAD = 60_000
"""Characters of a payload that the form shows: no page is to be larger than 200 KB."""

MOMENTS = ("run_at", "start_at", "end_at")

_SAME_TEXT = (
    "name", "key", "description", "webhook_url", "method", "content_type", "success_statuses", "misfire_policy",
    "overlap_policy", "cron_expression", "interval", "interval_value", "timezone", "max_runs", "max_retries",
    "catch_up_limit", "disable_after_failures", "retention_days", "schedule_type", "retry_backoff",
)  # fmt: skip
_FLAGS = ("follow_redirects", "signing", "delete_after_completion")


def values_of_new_job(timezone: str) -> dict[str, str]:
    """The form before anything is typed."""
    return {
        "schedule_type": "cron",
        "cron_expression": "",
        "interval": "minute",
        "interval_value": "15",
        "timezone": timezone,
        "method": "POST",
        "timeout": exact_duration(DEFAULT_TIMEOUT_MS),
        "success_statuses": DEFAULT_SUCCESS_STATUSES,
        "signing": "on",
        "is_active": "on",
        "max_retries": str(DEFAULT_RETRIES),
        "retry_mode": "list",
        "retry_delays": form_text.delay_list(DEFAULT_DELAYS_MS),
        "misfire_policy": DEFAULTS.misfire_policy.value,
        "misfire_grace": exact_duration(DEFAULTS.misfire_grace_ms),
        "catch_up_limit": str(DEFAULTS.catch_up_limit),
        "overlap_policy": DEFAULTS.overlap_policy.value,
        "disable_after_failures": str(DEFAULTS.disable_after_failures),
    }


def moments_of(job: Job) -> dict[str, datetime | None]:
    """The moments that the form shows as wall times."""
    fields = definition_fields(job)
    return {name: fields[name] for name in MOMENTS}


def payload_of(job: Job) -> Any:
    """The payload of `job`; None when it has none."""
    return None if isinstance(job.request.payload, NoPayload) else job.request.payload


def values_of_job(job: Job) -> dict[str, str]:
    """The form as `job` fills it; secrets are masked."""
    fields = definition_fields(job)
    values = {name: str(fields[name]) for name in _SAME_TEXT if fields[name] is not None}
    values |= dict.fromkeys((name for name in _FLAGS if fields[name]), "on")
    if job.status is not JobStatus.PAUSED:
        values["is_active"] = "on"
    for name in MOMENTS:
        if fields[name] is not None:
            values[name] = form_text.wall_text(fields[name], fields["timezone"])
    values["tags"] = ", ".join(fields["tags"])
    values["headers"] = form_text.header_lines(fields["headers"])
    values["secret_headers"] = ", ".join(fields["secret_headers"])
    values["query"] = form_text.query_lines(fields["query"])
    values["timeout"] = exact_duration(fields["timeout_ms"])
    values["misfire_grace"] = exact_duration(fields["misfire_grace_ms"])
    if fields["jitter_ms"]:
        values["jitter"] = exact_duration(fields["jitter_ms"])
    payload = payload_text(job)
    if len(payload) > LONGEST_PAYLOAD:
        values["keep_payload"] = "on"
    else:
        values["payload"] = payload
    values |= _retries(fields) | _success_body(fields["success_body"]) | _auth(fields["auth"])
    return values


def payload_text(job: Job) -> str:
    """The payload as the form takes it: JSON, or plain text under another content type; empty = the envelope."""
    payload, content_type = job.request.payload, job.request.content_type
    if isinstance(payload, NoPayload):
        return ""
    if isinstance(payload, str) and content_type and "json" not in content_type.lower():
        return payload
    return pretty_json(payload)


def _retries(fields: Mapping[str, Any]) -> dict[str, str]:
    if fields["retry_delay_ms"] is None:
        return {"retry_mode": "list", "retry_delays": form_text.delay_list(fields["retry_delays_ms"] or ())}
    values = {"retry_mode": "curve", "retry_delay": exact_duration(fields["retry_delay_ms"])}
    if fields["retry_max_delay_ms"] is not None:
        values["retry_max_delay"] = exact_duration(fields["retry_max_delay_ms"])
    return values


def _success_body(rule: Mapping[str, Any] | None) -> dict[str, str]:
    if rule is None:
        return {}
    if "pattern" in rule:
        return {"success_body_kind": "pattern", "success_pattern": rule["pattern"]}
    values = {"success_body_kind": "json", "success_json_path": rule["jsonPath"]}
    if "equals" in rule:
        values["success_equals"] = pretty_json(rule["equals"])
    return values


def _auth(auth: Mapping[str, Any] | None) -> dict[str, str]:
    if auth is None:
        return {}
    shown = {f"auth_{name}": str(auth[name]) for name in AUTH_FIELDS[auth["type"]] if auth.get(name)}
    return {"auth_type": auth["type"], **shown}
