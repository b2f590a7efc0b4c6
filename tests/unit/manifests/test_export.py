from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webhookcron.manifests.definitions import desired_job
from webhookcron.manifests.export import export_text
from webhookcron.manifests.files import JobEntry
from webhookcron.manifests.plan import make_plan

Stored = Callable[..., dict[str, Any]]
Entries = Callable[[str], list[JobEntry]]

WHSEC = "whsec_" + "A" * 44


@pytest.fixture
def exported_is_no_change(entries: Entries, now: datetime) -> Callable[[dict[str, Any]], None]:
    """Checks that exporting a job and applying the file would do nothing, not even send secrets."""

    def check(resource: dict[str, Any]) -> None:
        text = export_text([resource], now=now)
        [entry] = entries(text)
        # Another default zone than the job's, and no variables at all.
        job = desired_job(entry, resource, environ={}, default_timezone="Asia/Tokyo", now=now)
        assert make_plan([job], {entry.key: resource}, now=now).to_do == (), text

    return check


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timezone": "Europe/Berlin", "tags": ["a", "on"], "description": "two\nlines\n"},
        {"interval": "month", "intervalValue": 1},
        {"interval": "second", "intervalValue": 30, "startAt": "2030-01-05T00:00:00Z"},
        {"runAt": "2030-01-05T00:00:00Z", "deleteAfterCompletion": True},
        {"auth": {"type": "basic", "username": "me", "password": "s3cret"}, "signingSecret": WHSEC},
        {
            "auth": {
                "type": "oauth2",
                "tokenUrl": "https://i.example/t",
                "clientId": "c",
                "clientSecret": "s3cret",
            }
        },
        {"headers": {"Cookie": "s3cret", "X-Key": "s3cret", "X-Plain": "1e3"}, "secretHeaders": ["X-Key"]},
        {"retryDelayMs": 1000, "retryBackoff": "exponential", "retryMaxDelayMs": 60000, "maxRetries": 9},
        {"retryDelaysMs": [1, 2], "overlapPolicy": "queue", "misfirePolicy": "skip", "catchUpLimit": 7},
        {"payload": {"text": "$${env:HOME} $$${env:X}", "n": [1, 1.5, None, True, "1"]}},
        {"payload": "a=1&b=2", "contentType": "application/x-www-form-urlencoded", "method": "PUT"},
        {"successBody": {"jsonPath": "$.ok", "equals": True}, "successStatuses": "200,202"},
        {"query": {"a": "1"}, "followRedirects": True, "signing": False, "maxRuns": 4, "jitterMs": 5},
    ],
)
def test_a_job_comes_back_as_it_was(
    stored: Stored, exported_is_no_change: Callable[[dict[str, Any]], None], fields: dict[str, Any]
) -> None:
    exported_is_no_change(stored(**fields))


def test_a_paused_job_comes_back_paused(
    stored: Stored, exported_is_no_change: Callable[[dict[str, Any]], None], now: datetime
) -> None:
    resource = stored({"status": "paused", "nextRunAt": None})

    exported_is_no_change(resource)
    assert "isActive: false" in export_text([resource], now=now)


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), min_size=1)
tricky = st.text("abc${}env:'\"#-\n ", max_size=20)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=names, payload=st.dictionaries(tricky, tricky))
def test_any_text_comes_back_as_it_was(
    stored: Stored,
    exported_is_no_change: Callable[[dict[str, Any]], None],
    name: str,
    payload: dict[str, str],
) -> None:
    exported_is_no_change(stored() | {"name": name, "payload": payload})


@pytest.mark.parametrize("text", ["a\n\n", "a\n\n\n", "\n", "\n\n", "a\nb\n\n", "a\n \n", "a \nb"])
def test_lines_without_text_at_the_end_come_back(
    stored: Stored, exported_is_no_change: Callable[[dict[str, Any]], None], text: str
) -> None:
    exported_is_no_change(stored() | {"payload": {"first": text, "last": text}})
    exported_is_no_change(stored() | {"payload": text, "contentType": "text/plain"})


def test_no_secret_is_exported_and_the_file_says_so(stored: Stored, now: datetime) -> None:
    resource = stored(
        auth={"type": "bearer", "token": "s3cret"}, headers={"Cookie": "s3cret"}, signingSecret=WHSEC
    )
    text = export_text([resource], now=now)

    assert "s3cret" not in text
    assert WHSEC not in text
    assert "# kept on the platform (***): auth.token, headers.Cookie" in text
    assert "Secrets are never exported" in text


def test_only_what_differs_from_the_defaults_is_written(stored: Stored, now: datetime) -> None:
    text = export_text([stored()], now=now)

    assert text.partition("jobs:\n")[2] == (
        "  - key: report\n"
        "    name: Report\n"
        '    cronExpression: "0 9 * * 1"\n'
        "    timezone: UTC\n"
        "    webhookUrl: https://example.com/r\n"
    )


def test_no_jobs_are_an_empty_list(now: datetime, entries: Entries) -> None:
    assert entries(export_text([], now=now)) == []
