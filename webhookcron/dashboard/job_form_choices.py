"""What can be chosen in the job form, in words."""

from __future__ import annotations

from webhookcron.core.intervals import IntervalUnit
from webhookcron.core.jobs import MisfirePolicy, OverlapPolicy
from webhookcron.core.request_spec import METHODS, AuthType
from webhookcron.core.retries import Backoff

CHOICES: dict[str, dict[str, str]] = {
    "method": {method: method for method in METHODS},
    "interval": {unit.value: f"{unit.value}s" for unit in IntervalUnit},
    "auth_type": {
        "": "None",
        AuthType.BASIC.value: "User name and password (Basic)",
        AuthType.BEARER.value: "Token (Bearer)",
        AuthType.HEADER.value: "A header with a secret",
        AuthType.OAUTH2.value: "OAuth 2 client credentials",
    },
    "success_body_kind": {
        "": "Anything",
        "pattern": "Text that matches a pattern",
        "json": "A JSON value",
    },
    "retry_mode": {"list": "Delays one by one", "curve": "A delay that grows"},
    "retry_backoff": {Backoff.FIXED.value: "Always the same", Backoff.EXPONENTIAL.value: "Doubles each time"},
    "misfire_policy": {
        MisfirePolicy.FIRE_ONCE.value: "Run once for the latest",
        MisfirePolicy.SKIP.value: "Leave them out",
        MisfirePolicy.FIRE_ALL.value: "Run all of them in order",
    },
    "overlap_policy": {
        OverlapPolicy.ALLOW.value: "Run beside it",
        OverlapPolicy.SKIP.value: "Leave it out",
        OverlapPolicy.QUEUE.value: "Wait for it",
    },
}
"""Field -> value -> what people read."""

CRON_EXAMPLES: dict[str, str] = {
    "*/5 * * * *": "Every 5 minutes",
    "0 * * * *": "Every hour",
    "0 9 * * *": "Every day at 9",
    "0 9 * * 1-5": "Weekdays at 9",
    "0 9 * * 1": "Mondays at 9",
    "0 0 1 * *": "First of the month",
}

ADVANCED_FIELDS = frozenset(
    """
    max_retries retry_mode retry_delays retry_delay retry_backoff retry_max_delay timeout success_statuses
    success_body_kind success_pattern success_json_path success_equals follow_redirects misfire_policy misfire_grace
    catch_up_limit overlap_policy start_at end_at max_runs jitter disable_after_failures retention_days
    delete_after_completion signing signing_secret key
    """.split()  # noqa: SIM905
)
"""The fields that are folded away until one of them is wrong."""
