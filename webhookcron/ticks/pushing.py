"""Handing executions that are in MongoDB to the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from webhookcron.core.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

Enqueue = Callable[[Sequence[str]], None]
"""Hands execution ids to the workers; raises BrokerUnavailable."""


def push(enqueue: Enqueue, ids: Sequence[str], *, failed: str) -> None:
    """Hand executions over; a broker that is away only delays them, which is logged as the event `failed`."""
    if not ids:
        return
    try:
        enqueue(ids)
    except BrokerUnavailable:
        # They are queued in MongoDB; the sweep pushes them when their checkAt has passed.
        log.warning(failed, executions=len(ids))
