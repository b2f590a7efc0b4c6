"""From the fields of a request to a RequestSpec, or to what is wrong with it; and what becomes of secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import AuthType, RequestSpec
from webhookcron.core.signing import generate_secret
from webhookcron.core.targets import TargetPolicy
from webhookcron.service.definitions import DefinitionRules
from webhookcron.service.job_states import new_job

OTHER_SECRET = generate_secret(b"x" * 32)


@pytest.fixture
def request_of(
    rules: DefinitionRules, fields: Callable[..., dict[str, Any]], now: datetime
) -> Callable[..., RequestSpec]:
    def make(stored: Job | None = None, **given: Any) -> RequestSpec:
        return rules.build(fields(**given), now=now, stored=stored).request

    return make


def test_it_generates_a_signing_secret_when_none_is_given(request_of: Callable[..., RequestSpec]) -> None:
    (secret,) = request_of().signing_secrets
    assert secret.secret == generate_secret(b"\x07" * 32)
    assert request_of(signing_secret=OTHER_SECRET).signing_secrets[0].secret == OTHER_SECRET
    assert request_of(signing=False).signing_secrets == ()


def test_secrets_that_are_left_out_stay(
    request_of: Callable[..., RequestSpec], job: Callable[..., Job]
) -> None:
    auth = {"type": "basic", "username": "ann", "password": "hush"}
    headers = {"X-Key": "secret", "X-Open": "1"}
    stored = job(auth=auth, headers=headers, secret_headers=["X-Key"], signing_secret=OTHER_SECRET)
    kept = request_of(stored=stored)
    assert kept.auth == stored.request.auth
    assert kept.signing_secrets == stored.request.signing_secrets
    assert kept.headers == (("X-Key", "secret"),)
    assert kept.secret_headers == ("X-Key",)


def test_a_mask_that_comes_back_keeps_the_secret(
    request_of: Callable[..., RequestSpec], job: Callable[..., Job]
) -> None:
    stored = job(auth={"type": "bearer", "token": "hush"}, headers={"Cookie": "c=1", "X-Open": "***"})
    kept = request_of(
        stored=stored, auth={"type": "bearer", "token": "***"}, headers={"cookie": "***", "X-Open": "***"}
    )
    assert kept.auth is not None
    assert kept.auth.token == "hush"
    assert dict(kept.headers) == {"cookie": "c=1", "X-Open": "***"}


def test_null_removes_credentials(request_of: Callable[..., RequestSpec], job: Callable[..., Job]) -> None:
    stored = job(auth={"type": "bearer", "token": "hush"}, headers={"Cookie": "c=1"})
    kept = request_of(stored=stored, auth=None, headers=None)
    assert kept.auth is None
    assert kept.headers == ()


def test_a_secret_header_stays_secret_while_only_its_mask_is_known(
    request_of: Callable[..., RequestSpec], job: Callable[..., Job]
) -> None:
    stored = job(headers={"X-Key": "secret"}, secret_headers=["X-Key"])
    kept = request_of(stored=stored, headers={"X-Key": "***"}, secret_headers=[])
    assert kept.headers == (("X-Key", "secret"),)
    assert kept.secret_headers == ("X-Key",)


def test_a_password_does_not_outlive_its_type(
    refusals: Callable[..., dict[str, Any]], job: Callable[..., Job]
) -> None:
    stored = job(auth={"type": "basic", "username": "ann", "password": "hush"})
    errors = refusals(stored=stored, auth={"type": "bearer", "token": "***"})
    assert "stored secret" in errors["auth"]["token"][0]


def test_oauth_takes_its_own_fields(request_of: Callable[..., RequestSpec]) -> None:
    auth = request_of(
        auth={
            "type": "oauth2",
            "token_url": "https://login.example.com/token",
            "client_id": "me",
            "client_secret": "hush",
            "scope": "hooks",
        }
    ).auth
    assert auth is not None
    assert (auth.type, auth.scope, auth.audience) == (AuthType.OAUTH2, "hooks", None)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"webhook_url": None}, "webhook_url", "is needed"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url", "http"),
        ({"webhook_url": "http://127.0.0.1/"}, "webhook_url", "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"),
        ({"webhook_url": "http://2130706433/"}, "webhook_url", "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"),
        ({"webhook_url": "https://user:pw@example.com/"}, "webhook_url", "auth"),
        ({"headers": {"Host": "x"}}, "headers", "set by the platform"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers", "more than once"),
        ({"headers": {"X-A": "a\nb"}}, "headers", "line break"),
        ({"headers": {"X-A": "{{ secret }}"}}, "headers", "placeholder"),
        ({"headers": {"Cookie": "***"}}, "headers", "stored secret"),
        ({"secret_headers": ["a b"]}, "secret_headers", "not a header name"),
        ({"query": {"a": "{{ nope }}"}}, "query", "placeholder"),
        ({"query": {"a": "x" * 9000}}, "query", "bytes"),
        ({"query": {"a": " " * 3000}}, "query", "at most 8000"),
        (
            {"webhook_url": "https://example.com/" + "x" * 7900, "query": {"a": "x" * 100}},
            "query",
            "at most 8000",
        ),
        ({"payload": {"a": "{{ nope }}"}}, "payload", "placeholder"),
        ({"payload": "x" * 262_145}, "payload", "bytes"),
        ({"payload": {"a": 1}, "content_type": "text/plain"}, "payload", "must be text"),
        ({"payload": {"a": 1}, "method": "HEAD"}, "payload", "HEAD"),
        ({"content_type": "json"}, "content_type", "media type"),
        ({"success_statuses": "abc"}, "success_statuses", "200-299"),
        ({"success_body": {"pattern": "("}}, "success_body", "regular expression"),
        ({"success_body": {}}, "success_body", "pattern"),
        ({"signing_secret": "secret"}, "signing_secret", "whsec_"),
        ({"signing_secret": "***"}, "signing_secret", "stored secret"),
        (
            {"auth": {"type": "bearer", "token": "t"}, "headers": {"authorization": "x"}},
            "headers",
            "does not go together",
        ),
    ],
)
def test_it_names_the_field_that_is_wrong(
    refusals: Callable[..., dict[str, Any]], given: dict[str, Any], field: str, said: str
) -> None:
    errors = refusals(**given)
    assert field in errors
    assert said in errors[field][0]


@pytest.mark.parametrize(
    ("auth", "field", "said"),
    [
        ({"type": "basic", "password": "x"}, "username", "is needed"),
        ({"type": "basic", "username": "a:b", "password": "x"}, "username", "colon"),
        ({"type": "bearer"}, "token", "is needed"),
        ({"type": "bearer", "token": "a", "username": "b"}, "username", "does not belong"),
        ({"type": "bearer", "token": "a\r\nX: b"}, "token", "line break"),
        ({"type": "header", "header_name": "Host", "header_value": "x"}, "header_name", "platform"),
        ({"type": "header", "header_name": "X", "header_value": ""}, "header_value", "is needed"),
        (
            {
                "type": "oauth2",
                "token_url": "http://169.254.169.254/",
                "client_id": "a",
                "client_secret": "b",
            },
            "token_url",
            "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS",
        ),
    ],
)
def test_it_names_the_credential_that_is_wrong(
    refusals: Callable[..., dict[str, Any]], auth: dict[str, Any], field: str, said: str
) -> None:
    errors = refusals(auth=auth)
    assert said in errors["auth"][field][0]


def test_a_target_that_was_allowed_once_may_stay(
    rules: DefinitionRules, fields: Callable[..., dict[str, Any]], now: datetime
) -> None:
    open_rules = replace(rules, target_policy=TargetPolicy.of(allowed_networks=["127.0.0.0/8"]))
    values = fields(webhook_url="http://127.0.0.1/")
    stored = new_job(open_rules.build(values, now=now), job_id="a" * 24, owner_id="ann", now=now, active=True)
    assert rules.build({**values, "name": "other"}, now=now, stored=stored).name == "other"
