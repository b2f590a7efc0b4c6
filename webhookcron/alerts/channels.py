"""Sending one message: by mail, as a signed webhook, or through the operator's own channels."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from webhookcron.alerts.mail import MailRefused, MailServer, mail, subject, text
from webhookcron.core.alerts import Alert, Channel
from webhookcron.core.signing import signature_headers
from webhookcron.delivery.transport import Transport, TransportClosed
from webhookcron.delivery.transport_types import HttpRequest, HttpResult
from webhookcron.storage.alerts import Message

WEBHOOK_TIMEOUT_MS = 15_000


class NotSent(Exception):
    """A message did not reach its receiver; the message of this says why, fit for the alert's owner."""


class Channels:
    """The channels of one process."""

    def __init__(
        self,
        *,
        mail_server: MailServer | None,
        apprise_urls: Sequence[str],
        transport: Callable[[], Transport],
        now: Callable[[], datetime],
    ) -> None:
        """`mail_server` None = the operator has set none. `transport` makes the one of this process, when needed."""
        self._mail_server = mail_server
        self._apprise_urls = apprise_urls
        self._make_transport = transport
        self._now = now
        self._lock = threading.Lock()
        self._transport: Transport | None = None

    def send(self, alert: Alert, message: Message) -> None:
        """Send a message. Raises NotSent."""
        match alert.channel:
            case Channel.EMAIL:
                self._send_mail(alert, message)
            case Channel.WEBHOOK:
                self._call_webhook(alert, message)
            case Channel.OPERATOR:
                self._tell_operator(message)

    def close(self) -> None:
        """Stop the transport's thread."""
        with self._lock:
            if self._transport is not None:
                self._transport.close()
                self._transport = None

    def _send_mail(self, alert: Alert, message: Message) -> None:
        if self._mail_server is None:
            raise NotSent("this platform has no mail server (WEBHOOKCRON_SMTP_URL)")
        letter = mail(
            message.notice,
            message_id=message.id,
            sender=self._mail_server.sender,
            to=alert.to,
            now=message.created_at,
        )
        try:
            self._mail_server.send(letter)
        except MailRefused as error:
            raise NotSent(
                f"the mail server did not take it: {type(error).__name__}: {error}"[:300]
            ) from error

    def _call_webhook(self, alert: Alert, message: Message) -> None:
        if not alert.signing_secret:
            raise NotSent("the signing secret cannot be decrypted with the present WEBHOOKCRON_SECRET_KEY")
        result = self._called(webhook_request(alert, message, timestamp=int(self._now().timestamp())))
        if result.failure is not None:
            raise NotSent(result.failure.message)
        if result.status is None or not 200 <= result.status < 300:
            raise NotSent(f"the receiver answered with status {result.status}")

    def _called(self, request: HttpRequest) -> HttpResult:
        with self._lock:
            if self._transport is None:
                self._transport = self._make_transport()
            transport = self._transport
        try:
            return transport.send(request)
        except TransportClosed as error:
            raise NotSent("the worker stopped") from error

    def _tell_operator(self, message: Message) -> None:
        if not self._apprise_urls:
            raise NotSent("the operator has set no channel (WEBHOOKCRON_APPRISE_URLS)")
        try:
            import apprise
        except ImportError as error:
            raise NotSent(
                "the package 'apprise' is not installed: pip install 'webhookcron[apprise]'"
            ) from error
        sender = apprise.Apprise()
        known = [sender.add(url) for url in self._apprise_urls]
        if not all(known):
            raise NotSent("WEBHOOKCRON_APPRISE_URLS holds a URL that Apprise does not know")
        if not sender.notify(title=f"[webhookcron] {subject(message.notice)}", body=text(message.notice)):
            raise NotSent("not all of the operator's channels took it")


def webhook_request(alert: Alert, message: Message, *, timestamp: int) -> HttpRequest:
    """The signed call that tells a message: its id is the `webhook-id` of every try."""
    notice: dict[str, Any] = dict(message.notice)
    payload = {"type": f"alert.{notice.pop('event')}", "timestamp": notice.pop("at"), "data": notice}
    body = json.dumps(payload, ensure_ascii=False).encode()
    return HttpRequest(
        method="POST",
        url=alert.url,
        headers=(
            ("Content-Type", "application/json"),
            *signature_headers([alert.signing_secret], message.id, timestamp, body),
        ),
        body=body,
        timeout_ms=WEBHOOK_TIMEOUT_MS,
        max_response_bytes=0,
    )
