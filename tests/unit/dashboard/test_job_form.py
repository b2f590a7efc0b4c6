"""The job form: read, and filled in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.api.job_schemas import CreateJobSchema
from webhookcron.core.jobs import Job, MisfirePolicy, OverlapPolicy, Policies
from webhookcron.core.request_spec import AuthSpec, AuthType, RequestSpec, SigningSecret
from webhookcron.core.retries import Backoff, RetryPolicy
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.core.targets import TargetPolicy
from webhookcron.dashboard.form_errors import FormErrors
from webhookcron.dashboard.job_form import JobForm, loaded
from webhookcron.dashboard.job_form_values import moments_of, payload_of, values_of_job, values_of_new_job
from webhookcron.service.definitions import Definition, DefinitionRules
from webhookcron.service.errors import Invalid

NOW = datetime(2030, 1, 31, 9, 0, 0, 123_000, tzinfo=UTC)
HOUR = timedelta(hours=1)
CRON = Schedule(type=ScheduleType.CRON, cron_expression="0 9 * * 1", timezone="Europe/Berlin")
REQUEST = RequestSpec(
    url="https://example.com/hook",
    signing_secrets=(SigningSecret("whsec_" + "A" * 32),),
)


def job(schedule: Schedule = CRON, request: RequestSpec = REQUEST, policies: Policies | None = None) -> Job:
    return Job(
        id="a" * 24,
        owner_id="ann",
        name="Weekly report",
        key="weekly",
        description="Line one\nline two",
        tags=("billing", "night"),
        schedule=schedule,
        request=request,
        policies=policies or Policies(),
        created_at=NOW,
        updated_at=NOW,
        handled_through=NOW,
        schedule_since=NOW,
    )


JOBS = {
    "cron": job(),
    "interval": job(
        Schedule(
            type=ScheduleType.INTERVAL,
            interval=IntervalUnit.DAY,
            interval_value=2,
            anchor_at=NOW,
            timezone="America/New_York",
        )
    ),
    "interval with start": job(
        Schedule(
            type=ScheduleType.INTERVAL,
            interval=IntervalUnit.HOUR,
            interval_value=3,
            anchor_at=NOW + HOUR,
            start_at=NOW + HOUR,
            anchor_fires=True,
            end_at=NOW + 400 * HOUR,
        )
    ),
    "once, at a fraction of a second": job(Schedule(type=ScheduleType.ONCE, run_at=NOW + HOUR)),
    "request": job(
        request=replace(
            REQUEST,
            method="PUT",
            headers=(("X-Team", "billing"), ("Authorization", "secret"), ("X-Key", "secret")),
            secret_headers=("X-Key",),
            query=(("a", "1"), ("b", "x=y")),
            payload={"type": "a", "json_path": 1, "deep": [1, 2.5, None, "é"]},
            timeout_ms=1_500,
            success_statuses="200-299,304",
            success_body={"jsonPath": "$.ok", "equals": True},
            follow_redirects=True,
        )
    ),
    "text": job(
        request=replace(
            REQUEST, payload="a=1\nb=2", content_type="text/plain", success_body={"pattern": "o+k"}
        )
    ),
    "long payload": job(request=replace(REQUEST, payload=["x" * 100_000])),
    "string payload": job(request=replace(REQUEST, payload="hello")),
    "basic": job(
        request=replace(REQUEST, auth=AuthSpec(type=AuthType.BASIC, username="ann", password="secret"))
    ),
    "oauth2": job(
        request=replace(
            REQUEST,
            signing=False,
            signing_secrets=(),
            auth=AuthSpec(
                type=AuthType.OAUTH2,
                token_url="https://example.com/token",
                client_id="id",
                client_secret="secret",
                scope="a b",
            ),
        )
    ),
    "policies": job(
        policies=Policies(
            retry=RetryPolicy(
                max_retries=7,
                retry_delay_ms=1_500,
                retry_backoff=Backoff.EXPONENTIAL,
                retry_max_delay_ms=3_600_000,
            ),
            misfire_policy=MisfirePolicy.FIRE_ALL,
            misfire_grace_ms=90_000,
            catch_up_limit=50,
            overlap_policy=OverlapPolicy.QUEUE,
            jitter_ms=0,
            max_runs=10,
            disable_after_failures=5,
            delete_after_completion=True,
            retention_days=3,
        )
    ),
    "spread": job(policies=Policies(retry=RetryPolicy(retry_delays_ms=(1_000,)), jitter_ms=1_500)),
}

RULES = DefinitionRules(
    target_policy=TargetPolicy(), default_timezone="UTC", random_bytes=lambda count: b"x" * count
)


@pytest.mark.parametrize("stored", JOBS.values(), ids=JOBS.keys())
def test_a_form_that_is_sent_back_unchanged_changes_nothing(stored: Job) -> None:
    form = JobForm(values_of_job(stored), moments_of(stored), payload_of(stored))
    values = loaded(CreateJobSchema(), form.definition(), form.errors)
    assert form.errors == {}
    definition = RULES.build(values, now=NOW, stored=stored)
    assert definition.same_as(Definition.of(stored))


def test_a_new_job_needs_a_name_a_schedule_and_a_url_only() -> None:
    values = values_of_new_job("Europe/Berlin") | {
        "name": "Report", "cron_expression": "0 9 * * 1", "webhook_url": "https://example.com",
    }  # fmt: skip
    form = JobForm(values)
    definition = RULES.build(loaded(CreateJobSchema(), form.definition(), form.errors), now=NOW)
    assert form.errors == {}
    plain = RULES.build(
        {
            "name": "Report",
            "cron_expression": "0 9 * * 1",
            "webhook_url": "https://example.com",
            "timezone": "Europe/Berlin",
        },
        now=NOW,
    )
    assert definition.same_as(plain)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"interval_value": "x", "schedule_type": "interval"}, "interval_value"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": "1h"}, "timeout"),
        ({"retry_delays": "1m, often"}, "retry_delays"),
        ({"headers": "no colon"}, "headers"),
        ({"query": "=x"}, "query"),
        ({"payload": "{"}, "payload"),
        ({"payload": "[NaN]"}, "payload"),
        ({"run_at": "tomorrow", "schedule_type": "once"}, "run_at"),
        ({"start_at": "tomorrow"}, "start_at"),
        ({"max_retries": "many"}, "max_retries"),
        ({"tags": "a" * 51}, "tags"),
        ({"success_body_kind": "json", "success_json_path": "$.a", "success_equals": "{"}, "success_equals"),
        ({"webhook_url": ""}, "webhook_url"),
        ({"method": "BREW"}, "method"),
        ({"key": "a b"}, "key"),
        ({"cron_expression": ""}, "cron_expression"),
        ({"interval_value": "", "schedule_type": "interval"}, "interval_value"),
        ({"run_at": "", "schedule_type": "once"}, "run_at"),
        ({"start_at": "0001-01-01T00:00"}, "start_at"),
        ({"end_at": "9999-12-31T23:59"}, "end_at"),
        ({"auth_type": "magic"}, "auth_type"),
        ({"success_body_kind": "magic"}, "success_body_kind"),
        ({"success_body_kind": "pattern"}, "success_pattern"),
        ({"success_body_kind": "json", "success_equals": "1"}, "success_json_path"),
        ({"success_body_kind": "json", "success_json_path": "$.a"}, "success_equals"),
        ({"retry_mode": "curve"}, "retry_delay"),
        ({"max_retries": "-1"}, "max_retries"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(changes: dict[str, str], field: str) -> None:
    values = values_of_new_job("UTC") | {
        "name": "x", "cron_expression": "0 9 * * 1", "webhook_url": "https://example.com",
    }  # fmt: skip
    form = JobForm(values | changes)
    loaded(CreateJobSchema(), form.definition(), form.errors)
    assert set(form.errors) == {field}


def refused(**changes: str) -> FormErrors:
    """What a new job with these changes is told."""
    values = values_of_new_job("UTC") | {
        "name": "x", "cron_expression": "0 9 * * 1", "webhook_url": "https://example.com",
    }  # fmt: skip
    form = JobForm(values | changes)
    read = loaded(CreateJobSchema(), form.definition(), form.errors)
    try:
        RULES.build(read, now=NOW)
    except Invalid as invalid:
        form.errors.take_invalid(invalid)
    return form.errors


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_page() -> None:
    found = refused(
        name="",
        tags="a" * 51,
        cron_expression="99 * * * *",
        timezone="Mars/Olympus",
        webhook_url="ftp://example.com",
        payload="{",
        headers="no colon",
        auth_type="header",
        auth_header_name="bad name",
        auth_header_value="x",
        max_retries="-1",
        retry_delays="often",
        timeout="1h",
        success_statuses="abc",
        success_body_kind="json",
        success_json_path="a[",
        success_equals="1",
        max_runs="none",
        jitter="99d",
        signing_secret="x",
        key="a b",
    )
    assert [field for field, _ in found.in_order()] == [
        "name", "tags", "cron_expression", "timezone", "webhook_url", "payload", "headers",
        "auth_header_name", "max_retries", "retry_delays", "timeout", "success_statuses", "success_json_path",
        "max_runs", "jitter", "signing_secret", "key",
    ]  # fmt: skip


def test_what_cannot_be_read_is_not_told_to_be_missing_too() -> None:
    assert refused(schedule_type="once", run_at="tomorrow") == {
        "run_at": ["must be a date and a time such as 2030-01-31 09:00"]
    }


def test_sentences_speak_of_the_form_not_of_the_api() -> None:
    assert refused(timeout="1h")["timeout"] == ["must be a duration from 1s to 5m"]
    assert refused(start_at="2031-01-02T00:00", end_at="2031-01-01T00:00")["end_at"] == [
        "“Not after” must not lie before “Not before”"
    ]
    assert "(“Grace”, 1m)" in refused(schedule_type="once", run_at="2020-01-01T00:00")["run_at"][0]


def test_the_expected_value_in_a_body_may_be_null() -> None:
    form = JobForm({"success_body_kind": "json", "success_json_path": "$.error", "success_equals": "null"})
    assert form.request()["success_body"] == {"json_path": "$.error", "equals": None}
    assert form.errors == {}


def test_only_the_fields_of_the_chosen_kind_count() -> None:
    form = JobForm(
        {"schedule_type": "interval", "interval": "hour", "interval_value": "2", "cron_expression": "x"}
    )
    assert form.schedule() == {"schedule_type": "interval", "interval": "hour", "interval_value": 2}


def test_wall_times_are_those_of_the_zone_of_the_schedule() -> None:
    form = JobForm({"schedule_type": "once", "timezone": "Europe/Berlin", "run_at": "2030-07-01T11:00"})
    assert form.schedule()["run_at"].startswith("2030-07-01T09:00:00.000+00:00")


def test_an_unknown_zone_is_told_once_and_by_its_own_field() -> None:
    form = JobForm(
        {
            "schedule_type": "once",
            "timezone": "Berlin",
            "run_at": "2030-07-01T11:00",
            "end_at": "2031-01-01T00:00",
        }
    )
    wire: dict[str, Any] = form.schedule()
    assert form.errors == {}
    assert wire == {"schedule_type": "once", "timezone": "Berlin", "run_at": "2030-07-01T11:00:00"}


def test_credentials_and_headers_that_are_emptied_are_taken_away() -> None:
    wire = JobForm({"auth_type": "", "headers": ""}).request()
    assert wire["auth"] is None
    assert wire["headers"] == {}
