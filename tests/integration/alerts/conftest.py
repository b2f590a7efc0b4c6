"""A mail server, and alerts of one platform driven by hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from webhookcron.alerts.watch import SETTLE, AlertWatch
from webhookcron.core.alerts import Alert, AlertEvent, Channel
from webhookcron.core.executions import Execution
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.storage.alerts import AlertStore, Message
from webhookcron.storage.watched_jobs import WatchedJobs


class MailServer:
    """A real SMTP server; `refusing` makes it refuse every mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusing = False
        # The controller connects to the port that it was told, so it must be told one.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refusing:
            return "451 try again later"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


class Watched:
    """A world whose alerts are looked at by hand."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.alerts = AlertStore(world.database, SecretBox(("a-secret-key-for-tests-only",)))
        self.pushed: list[str] = []

    def alert(self, *events: AlertEvent, **fields: Any) -> Alert:
        """A stored alert for all of ann's jobs."""
        values: dict[str, Any] = {
            "id": f"{len(self.alerts.list(owner_id=None, limit=100)[0]):024x}",
            "owner_id": "ann",
            "name": "on call",
            "channel": Channel.WEBHOOK,
            "url": "https://example.com/alerts",
            "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "events": frozenset(events or AlertEvent),
            "all_jobs": True,
            "silence_minutes": 60,
            "created_at": self.world.at(0),
            "updated_at": self.world.at(0),
        }
        alert = Alert(**(values | fields))
        self.alerts.create(alert)
        return alert

    def watch(self, **parts: Any) -> AlertWatch:
        values: dict[str, Any] = {
            "alerts": self.alerts,
            "jobs": WatchedJobs(self.world.database),
            "executions": self.world.executions,
            "rollups": self.world.rollups,
            "digest_every": timedelta(hours=1),
            "push": self.pushed.extend,
        }
        return AlertWatch(**(values | parts))

    def run(self, seconds: float, *, status: int = 200) -> list[Execution]:
        """Everything that is due at a moment runs, with this answer, and is looked at."""
        now = self.world.at(seconds)
        self.world.tick(now)
        calls = self.world.deliver(now, result=HttpResult(status=status))
        self.look(seconds)
        return [claim.execution for claim in calls]

    def look(self, seconds: float) -> None:
        self.watch().look(self.world.at(seconds + 0.001) + SETTLE)

    def messages(self, alert: Alert) -> list[Message]:
        """The earliest first."""
        return list(self.alerts.messages(alert.id, 100))[::-1]

    def kinds(self, alert: Alert) -> list[str]:
        return [message.kind for message in self.messages(alert)]


@pytest.fixture
def watched(world: Any) -> Watched:
    return Watched(world)
