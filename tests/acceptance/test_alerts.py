"""Alerts from outside: a job begins to fail, and mails and signed webhooks arrive, a digest among them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

pytestmark = pytest.mark.acceptance


class Mailbox:
    """A real SMTP server that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self.controller.start()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.controller.stop()


@pytest.mark.timeout(240)
def test_a_job_that_fails_is_told_of_at_once_then_in_a_digest_then_that_it_recovered(
    start_platform: Callable[..., Any],
    start_receiver: Callable[[], Any],
    mailbox: Mailbox,
    eventually: Callable[..., Any],
) -> None:
    platform = start_platform(
        environ={
            "WEBHOOKCRON_SMTP_URL": f"smtp://127.0.0.1:{mailbox.port}",
            "WEBHOOKCRON_SMTP_FROM": "Cron <cron@example.com>",
            "WEBHOOKCRON_ALERT_DIGEST_MINUTES": "1",
        }
    )
    target, listener = start_receiver(), start_receiver()
    target.status = 404
    email = {"name": "on call", "channel": "email", "to": ["ann@example.com"], "allJobs": True}
    assert platform.request("POST", "/api/alerts", json=email).status_code == 201
    hook = {"name": "hook", "channel": "webhook", "url": listener.url}
    webhook = platform.request("POST", "/api/alerts", json=hook).json()
    job = platform.create_job(
        name="Weekly report", cronExpression="* * * * * *", webhookUrl=target.url, alerts=[webhook["id"]]
    )

    eventually(lambda: mailbox.mails, within=30, what="the mail about the first failure")
    assert mailbox.subjects() == ["[webhookcron] Weekly report failed"]
    assert mailbox.mails[0]["From"] == "Cron <cron@example.com>"
    told = mailbox.mails[0].get_body(("plain",))
    assert told is not None
    assert job["id"] in told.get_content()

    eventually(lambda: listener.calls, within=30, what="the signed call about it")
    call = listener.calls[0]
    message = Webhook(webhook["signingSecret"]).verify(call.body, dict(call.headers))
    assert message["type"] == "alert.failure"
    assert message["data"]["responseStatus"] == 404

    eventually(lambda: len(mailbox.mails) >= 2, within=90, what="the digest")
    assert mailbox.subjects()[1] == "[webhookcron] digest of on call: 1 failing"
    target.status = 200
    eventually(lambda: len(mailbox.mails) >= 3, within=30, what="the mail about the recovery")
    assert mailbox.subjects()[2] == "[webhookcron] Weekly report works again"
    eventually(lambda: len(listener.calls) >= 3, within=30, what="the call about the recovery")
    types = [json.loads(call.body)["type"] for call in listener.calls]
    assert types == ["alert.failure", "alert.digest", "alert.recovery"]
