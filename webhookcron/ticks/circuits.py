"""Where one sees that an origin's circuit is open: told by workers, read by the API. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from redis import Redis

from webhookcron.core.executions import from_ms, to_ms
from webhookcron.ticks.client import driver_errors_translated
from webhookcron.ticks.source import SHARD


class CircuitBoard:
    """Keys `wc:{0}:circuit:ORIGIN`, until when the circuit is open in ms. Raises TickSourceUnavailable."""

    def __init__(self, redis: Redis, *, key_prefix: str = "wc") -> None:
        self._redis = redis
        self._prefix = f"{key_prefix}:{SHARD}:circuit:"

    def opened(self, origin: str, until: datetime, pause: timedelta) -> None:
        """A worker leaves `origin` alone until then; forgotten by itself."""
        with driver_errors_translated():
            self._redis.set(self._prefix + origin, to_ms(until), px=max(1, int(pause.total_seconds() * 1000)))

    def closed(self, origin: str) -> None:
        """A worker reached `origin` again."""
        with driver_errors_translated():
            self._redis.delete(self._prefix + origin)

    def open_until(self, origins: Sequence[str]) -> dict[str, datetime]:
        """Until when the circuits of `origins` are open; closed ones are left out."""
        if not origins:
            return {}
        with driver_errors_translated():
            values: Any = self._redis.mget([self._prefix + origin for origin in origins])
        return {
            origin: from_ms(int(value))
            for origin, value in zip(origins, values, strict=True)
            if value is not None
        }
