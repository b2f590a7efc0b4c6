"""What ticker and worker share as processes: waiting for the stores, and stopping."""

from __future__ import annotations

import signal
import threading

import structlog

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.wiring.database import prepare_database
from webhookcron.wiring.platform import Platform

log = structlog.get_logger(__name__)

WAIT_SECONDS = 0.5
"""Between two looks whether a store has come up."""


def wait_for_stores(platform: Platform, stop: threading.Event) -> bool:
    """Until MongoDB and Redis answer; False when the process is to stop before."""
    for name, ready in (
        ("MongoDB", lambda: prepare_database(platform.database)),
        ("Redis", platform.clock.read),
    ):
        told = False
        while not stop.is_set():
            try:
                ready()
                break
            except (StoreUnavailable, TickSourceUnavailable) as error:
                if not told:
                    log.warning("store.awaited", store=name, reason=str(error))
                    told = True
                stop.wait(WAIT_SECONDS)
    return not stop.is_set()


def stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
