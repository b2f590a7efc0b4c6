"""What the fields of the job form are called in sentences and in the list of errors. Pure."""

from __future__ import annotations

_LABELS: dict[str, str] = {
    "webhook_url": "URL",
    "query": "Query parameters",
    "timezone": "Time zone",
    "run_at": "At",
    "interval_value": "Every",
    "interval": "Unit",
    "start_at": "Not before",
    "end_at": "Not after",
    "max_runs": "Ends after so many runs",
    "jitter": "Spread",
    "timeout": "Deadline of a call",
    "success_statuses": "Statuses",
    "success_body_kind": "The body holds",
    "success_pattern": "Pattern",
    "success_json_path": "Path",
    "success_equals": "Value",
    "max_retries": "Retries",
    "retry_mode": "Delays",
    "retry_delay": "First delay",
    "retry_delays": "Delay before each retry",
    "retry_backoff": "Growth",
    "retry_max_delay": "Longest delay",
    "misfire_policy": "Fire times missed by more than the grace",
    "misfire_grace": "Grace",
    "catch_up_limit": "At most so many",
    "overlap_policy": "A fire time while the previous run is under way",
    "disable_after_failures": "Disable after failures in a row",
    "retention_days": "Keep executions for days",
    "auth_type": "Credentials",
    "auth_username": "User name",
    "auth_password": "Password",
    "auth_token": "Token",
    "auth_header_name": "Header",
    "auth_header_value": "Value of the header",
    "auth_token_url": "Token URL",
    "auth_client_id": "Client id",
    "auth_client_secret": "Client secret",
    "auth_scope": "Scope",
    "auth_audience": "Audience",
}


def label_of(field: str) -> str:
    """The label of a field: its name in other letters unless it is called differently."""
    return _LABELS.get(field, field.replace("_", " ").capitalize())
