"""From a job's request to the bytes that are sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.headers import redacted
from webhookcron.core.request_spec import (
    NO_PAYLOAD,
    AuthSpec,
    AuthType,
    FireContext,
    RequestSpec,
    SigningSecret,
)
from webhookcron.core.signing import SignatureInvalid, verify
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.request import RequestTemplate, build_request, encode_payload
from webhookcron.delivery.transport_types import HttpRequest

NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
CONTEXT = FireContext(
    job_id="65f0",
    job_name='Weekly "report"',
    execution_id="65f0:1772366400000",
    scheduled_at=datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1))),
    attempt=2,
    trigger="schedule",
)


def _spec(**changes: Any) -> RequestSpec:
    return RequestSpec(**({"url": "https://example.com/hook", "signing": False} | changes))


def _build(**changes: Any) -> HttpRequest:
    return build_request(_spec(**changes), CONTEXT, now=NOW)


def _headers(request: HttpRequest) -> dict[str, str]:
    headers = {name.lower(): value for name, value in request.headers}
    assert len(headers) == len(request.headers), "a header is there twice"
    return headers


def _verify(request: HttpRequest, secret: str) -> None:
    headers = _headers(request)
    verify(
        [secret],
        message_id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        signature=headers["webhook-signature"],
        body=request.body or b"",
        now=int(NOW.timestamp()),
    )


class TestBody:
    def test_without_payload_a_post_carries_the_envelope(self) -> None:
        request = _build()
        assert json.loads(request.body or b"") == {
            "type": "cron.fired",
            "timestamp": "2026-03-01T12:00:00.000Z",
            "data": {
                "jobId": "65f0",
                "jobName": 'Weekly "report"',
                "executionId": "65f0:1772366400000",
                "scheduledAt": "2026-03-01T12:00:00.000Z",
                "attempt": 2,
                "trigger": "schedule",
            },
        }
        assert _headers(request)["content-type"] == "application/json"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
    def test_without_payload_methods_without_content_carry_no_body(self, method: str) -> None:
        request = _build(method=method)
        assert request.body is None
        assert "content-type" not in _headers(request)

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    def test_without_payload_methods_with_content_carry_the_envelope(self, method: str) -> None:
        assert b"cron.fired" in (_build(method=method).body or b"")

    @pytest.mark.parametrize(
        ("payload", "content_type", "body"),
        [
            ({"a": [1, None, True, "ü"]}, None, '{"a":[1,null,true,"ü"]}'),
            (None, None, "null"),
            ("text", None, '"text"'),
            ("text", "text/plain", "text"),
            ("", "text/plain", ""),
            ("<a/>", "application/xml", "<a/>"),
            ({"a": 1}, "application/cloudevents+json; charset=utf-8", '{"a":1}'),
            ({"a": 1}, "Application/JSON", '{"a":1}'),
        ],
    )
    def test_a_payload_is_sent_as_its_content_type_asks(
        self, payload: object, content_type: str | None, body: str
    ) -> None:
        request = _build(payload=payload, content_type=content_type)
        assert request.body == body.encode()
        assert _headers(request)["content-type"] == (content_type or "application/json")

    def test_a_content_type_header_of_the_job_comes_first(self) -> None:
        request = _build(payload="a=b", headers=(("content-type", "application/x-www-form-urlencoded"),))
        assert request.body == b"a=b"
        assert _headers(request)["content-type"] == "application/x-www-form-urlencoded"

    @pytest.mark.parametrize(
        ("payload", "content_type", "reason"),
        [
            ({"a": 1}, "text/plain", "must be text"),
            (float("nan"), "application/json", "JSON"),
            ({"a": object()}, "application/json", "JSON"),
            ("\ud800", "application/json", "surrogate"),
            ("x" * (256 * 1024 - 1), "application/json", "262144"),
            ("x" * (256 * 1024 + 1), "text/plain", "262144"),
        ],
    )
    def test_a_payload_that_cannot_be_sent_is_refused(
        self, payload: object, content_type: str, reason: str
    ) -> None:
        with pytest.raises(ValueError, match=reason):
            encode_payload(payload, content_type)

    def test_a_head_request_with_a_payload_is_refused(self) -> None:
        with pytest.raises(ValueError, match="HEAD"):
            RequestTemplate.of(_spec(method="HEAD", payload={}))

    def test_a_get_may_carry_a_payload_that_is_asked_for(self) -> None:
        assert _build(method="GET", payload={}).body == b"{}"

    def test_no_payload_is_told_from_null(self) -> None:
        assert _build(payload=NO_PAYLOAD).body != _build(payload=None).body


class TestPlaceholders:
    def test_they_are_filled_in_the_payload_at_any_depth(self) -> None:
        request = _build(payload={"at": "{{ scheduledAt }}", "{{ jobId }}": [{"n": "no. {{attempt}}"}]})
        assert json.loads(request.body or b"") == {
            "at": "2026-03-01T12:00:00.000Z",
            "65f0": [{"n": "no. 2"}],
        }

    @given(
        payload=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text("{} \"\\ajobId'\n"),
            lambda children: st.lists(children) | st.dictionaries(st.text('{}"a:'), children),
            max_leaves=8,
        ),
        job_id=st.text('"\\{}a\n€', max_size=8),
    )
    def test_whatever_surrounds_them_the_payload_stays_the_same_json(
        self, payload: object, job_id: str
    ) -> None:
        def filled(value: Any) -> Any:
            if isinstance(value, str):
                return value.replace("{{ jobId }}", job_id)
            if isinstance(value, dict):
                return {filled(key): filled(item) for key, item in value.items()}
            return [filled(item) for item in value] if isinstance(value, list) else value

        document = {"before": payload, "id": "<{{ jobId }}>", "after": payload}
        context = FireContext(
            job_id=job_id,
            job_name="",
            execution_id="e",
            scheduled_at=NOW,
            attempt=1,
            trigger="manual",
        )
        try:
            template = RequestTemplate.of(_spec(payload=document))
        except ValueError:
            return  # the drawn text held an unknown placeholder
        request = template.build(context, now=NOW)
        assert json.loads(request.body or b"") == filled(document)

    def test_in_text_they_are_filled_as_they_are(self) -> None:
        assert _build(payload="id={{ executionId }}", content_type="text/plain").body == (
            b"id=65f0:1772366400000"
        )

    def test_in_headers_they_are_filled(self) -> None:
        request = _build(headers=(("Idempotency-Key", "k-{{ executionId }}"),))
        assert _headers(request)["idempotency-key"] == "k-65f0:1772366400000"

    def test_a_value_that_would_break_a_header_is_refused(self) -> None:
        template = RequestTemplate.of(_spec(headers=(("X-Job", "{{ jobId }}"),)))
        context = FireContext(
            job_id="a\r\nX: b", job_name="", execution_id="e", scheduled_at=NOW, attempt=1, trigger="manual"
        )
        with pytest.raises(ValueError, match="line break"):
            template.build(context, now=NOW)

    @pytest.mark.parametrize(
        "changes",
        [{"payload": {"a": "{{ x }}"}}, {"headers": (("A", "{{ x }}"),)}, {"query": (("a", "{{ x }}"),)}],
    )
    def test_unknown_ones_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="unknown placeholder"):
            RequestTemplate.of(_spec(**changes))


class TestQuery:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://example.com/hook", "https://example.com/hook?a=1&b=2"),
            ("https://example.com/hook?x=y", "https://example.com/hook?x=y&a=1&b=2"),
            ("https://example.com/hook#part", "https://example.com/hook?a=1&b=2"),
            ("https://example.com/hook#part?", "https://example.com/hook?a=1&b=2"),
        ],
    )
    def test_it_is_added_to_the_url(self, url: str, expected: str) -> None:
        assert _build(url=url, query=(("a", "1"), ("b", "2"))).url == expected

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), min_size=1),
                st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"])),
            ),
            max_size=4,
        )
    )
    def test_any_name_and_value_arrive_as_they_were(self, query: list[tuple[str, str]]) -> None:
        url = _build(query=tuple(query)).url
        assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == query

    def test_a_url_that_is_too_long_with_it_is_refused(self) -> None:
        fits = _spec(query=(("a", "x" * 7_900),))
        assert TargetPolicy.of().judge_url(RequestTemplate.of(fits).build(CONTEXT, now=NOW).url)
        for query in ((("a", "x" * 8_000),), (("a", " " * 3_000),), (("a", "{{ jobId }}" * 100),)):
            with pytest.raises(ValueError, match="at most 8000"):
                RequestTemplate.of(_spec(query=query))

    def test_placeholders_in_it_are_encoded(self) -> None:
        url = _build(query=(("id", "<{{ executionId }}>"), ("n", "{{ attempt }}"))).url
        assert url.endswith("?id=%3C65f0%3A1772366400000%3E&n=2")


class TestHeaders:
    def test_the_context_is_told(self) -> None:
        headers = _headers(_build())
        assert {name: headers[name] for name in headers if name.startswith("x-webhookcron-")} == {
            "x-webhookcron-job-id": "65f0",
            "x-webhookcron-execution-id": "65f0:1772366400000",
            "x-webhookcron-scheduled-at": "2026-03-01T12:00:00.000Z",
            "x-webhookcron-scheduled-at-ms": "1772366400000",
            "x-webhookcron-attempt": "2",
            "x-webhookcron-trigger": "schedule",
        }

    @pytest.mark.parametrize(
        ("auth", "header"),
        [
            (
                AuthSpec(type=AuthType.BASIC, username="ü", password="p:w"),
                ("authorization", "Basic w7w6cDp3"),
            ),
            (AuthSpec(type=AuthType.BEARER, token="t"), ("authorization", "Bearer t")),
            (AuthSpec(type=AuthType.HEADER, header_name="X-Key", header_value="k"), ("x-key", "k")),
        ],
    )
    def test_auth_becomes_a_header_that_logs_do_not_show(
        self, auth: AuthSpec, header: tuple[str, str]
    ) -> None:
        request = _build(auth=auth, headers=((header[0].upper(), "mine"),))
        name, value = header
        assert _headers(request)[name] == value
        shown = {key.lower(): text for key, text in redacted(request.headers, request.confidential)}
        assert shown[name] == "[redacted]"

    def test_an_oauth_token_becomes_a_header(self) -> None:
        template = RequestTemplate.of(_spec(auth=AuthSpec(type=AuthType.OAUTH2)))
        assert template.needs_token
        request = template.build(CONTEXT, now=NOW, access_token="t")
        assert _headers(request)["authorization"] == "Bearer t"

    def test_an_oauth_job_without_token_is_refused(self) -> None:
        with pytest.raises(ValueError, match="access token"):
            _build(auth=AuthSpec(type=AuthType.OAUTH2))

    def test_secret_headers_are_confidential_in_any_case(self) -> None:
        assert "x-key" in _build(secret_headers=("X-KEY",)).confidential

    def test_secrets_are_not_in_the_representation_of_a_spec(self) -> None:
        spec = _spec(
            headers=(("X-Key", "hush"),),
            auth=AuthSpec(type=AuthType.BASIC, password="hush", token="hush", client_secret="hush"),
            signing_secrets=(SigningSecret("hush"),),
        )
        assert "hush" not in repr(spec)


class TestSignature:
    def test_it_covers_exactly_the_bytes_that_are_sent(self) -> None:
        request = _build(
            payload={"ü": "{{ attempt }}"}, signing=True, signing_secrets=(SigningSecret(SECRET),)
        )
        _verify(request, SECRET)

    def test_it_covers_an_absent_body_as_an_empty_one(self) -> None:
        _verify(_build(method="GET", signing=True, signing_secrets=(SigningSecret(SECRET),)), SECRET)

    def test_a_rotated_secret_signs_until_it_expires(self) -> None:
        secrets = (SigningSecret(SECRET), SigningSecret(OLD_SECRET, NOW + timedelta(seconds=1)))
        template = RequestTemplate.of(_spec(signing=True, signing_secrets=secrets))
        _verify(template.build(CONTEXT, now=NOW), OLD_SECRET)
        later = template.build(CONTEXT, now=NOW + timedelta(seconds=1))
        _verify(later, SECRET)
        with pytest.raises(SignatureInvalid):
            _verify(later, OLD_SECRET)

    def test_the_id_is_the_execution_s_and_the_timestamp_the_attempt_s(self) -> None:
        headers = _headers(_build(signing=True, signing_secrets=(SigningSecret(SECRET),)))
        assert headers["webhook-id"] == CONTEXT.execution_id
        assert headers["webhook-timestamp"] == "1772366400"

    def test_signing_can_be_off(self) -> None:
        headers = _headers(_build(signing=False, signing_secrets=(SigningSecret(SECRET),)))
        assert "webhook-signature" not in headers
        assert headers["webhook-id"] == CONTEXT.execution_id

    @pytest.mark.parametrize("secrets", [(), (SigningSecret(OLD_SECRET, NOW + timedelta(days=1)),)])
    def test_signing_without_a_present_secret_is_refused(self, secrets: tuple[SigningSecret, ...]) -> None:
        with pytest.raises(ValueError, match="no signing secret"):
            RequestTemplate.of(_spec(signing=True, signing_secrets=secrets))


def test_the_deadline_may_be_what_is_left_of_it() -> None:
    template = RequestTemplate.of(_spec(timeout_ms=5000))
    assert template.build(CONTEXT, now=NOW).timeout_ms == 5000
    assert template.build(CONTEXT, now=NOW, timeout_ms=700).timeout_ms == 700


def test_unreadable_success_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="successStatuses"):
        RequestTemplate.of(_spec(success_statuses="fine"))
