"""The worker process: a Celery worker whose one task hands ids to the engine and returns."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import structlog
from celery import Celery
from celery.platforms import EX_OK
from celery.worker import state

from webhookcron.delivery.broker import DELIVER_TASK
from webhookcron.delivery.engine import Engine

log = structlog.get_logger(__name__)

TASK_THREADS = 4
"""Tasks only hand over, so a few threads are plenty; the calls are made by the engine."""

MOST_IDS_PER_MESSAGE = 10_000


def register(app: Celery, engine: Engine) -> None:
    """Make `engine` the receiver of what is pushed."""

    def deliver(ids: Any = None, *_args: Any, **_kwargs: Any) -> None:
        if not isinstance(ids, list) or len(ids) > MOST_IDS_PER_MESSAGE:
            log.error("worker.message_refused", reason="not a list of execution ids")
            return
        usable = [execution_id for execution_id in ids if isinstance(execution_id, str) and execution_id]
        if len(usable) < len(ids):
            log.error("worker.ids_refused", count=len(ids) - len(usable), reason="not execution ids")
        engine.offer(usable)

    app.task(name=DELIVER_TASK, ignore_result=True)(deliver)


def serve(app: Celery, engine: Engine, *, drain: timedelta, stop: threading.Event) -> None:
    """Deliver until `stop` is set; then drain the engine and put back what is left."""
    engine.start()
    # The bare controller: signals, logging and privileges are the process's own affair.
    controller = app.WorkController(
        pool="threads",
        concurrency=TASK_THREADS,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    threading.Thread(target=_end_with, args=(stop,), name="stop", daemon=True).start()
    log.info("worker.started")
    try:
        controller.start()
    finally:
        log.info("worker.stopping", drain_seconds=drain.total_seconds())
        engine.stop(drain)
        log.info("worker.stopped")


def _end_with(stop: threading.Event) -> None:
    stop.wait()
    # What Celery's own handler of SIGTERM does; its loop looks at it every turn.
    state.should_stop = EX_OK
