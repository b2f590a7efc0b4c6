from collections.abc import Callable
from typing import Any

import pytest

from webhookcron.manifests.definitions import DesiredJob
from webhookcron.manifests.errors import ManifestsWrong

Desired = Callable[..., DesiredJob]
Stored = Callable[..., dict[str, Any]]


def problems_of(desired: Desired, **fields: Any) -> list[str]:
    with pytest.raises(ManifestsWrong) as caught:
        desired(**fields)
    return [problem.message for problem in caught.value.problems]


def test_what_is_left_out_is_shown_with_its_default(desired: Desired) -> None:
    shown = desired().shown

    assert (shown["method"], shown["timeoutMs"], shown["maxRetries"]) == ("POST", 30_000, 3)
    assert (shown["scheduleType"], shown["timezone"], shown["isActive"]) == ("cron", "UTC", None)


def test_moments_are_shown_as_the_platform_shows_them(desired: Desired) -> None:
    job = desired(runAt="2030-03-01T09:00:00", timezone="Europe/Berlin")

    assert job.shown["runAt"] == "2030-03-01T08:00:00.000Z"


def test_credentials_that_a_file_leaves_out_are_taken_away(desired: Desired) -> None:
    assert (desired().body["auth"], desired().body["headers"]) == (None, {})


def test_a_secret_comes_from_the_environment_and_is_shown_masked(desired: Desired) -> None:
    job = desired(environ={"TOKEN": "s3cret"}, auth={"type": "bearer", "token": "${env:TOKEN}"})

    assert job.body["auth"] == {"type": "bearer", "token": "s3cret"}
    assert job.shown["auth"] == {"type": "bearer", "token": "***"}
    assert job.gives_secrets


@pytest.mark.parametrize(
    "fields",
    [
        {"signingSecret": "whsec_" + "A" * 44},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"X-Key": "x"}, "secretHeaders": ["x-key"]},
        {"auth": {"type": "basic", "username": "me", "password": "x"}},
    ],
)
def test_it_knows_which_jobs_give_secrets(desired: Desired, fields: dict[str, Any]) -> None:
    assert desired(**fields).gives_secrets


def test_a_mask_keeps_the_secret_that_is_there(desired: Desired, stored: Stored) -> None:
    auth = {"type": "bearer", "token": "anything"}
    current = stored(auth=auth)

    job = desired(current, auth={**auth, "token": "***"})

    assert job.shown["auth"] == {"type": "bearer", "token": "***"}
    assert not job.gives_secrets


def test_a_mask_without_a_secret_is_told(desired: Desired) -> None:
    messages = problems_of(desired, auth={"type": "bearer", "token": "***"})

    assert any("job 'report': auth.token: '***' stands for a stored secret" in told for told in messages)


def test_the_rules_are_those_of_the_platform_and_all_are_told(desired: Desired) -> None:
    messages = problems_of(desired, cronExpression="0 9 * *", maxRetries=3, retryBackoff="exponential")

    assert any("cronExpression: A cron expression has 5 fields" in message for message in messages)
    assert any("retryBackoff: needs retryDelayMs" in message for message in messages)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cronExpresion": "x"}, "cronExpresion: is not a known field; did you mean cronExpression?"),
        ({"auth": {"type": "bearer", "tokn": "x"}}, "auth.tokn: is not a known field; did you mean token?"),
        ({"auth": {"type": "header", "value": "x"}}, "auth.value: is not a known field"),
        (
            {"auth": {"type": "oauth2", "clientID": "x"}},
            "auth.clientID: is not a known field; did you mean clientId?",
        ),
        ({"delayMs": 5}, "delayMs: delayMs counts from the moment it is sent"),
        ({"timezone": "Berlin"}, "Did you mean Europe/Berlin?"),
        ({"headers": {"X-A": 1}}, "headers.X-A: must be text"),
        ({"webhookUrl": "ftp://example.com"}, "webhookUrl: "),
        ({"key": "two words"}, "key: must be 1 to 128 letters"),
        ({"key": "${env:KEY}"}, "key: the environment variable KEY is not set"),
        ({"description": "${env:NOPE}"}, "description: the environment variable NOPE is not set"),
    ],
)
def test_what_is_wrong_names_job_and_field(desired: Desired, fields: dict[str, Any], message: str) -> None:
    assert any(message in told for told in problems_of(desired, **fields))


def test_a_private_target_is_left_for_the_platform_to_judge(desired: Desired) -> None:
    assert desired(webhookUrl="http://127.0.0.1:9000/").body["webhookUrl"] == "http://127.0.0.1:9000/"


def test_a_moment_in_the_past_is_fine_for_a_job_that_has_it_already(desired: Desired, stored: Stored) -> None:
    current = stored(runAt="2030-03-01T09:00:00Z") | {"runAt": "2029-03-01T09:00:00.000Z"}

    assert desired(current, runAt="2029-03-01T09:00:00Z").shown["runAt"] == "2029-03-01T09:00:00.000Z"
    assert "lies in the past" in problems_of(desired, runAt="2029-03-01T09:00:00Z")[0]
