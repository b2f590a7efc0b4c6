"""Where one sees that a host's circuit is open: told by workers, read by the API. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from redis import Redis

from webhookcron.core.executions import from_ms, to_ms
from webhookcron.ticks.client import driver_errors_translated
from webhookcron.ticks.source import SHARD


class CircuitBoard:
    """Keys `wc:{0}:circuit:HOST`, until when the circuit is open in ms. Raises TickSourceUnavailable."""

    def __init__(self, redis: Redis, *, key_prefix: str = "wc") -> None:
        self._redis = redis
        self._prefix = f"{key_prefix}:{SHARD}:circuit:"

    def opened(self, host: str, until: datetime, pause: timedelta) -> None:
        """A worker leaves `host` alone until then; forgotten by itself."""
        with driver_errors_translated():
            self._redis.set(self._prefix + host, to_ms(until), px=max(1, int(pause.total_seconds() * 1000)))

    def closed(self, host: str) -> None:
        """A worker reached `host` again."""
        with driver_errors_translated():
            self._redis.delete(self._prefix + host)

    def open_until(self, hosts: Sequence[str]) -> dict[str, datetime]:
        """Until when the circuits of `hosts` are open; closed ones are left out."""
        if not hosts:
            return {}
        with driver_errors_translated():
            values: Any = self._redis.mget([self._prefix + host for host in hosts])
        return {
            host: from_ms(int(value)) for host, value in zip(hosts, values, strict=True) if value is not None
        }
