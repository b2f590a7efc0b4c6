"""The worker process: a Celery worker whose one task hands ids to the engine and returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from celery import Celery, Task
from celery.platforms import EX_OK
from celery.worker import state
from kombu.message import Message

from webhookcron.delivery.broker import DELIVER_TASK, MESSAGE_VERSION
from webhookcron.delivery.engine import Engine

log = structlog.get_logger(__name__)

MOST_IDS_PER_MESSAGE = 10_000

RESTART_SECONDS = 0.5
"""A queue full of garbage must not keep a processor busy."""


def register(app: Celery, engine: Engine) -> None:
    """Make `engine` the receiver of what is pushed.

    Its ids are handed over where Celery receives the message: a task that returns at once is worth no request object,
    no thread and no trace, which would cost more than all the rest of a message.
    """

    def deliver(ids: Any = None, *_args: Any, **_kwargs: Any) -> None:
        engine.offer(execution_ids(ids))

    register_in_place(app, DELIVER_TASK, deliver)


def register_in_place(app: Celery, name: str, receive: Callable[..., None]) -> None:
    """Call `receive` with the arguments of each message of task `name`; it must return at once."""
    app.task(name=name, ignore_result=True, shared=False, Strategy=_strategy)(receive)


def _strategy(task: Task, *_args: Any, **_kwargs: Any) -> Callable[..., None]:
    """How Celery's consumer treats a message of `task` (the `Strategy` of a task class): run it in place."""

    def receive(message: Message, body: Any, *_args: Any, **_kwargs: Any) -> None:
        # The queue has no acknowledgements, so there is none to give.
        try:
            args, kwargs, *_embedded = message.payload if body is None else (body["args"], body["kwargs"])
            if is_of_newer_release(args):
                log.warning("worker.message_left", reason="pushed by a newer release, for its workers")
            else:
                task.run(*args, **kwargs)
        except Exception as error:
            log.error("worker.message_refused", reason=f"{type(error).__name__}: {error}"[:300])

    return receive


def is_of_newer_release(args: Sequence[Any]) -> bool:
    """Whether a message says that only workers of a newer release may act on it; one that says nothing is old."""
    version = args[1] if len(args) > 1 else MESSAGE_VERSION
    return isinstance(version, int) and version > MESSAGE_VERSION


def execution_ids(ids: Any) -> list[str]:
    """What of a message's first argument can be execution ids; the rest is logged and left out."""
    if not isinstance(ids, list) or len(ids) > MOST_IDS_PER_MESSAGE:
        log.error("worker.message_refused", reason="not a list of execution ids")
        return []
    usable = [execution_id for execution_id in ids if isinstance(execution_id, str) and execution_id]
    if len(usable) < len(ids):
        log.error("worker.ids_refused", count=len(ids) - len(usable), reason="not execution ids")
    return usable


def serve(app: Celery, engine: Engine, *, drain: timedelta, stop: threading.Event) -> None:
    """Deliver until `stop` is set; then drain the engine and put back what is left."""
    engine.start()
    threading.Thread(target=_end_with, args=(stop,), name="stop", daemon=True).start()
    log.info("worker.started")
    try:
        while not stop.is_set():
            _consume(app)
            if not stop.is_set():
                # Something in the queue was no message at all: it is taken out, and the library has logged it.
                log.error("worker.consumer_ended", reason="unreadable message", seconds=RESTART_SECONDS)
                stop.wait(RESTART_SECONDS)
    finally:
        log.info("worker.stopping", drain_seconds=drain.total_seconds())
        engine.stop(drain)
        log.info("worker.stopped")


def _consume(app: Celery) -> None:
    # The bare controller: signals, logging and privileges are the process's own affair.
    controller = app.WorkController(
        pool="threads",
        concurrency=1,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    controller.start()


def _end_with(stop: threading.Event) -> None:
    stop.wait()
    # What Celery's own handler of SIGTERM does; its loop looks at it every turn.
    state.should_stop = EX_OK
