"""Sending messages in the workers: exactly one of them sends a message, by a guarded claim."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import Celery

from webhookcron.alerts.channels import Channels, NotSent
from webhookcron.core.alerts import next_try
from webhookcron.core.errors import NotFound, StoreUnavailable, TickSourceUnavailable
from webhookcron.delivery.broker import ALERT_TASK
from webhookcron.delivery.worker import register_in_place
from webhookcron.storage.alerts import AlertStore, Message

log = structlog.get_logger(__name__)

THREADS = 4
"""A mail server that hangs must not keep all other messages waiting."""

MOST_WAITING = 1_000
"""Ids that wait for a thread; more are pushed again by the tickers."""


class AlertSender:
    """`start`, then `offer` ids from any thread, then `stop`."""

    def __init__(self, *, alerts: AlertStore, channels: Channels, now: Callable[[], datetime]) -> None:
        self._alerts = alerts
        self._channels = channels
        self._now = now
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._threads = [
            threading.Thread(target=self._run, name=f"alerts-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def register(self, app: Celery) -> None:
        """Receive what is pushed for `ALERT_TASK`."""

        def receive(ids: Any = None, *_args: Any, **_kwargs: Any) -> None:
            self.offer([i for i in ids if isinstance(i, str)] if isinstance(ids, list) else [])

        register_in_place(app, ALERT_TASK, receive)

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def offer(self, ids: Sequence[str]) -> None:
        """Take ids of messages. Those there is no room for come again."""
        for message_id in ids:
            try:
                self._waiting.put_nowait(message_id)
            except queue.Full:
                log.warning("alert.sender_full")
                return

    def stop(self, wait: timedelta) -> None:
        """Finish what is being sent, for at most `wait`; what waits is pushed again by the tickers."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(wait.total_seconds() / THREADS)
        self._channels.close()

    def _run(self) -> None:
        while (message_id := self._waiting.get()) is not None:
            try:
                self.send(message_id)
            except (StoreUnavailable, TickSourceUnavailable) as error:
                # Claimed or not, it comes again when its checkAt has passed.
                log.warning("alert.unavailable", message_id=message_id, reason=str(error))
            except Exception:
                # It comes again when its lease has run out.
                log.exception("alert.not_recorded", message_id=message_id)

    def send(self, message_id: str) -> None:
        """Send a message unless another worker does. Raises StoreUnavailable; then it comes again."""
        token = secrets.token_hex(8)
        message = self._alerts.claim(message_id, token, now=self._now())
        if message is None:
            return
        try:
            alert = self._alerts.get(message.alert_id, owner_id=None)
            self._channels.send(alert, message)
        except NotFound:
            self._alerts.not_sent(message_id, token, "the alert was deleted", again_at=None)
        except NotSent as error:
            self._failed(message, token, str(error))
        except (StoreUnavailable, TickSourceUnavailable):
            raise
        except Exception as error:
            # One that cannot be sent whatever is done must be given up some day, as others are.
            log.exception("alert.sending_failed", message_id=message_id)
            self._failed(message, token, f"it could not be made: {type(error).__name__}")
        else:
            self._alerts.sent(message_id, token, now=self._now())
            log.info("alert.sent", message_id=message_id, alert_id=message.alert_id, kind=message.kind)

    def _failed(self, message: Message, token: str, error: str) -> None:
        again_at = next_try(message.tries, self._now())
        log.warning(
            "alert.not_sent" if again_at is not None else "alert.given_up",
            message_id=message.id,
            alert_id=message.alert_id,
            tries=message.tries,
            reason=error,
        )
        self._alerts.not_sent(message.id, token, error, again_at=again_at)
