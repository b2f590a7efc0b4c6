"""What is wrong with a submission, by the fields of the form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from webhookcron.dashboard.durations import exact_duration
from webhookcron.dashboard.form_labels import label_of
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

_IN_ORDER = tuple(
    """
    name tags description schedule_type cron_expression interval_value interval run_at timezone method webhook_url
    payload keep_payload headers secret_headers query content_type auth_type auth_username auth_password auth_token
    auth_header_name auth_header_value auth_token_url auth_client_id auth_client_secret auth_scope auth_audience
    max_retries retry_mode retry_delays retry_delay retry_backoff retry_max_delay timeout success_statuses
    success_body_kind success_pattern success_json_path success_equals follow_redirects misfire_policy misfire_grace
    catch_up_limit overlap_policy start_at end_at max_runs jitter disable_after_failures retention_days
    delete_after_completion signing signing_secret key is_active
    """.split()  # noqa: SIM905
)

FIELDS = frozenset(_IN_ORDER)
"""The fields of the form."""

GENERAL = ""
"""Where sentences go that belong to no field."""


DURATIONS = frozenset(
    {"timeout", "jitter", "misfire_grace", "retry_delay", "retry_delays", "retry_max_delay"}
)
"""Fields that hold durations, which the API has in milliseconds."""

_RANGE_MS = re.compile(r"a whole number from ([0-9]+) to ([0-9]+)", re.ASCII)
_MS = re.compile(r"([0-9]+) ms\b", re.ASCII)
_API_NAME = re.compile(r"\b[a-z]+(?:[A-Z][a-z]+)+\b", re.ASCII)


class FormErrors(dict[str, list[str]]):
    """Field of the form -> sentences, the first noted first."""

    def __init__(self) -> None:
        super().__init__()
        self.body_rule_field = "success_pattern"
        """Which field shows what is wrong with the rule about the body of a response as a whole."""

    def in_order(self) -> list[tuple[str, list[str]]]:
        """All of them in the order of the page, those that belong to no field first."""
        places = {field: place for place, field in enumerate(_IN_ORDER)}
        return sorted(self.items(), key=lambda item: places.get(item[0], -1))

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
            field = self.body_rule_field if path == "success_body" else form_field(path)
            for sentence in found if isinstance(found, list) else [found]:
                self.add(field, in_words_of_the_form(field, str(sentence)))

    def take_invalid(self, invalid: Invalid) -> None:
        """Note what a service refused, at fields that have nothing noted yet.

        It may have been asked about a submission without what is wrong already, and only miss that.
        """
        refused = FormErrors()
        refused.body_rule_field = self.body_rule_field
        refused.take(invalid.errors)
        complete = not self
        for field, sentences in refused.items():
            if field not in self and (complete or field != GENERAL):
                self[field] = sentences


def in_words_of_the_form(field: str, sentence: str) -> str:
    """A sentence of the API about a field of the form: fields by their labels, durations as people write them."""
    if field in DURATIONS:
        sentence = _RANGE_MS.sub(
            lambda found: (
                f"a duration from {exact_duration(int(found[1]))} to {exact_duration(int(found[2]))}"
            ),
            sentence,
        )
    sentence = _MS.sub(lambda found: exact_duration(int(found[1])), sentence)
    return _API_NAME.sub(_label, sentence)


def _label(found: re.Match[str]) -> str:
    if found[0] == "successBody":
        return "this rule"
    field = form_field(snake_case(found[0]))
    return f"“{label_of(field)}”" if field else found[0]


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
