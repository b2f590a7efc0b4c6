"""What is kept of one HTTP call."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from webhookcron.core.executions import Attempt, AttemptError
from webhookcron.core.outcomes import SUCCESS, Failure, FailureKind, Outcome
from webhookcron.delivery.attempts import attempt_of
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Phases, Redirect
from webhookcron.storage.execution_documents import attempt_document, attempt_from_document

NOW = datetime(2030, 1, 15, tzinfo=UTC)
REQUEST = HttpRequest(
    method="POST",
    url="https://example.com/hook",
    headers=(("Authorization", "Bearer hush"), ("X-Key", "hush"), ("X-Open", "1")),
    timeout_ms=1000,
    confidential=frozenset({"x-key"}),
)


def kept(request: HttpRequest | None = REQUEST, outcome: Outcome = SUCCESS, **result: Any) -> Attempt:
    return attempt_of(
        number=2,
        scheduled_at=NOW - timedelta(milliseconds=1_500),
        started_at=NOW,
        request=request,
        result=HttpResult(**{"status": 200, **result}),
        outcome=outcome,
    )


def test_secrets_are_redacted() -> None:
    assert "hush" not in repr(kept())
    assert ("X-Open", "1") in kept().request_headers


def test_text_is_kept_as_text_and_other_bytes_in_base64() -> None:
    assert kept(body="grüße".encode()).response_body == "grüße"
    binary = kept(body=b"\xff\x00\xff\x00")
    assert (binary.response_body, binary.response_body_base64) == (
        base64.b64encode(b"\xff\x00\xff\x00").decode(),
        True,
    )


def test_text_in_a_charset_that_the_target_names_is_kept_as_text() -> None:
    def body(content_type: str, body: bytes) -> str | None:
        attempt = kept(headers=(("Content-Type", content_type),), body=body)
        return None if attempt.response_body_base64 else attempt.response_body

    assert body("text/plain; charset=ISO-8859-1", "grüße".encode("latin-1")) == "grüße"
    assert body('text/html;charset="Shift_JIS"', "日本".encode("shift_jis") + b"\x93") == "日本"
    assert body("text/plain; charset=us-ascii", "grüße".encode()) == "grüße", "the name is wrong"
    assert body("text/plain; charset=us-ascii", b"\xff") is None
    # Not charsets of texts, though Python decodes them.
    assert body("text/plain; charset=unicode_escape", b"\\u0041") == "\\u0041"
    assert body("text/plain; charset=utf-7", b"+AGE-") == "+AGE-"


def test_secrets_that_come_back_are_redacted_too() -> None:
    headers = (("Set-Cookie", "s=hush"), ("X-KEY", "hush"), ("X-Open", "1"))
    attempt = kept(headers=headers)
    assert "hush" not in repr(attempt)
    assert ("X-Open", "1") in attempt.response_headers


def test_a_character_cut_in_two_is_dropped() -> None:
    cut = kept(body="grüße €".encode()[:-1], truncated=True)
    assert (cut.response_body, cut.response_body_base64, cut.truncated) == ("grüße ", False, True)


def test_it_tells_how_late_it_started_and_where_redirects_led() -> None:
    attempt = kept(
        redirects=(Redirect(302, "https://example.com/a"), Redirect(307, "https://other.example/"))
    )
    assert attempt.lateness_ms == 1_500
    assert [(r.status, r.url) for r in attempt.redirects] == [
        (302, "https://example.com/a"),
        (307, "https://other.example/"),
    ]
    assert attempt_from_document(attempt_document(attempt)) == attempt


def test_phases_that_did_not_take_place_are_left_out() -> None:
    attempt = kept(phases=Phases(connect=1.26, total=12.6))
    assert (attempt.phases, attempt.duration_ms) == ({"connectMs": 1.3, "totalMs": 12.6}, 13)


def test_a_call_that_never_left_has_an_error_and_no_request() -> None:
    failure = Failure(FailureKind.BLOCKED, "no")
    attempt = kept(request=None, outcome=Outcome.of_failure(failure), status=None, failure=failure)
    assert (attempt.request_url, attempt.response_status, attempt.response_body) == (None, None, None)
    assert attempt.error == AttemptError(kind="blocked", message="no")
