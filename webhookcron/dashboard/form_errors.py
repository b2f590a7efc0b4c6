"""What is wrong with a submission, by the fields of the form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhookcron.service.errors import Invalid

FIELD_OF = {
    "retry_delays_ms": "retry_delays",
    "retry_delay_ms": "retry_delay",
    "retry_max_delay_ms": "retry_max_delay",
    "timeout_ms": "timeout",
    "jitter_ms": "jitter",
    "misfire_grace_ms": "misfire_grace",
    "success_body": "success_pattern",
    "success_body_json_path": "success_json_path",
    "success_body_pattern": "success_pattern",
    "success_body_equals": "success_equals",
    "auth": "auth_type",
}
"""Fields of the API (in snake_case) -> fields of the form, where the names differ."""

FIELDS = frozenset(
    """
    name key description tags webhook_url method headers secret_headers query payload keep_payload content_type timeout
    success_statuses success_body_kind success_pattern success_json_path success_equals follow_redirects signing
    signing_secret auth_type auth_username auth_password auth_token auth_header_name auth_header_value auth_token_url
    auth_client_id auth_client_secret auth_scope auth_audience schedule_type cron_expression interval interval_value
    run_at timezone start_at end_at max_runs jitter delete_after_completion max_retries retry_mode retry_delays
    retry_delay retry_backoff retry_max_delay misfire_policy misfire_grace catch_up_limit overlap_policy
    disable_after_failures retention_days is_active
    """.split()  # noqa: SIM905
)
"""The fields of the form."""

GENERAL = ""
"""Where sentences go that belong to no field."""


class FormErrors(dict[str, list[str]]):
    """Field of the form -> sentences, the first noted first."""

    def add(self, field: str, sentence: str) -> None:
        """Note a sentence at a field of the form."""
        sentences = self.setdefault(field if field in FIELDS else GENERAL, [])
        if sentence not in sentences:
            sentences.append(sentence)

    def take(self, errors: Mapping[Any, Any], parent: str = "") -> None:
        """Note what the API's schema (camelCase) or a service (snake_case) found, objects and lists inside included."""
        for name, found in errors.items():
            path = f"{parent}_{snake_case(str(name))}" if parent else snake_case(str(name))
            if isinstance(found, Mapping):
                self.take(found, path)
                continue
            for sentence in found if isinstance(found, list) else [found]:
                self.add(form_field(path), str(sentence))

    def take_invalid(self, invalid: Invalid) -> None:
        """Note what a service refused."""
        self.take(invalid.errors)


def snake_case(name: str) -> str:
    """`nextRunAt` -> `next_run_at`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def form_field(path: str) -> str:
    """The form's field for `path`, names of the API in snake_case joined by `_`.

    It is that of the longest beginning of the path that the form knows; `GENERAL` when it knows none.
    """
    parts = path.split("_")
    for end in range(len(parts), 0, -1):
        name = "_".join(parts[:end])
        name = FIELD_OF.get(name, name)
        if name in FIELDS:
            return name
    return GENERAL
