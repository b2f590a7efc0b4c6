"""Errors of the API and the services at the fields of the form."""

import pytest

from webhookcron.api.job_schemas import CreateJobSchema
from webhookcron.dashboard.form_errors import FIELDS, GENERAL, FormErrors, form_field, snake_case
from webhookcron.service.errors import Invalid


@pytest.mark.parametrize(
    ("errors", "field"),
    [
        ({"cronExpression": ["is wrong"]}, "cron_expression"),
        ({"cron_expression": ["is wrong"]}, "cron_expression"),
        ({"auth": {"tokenUrl": ["is wrong"]}}, "auth_token_url"),
        ({"auth": {"header_name": ["is wrong"]}}, "auth_header_name"),
        ({"auth": {"headerValue": {"x": ["is wrong"]}}}, "auth_header_value"),
        ({"successBody": {"jsonPath": ["is wrong"]}}, "success_json_path"),
        ({"success_body": ["is wrong"]}, "success_pattern"),
        ({"retryDelaysMs": {0: ["is wrong"]}}, "retry_delays"),
        ({"headers": {"X-Team": {"value": ["is wrong"]}}}, "headers"),
        ({"tags": {3: ["is wrong"]}}, "tags"),
        ({"delayMs": ["is wrong"]}, GENERAL),
        ({"_schema": ["is wrong"]}, GENERAL),
        ({"alerts": ["is wrong"]}, GENERAL),
    ],
)
def test_every_error_lands_at_a_field_or_on_top(errors: dict[str, object], field: str) -> None:
    found = FormErrors()
    found.take_invalid(Invalid(errors))
    assert found == {field: ["is wrong"]}


def test_nothing_is_told_twice() -> None:
    errors = FormErrors()
    errors.add("name", "is needed")
    errors.add("name", "is needed")
    assert errors == {"name": ["is needed"]}


def test_every_field_of_the_api_that_people_fill_in_has_a_field_of_the_form() -> None:
    elsewhere = {"alerts", "delay_ms"}
    for name in CreateJobSchema().fields:
        if name not in elsewhere:
            assert form_field(snake_case(name)) in FIELDS - {GENERAL}, name
