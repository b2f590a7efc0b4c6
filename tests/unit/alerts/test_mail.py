"""Mails that tell a notice, whatever the names in it hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from webhookcron.alerts.mail import html, mail, subject, text

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILURE: dict[str, Any] = {
    "event": "failure",
    "alertId": "a",
    "alertName": "on call",
    "at": "2026-03-01T12:00:00.000Z",
    "jobId": "j",
    "jobName": "Weekly <report>",
    "executionId": "j:1",
    "responseStatus": 500,
    "error": {"kind": "temporary_status", "message": "answered with <b>500</b>"},
}
DIGEST: dict[str, Any] = {
    "event": "digest",
    "alertId": "a",
    "alertName": "on call",
    "at": "2026-03-01T13:00:00.000Z",
    "minutes": 60,
    "jobs": [
        {"jobId": "j", "jobName": "Weekly <report>", "failures": 7, "recoveries": 0, "missed": 0, "failing": True,
         "since": "2026-03-01T12:00:00.000Z"},
        {"jobId": "k", "jobName": "Nightly", "failures": 1, "recoveries": 2, "missed": 3, "failing": False},
    ],
    "more": 4,
}  # fmt: skip


def test_a_failure_is_told_with_its_job_its_execution_and_its_error() -> None:
    told = text(FAILURE)
    assert "Weekly <report> failed: answered with <b>500</b>" in told
    assert "j:1" in told
    assert "Response status: 500" in told


def test_html_is_escaped() -> None:
    for notice in (FAILURE, DIGEST):
        page = html(notice)
        assert "Weekly &lt;report&gt;" in page
        assert "<report>" not in page
        assert "<b>" not in page


def test_a_digest_tells_the_sums_of_each_job() -> None:
    told = text(DIGEST)
    assert "* Weekly <report> (j): 7 failures; failing since 2026-03-01T12:00:00.000Z" in told
    assert "* Nightly (k): 1 failure, 2 recoveries, 3 missed fire times" in told
    assert "4 more jobs" in told


def test_a_name_cannot_add_headers() -> None:
    notice = {**FAILURE, "jobName": "x\r\nBcc: everyone@example.com"}
    message = mail(
        notice, message_id="a:j:failure:t", sender="cron@example.com", to=["ann@example.com"], now=T0
    )
    assert message["Bcc"] is None
    assert "\n" not in subject(notice)


def test_a_mail_is_text_and_html_and_known_again_when_it_is_repeated() -> None:
    one, two = (
        mail(
            FAILURE,
            message_id="a:j:failure:t",
            sender="Cron <cron@example.com>",
            to=["ann@example.com"],
            now=T0,
        )
        for _ in range(2)
    )
    assert [part.get_content_type() for part in one.iter_parts()] == ["text/plain", "text/html"]
    assert one["Message-ID"] == two["Message-ID"] == "<a.j.failure.t@example.com>"
    assert one["From"] == "Cron <cron@example.com>"
    assert one["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("event", ["failure", "recovery", "disabled", "missed", "silence", "test"])
def test_every_event_has_words(event: str) -> None:
    notice = {**FAILURE, "event": event}
    assert subject(notice)
    assert text(notice).strip()
    assert html(notice)
