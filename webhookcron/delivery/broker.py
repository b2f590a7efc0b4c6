"""Celery as the distributed engine: its application, and pushing execution ids in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.pools import producers

from webhookcron.core.errors import BrokerUnavailable

DELIVER_TASK = "webhookcron.deliver"

ALERT_TASK = "webhookcron.alert"

MESSAGE_VERSION = 1
"""Second argument of each message. A release raises it when workers of the one before must not act on what it pushes:
they leave such messages, and the sweep brings the ids again, until a newer worker takes them."""

CHUNK = 100
"""Ids per message: a message costs what 50 ids cost, and one message is one acknowledgement."""

SOCKET_TIMEOUT_SECONDS = 1.0
"""A silent broker is given up by a publisher after this: the API must answer within 3 seconds."""

CONSUMER_TIMEOUT_SECONDS = 5.0

RECONNECT_SECONDS = 0.5
LONGEST_RECONNECT_SECONDS = 2.0
"""How often a worker looks whether the broker is back; the library's own wait grows to 30 seconds."""


class _EagerConnection(Connection):
    """A connection that is established again soon after the broker is back."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """As the base class does, with this module's pace."""
        pace = {
            "interval_start": RECONNECT_SECONDS,
            "interval_step": RECONNECT_SECONDS,
            "interval_max": LONGEST_RECONNECT_SECONDS,
        }
        return super().ensure_connection(*args, **{**pace, **options})  # type: ignore[no-untyped-call]


class _Amqp(AMQP):  # type: ignore[misc]  # Celery has no types
    Connection = _EagerConnection


def celery_app(broker_url: str, *, key_prefix: str) -> Celery:
    """The Celery application of tickers, API and workers. It connects when first used.

    Messages are JSON and carry ids only; results are not kept. A message is gone when it is taken: what was taken and
    not done is found by its lease or its `checkAt`, whatever the broker remembers.
    """
    app = Celery("webhookcron", broker=broker_url, amqp=_Amqp)
    name = f"{key_prefix}.deliver"
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]
    # Without acknowledgements: the broker keeps no second list of what is under way, which nothing here reads.
    queue = Queue(name, exchange, routing_key=name, no_ack=True)  # type: ignore[no-untyped-call]
    app.conf.update(
        task_queues=[queue],
        task_default_queue=name,
        task_default_exchange=name,
        task_default_routing_key=name,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,
        task_publish_retry=False,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=4,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=SOCKET_TIMEOUT_SECONDS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(broker_url),
    )
    return app


def _transport_options(broker_url: str) -> dict[str, Any]:
    if not broker_url.startswith(("redis", "sentinel", "unix", "valkey")):
        return {}
    return {
        # The consumer's blocking read polls within this; publishers wait less.
        "socket_timeout": CONSUMER_TIMEOUT_SECONDS,
        "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
        "socket_keepalive": True,
        "retry_on_timeout": False,
        "health_check_interval": 10,
        # For a publisher that finds no connection: one quick second try.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    }


def queue_depth(app: Celery) -> int:
    """How many messages wait at the broker, up to `CHUNK` ids each. Raises BrokerUnavailable."""
    options = app.conf.broker_transport_options
    connection = app.connection_for_read(
        transport_options={**options, "socket_timeout": SOCKET_TIMEOUT_SECONDS} if options else None
    )
    with connection:
        try:
            channel = connection.default_channel
            return int(channel.queue_declare(app.conf.task_default_queue, passive=True).message_count)
        except connection.channel_errors:
            # No such queue: nothing was ever pushed, or (with Redis) nothing waits.
            return 0
        except (KombuError, OSError, *connection.connection_errors) as error:
            raise BrokerUnavailable(f"the broker does not answer: {type(error).__name__}") from error


class Publisher:
    """Pushes ids to the workers: of executions, unless `task` says otherwise. Safe to share among threads."""

    def __init__(self, app: Celery, task: str = DELIVER_TASK) -> None:
        self._app = app
        self._task = task
        options = app.conf.broker_transport_options
        connection = app.connection_for_write(
            transport_options={"socket_timeout": SOCKET_TIMEOUT_SECONDS} if options else None
        )
        self._producers = producers[connection]
        self._errors: tuple[type[Exception], ...] = (
            KombuError,
            OSError,
            *connection.connection_errors,
            *connection.channel_errors,
        )

    def enqueue(self, ids: Sequence[str]) -> None:
        """Push ids in messages of at most `CHUNK`. Raises BrokerUnavailable; some may have been pushed by then."""
        try:
            with self._producers.acquire(block=True) as producer:
                for start in range(0, len(ids), CHUNK):
                    chunk = list(ids[start : start + CHUNK])
                    self._app.send_task(
                        self._task,
                        args=[chunk, MESSAGE_VERSION],
                        # For logs and monitors. What Celery would write itself costs a quarter of a push.
                        argsrepr=f"({len(chunk)} ids)",
                        kwargsrepr="{}",
                        producer=producer,
                        retry=False,
                        ignore_result=True,
                    )
        except self._errors as error:
            raise BrokerUnavailable(f"the broker took no message: {type(error).__name__}") from error
