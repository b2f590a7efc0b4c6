"""Messages reach a real mail server and a real webhook, each sent by one worker, and are tried again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from webhookcron.alerts.channels import Channels
from webhookcron.alerts.mail import MailServer
from webhookcron.alerts.sender import AlertSender
from webhookcron.core.alerts import RETRY_DELAYS, Channel, MessageStatus
from webhookcron.core.signing import verify
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.transport import Transport

NOTICE = {"event": "test", "alertId": "a", "alertName": "on call", "at": "2026-03-01T12:00:00.000Z"}


class Receiver(ThreadingHTTPServer):
    """Keeps what it receives, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/alerts"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def new_sender(watched: Any, mail_server: Any) -> Iterator[Callable[..., AlertSender]]:
    made: list[Channels] = []

    def make(
        seconds: float = 0, *, allowed: tuple[str, ...] = ("127.0.0.0/8",), **channels: Any
    ) -> AlertSender:
        values: dict[str, Any] = {
            "mail_server": MailServer(mail_server.url, "Cron <cron@example.com>"),
            "apprise_urls": (),
            "transport": lambda: Transport(
                policy=TargetPolicy.of(allowed_networks=allowed), user_agent="test"
            ),
            "now": lambda: watched.world.at(seconds),
        }
        made.append(Channels(**(values | channels)))
        return AlertSender(alerts=watched.alerts, channels=made[-1], now=lambda: watched.world.at(seconds))

    yield make
    for channels in made:
        channels.close()


def message(watched: Any, alert: Any) -> str:
    watched.alerts.add_message("m1", alert, "test", NOTICE, now=watched.world.at(0))
    return "m1"


def test_a_mail_arrives_as_text_and_html(watched: Any, mail_server: Any, new_sender: Any) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com", "bob@example.com"))
    new_sender().send(message(watched, alert))
    [mail] = mail_server.mails
    assert mail["Subject"] == "[webhookcron] test of the alert on call"
    assert mail["To"] == "ann@example.com, bob@example.com"
    assert {part.get_content_type() for part in mail.walk()} >= {"text/plain", "text/html"}
    [sent] = watched.messages(alert)
    assert (sent.status, sent.tries, sent.sent_at) == (MessageStatus.SENT, 1, watched.world.at(0))


def test_a_message_is_sent_by_one_worker(watched: Any, mail_server: Any, new_sender: Any) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    message_id = message(watched, alert)
    senders = [threading.Thread(target=new_sender().send, args=(message_id,)) for _ in range(8)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(mail_server.mails) == 1


def test_a_mail_that_is_refused_is_tried_again_later(watched: Any, mail_server: Any, new_sender: Any) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    message_id = message(watched, alert)
    mail_server.refusing = True
    new_sender().send(message_id)
    [tried] = watched.messages(alert)
    assert (tried.status, tried.tries) == (MessageStatus.PENDING, 1)
    assert "451" in tried.error
    mail_server.refusing = False
    watched.watch().push_due(watched.world.at(29))
    assert watched.pushed == []
    watched.watch().push_due(watched.world.at(31))
    new_sender(31).send(watched.pushed[0])
    assert len(mail_server.mails) == 1
    assert watched.messages(alert)[0].status is MessageStatus.SENT


def test_a_message_that_never_arrives_is_given_up_with_its_reason(watched: Any, new_sender: Any) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    message_id = message(watched, alert)
    for _ in range(len(RETRY_DELAYS) + 3):
        new_sender(mail_server=None).send(message_id)
    [given_up] = watched.messages(alert)
    assert (given_up.status, given_up.tries) == (MessageStatus.FAILED, len(RETRY_DELAYS) + 1)
    assert "WEBHOOKCRON_SMTP_URL" in given_up.error


def test_a_message_that_cannot_be_made_is_given_up_as_others_are(watched: Any, new_sender: Any) -> None:
    # What nobody foresaw, here an address that the mail library refuses.
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@exa\nmple.com",))
    message_id = message(watched, alert)
    for _ in range(len(RETRY_DELAYS) + 3):
        new_sender().send(message_id)
    [given_up] = watched.messages(alert)
    assert (given_up.status, given_up.tries) == (MessageStatus.FAILED, len(RETRY_DELAYS) + 1)
    assert given_up.error == "it could not be made: ValueError"


def test_a_message_whose_worker_died_is_sent_by_another(
    watched: Any, mail_server: Any, new_sender: Any
) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    message_id = message(watched, alert)
    watched.alerts.claim(message_id, "dead", now=watched.world.at(0))
    later = watched.world.at(0) + timedelta(minutes=3)
    watched.watch().push_due(later)
    assert watched.pushed == [message_id]
    new_sender(180).send(message_id)
    assert len(mail_server.mails) == 1


def test_a_webhook_is_called_with_a_signature_of_the_message(
    watched: Any, receiver: Any, new_sender: Any
) -> None:
    alert = watched.alert(url=receiver.url)
    new_sender(5).send(message(watched, alert))
    [(headers, body)] = receiver.calls
    verify(
        [alert.signing_secret],
        message_id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        signature=headers["webhook-signature"],
        body=body,
        now=int(watched.world.at(5).timestamp()),
    )
    assert headers["webhook-id"] == "m1"
    assert json.loads(body) == {
        "type": "alert.test",
        "timestamp": NOTICE["at"],
        "data": {"alertId": "a", "alertName": "on call"},
    }


def test_a_webhook_that_answers_with_an_error_is_tried_again(
    watched: Any, receiver: Any, new_sender: Any
) -> None:
    alert = watched.alert(url=receiver.url)
    receiver.status = 500
    new_sender().send(message(watched, alert))
    [tried] = watched.messages(alert)
    assert (tried.status, tried.error) == (MessageStatus.PENDING, "the receiver answered with status 500")


def test_a_webhook_may_not_lead_where_jobs_may_not(watched: Any, receiver: Any, new_sender: Any) -> None:
    alert = watched.alert(url=receiver.url)
    new_sender(allowed=()).send(message(watched, alert))
    assert receiver.calls == []
    assert "WEBHOOKCRON_ALLOWED_TARGET" in watched.messages(alert)[0].error


# Apprise imports what Python is about to drop.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_operators_channel_calls_what_the_operator_set(
    watched: Any, receiver: Any, new_sender: Any
) -> None:
    alert = watched.alert(channel=Channel.OPERATOR)
    new_sender(apprise_urls=(receiver.url.replace("http://", "json://"),)).send(message(watched, alert))
    assert watched.messages(alert)[0].status is MessageStatus.SENT
    assert "test of the alert on call" in receiver.calls[0][1].decode()


def test_a_message_of_a_deleted_alert_is_not_sent(watched: Any, mail_server: Any, new_sender: Any) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    message_id = message(watched, alert)
    watched.alerts.delete(alert.id)
    new_sender().send(message_id)
    assert mail_server.mails == []


def test_a_sender_sends_what_it_is_offered_until_it_is_stopped(
    watched: Any, mail_server: Any, new_sender: Any, eventually: Callable[..., Any]
) -> None:
    alert = watched.alert(channel=Channel.EMAIL, to=("ann@example.com",))
    sender = new_sender()
    sender.start()
    sender.offer([message(watched, alert), "unknown"])
    eventually(lambda: mail_server.mails)
    sender.stop(timedelta(seconds=5))
