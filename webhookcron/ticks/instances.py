"""Which processes of the platform are there: each says so every few seconds.

wc:{0}:instances   sorted set   "role host pid" -> platform time in ms of its last sign of life
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import structlog
from redis import Redis

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.executions import from_ms, to_ms
from webhookcron.ticks.client import driver_errors_translated
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.source import SHARD

log = structlog.get_logger(__name__)

BEAT_EVERY = timedelta(seconds=5)

SEEN_FOR = timedelta(seconds=15)
"""Whoever was silent for longer is not there any more."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A process of the platform."""

    role: str
    """api, ticker or worker."""
    host: str
    pid: int
    seen_at: datetime


class Instances:
    """Signs of life in Redis. Every method raises TickSourceUnavailable when Redis is away."""

    def __init__(self, redis: Redis, clock: PlatformClock, *, key_prefix: str = "wc") -> None:
        self._redis = redis
        self._clock = clock
        self._key = f"{key_prefix}:{SHARD}:instances"

    def beat(self, role: str, *, host: str, pid: int) -> None:
        """This process is there."""
        now = to_ms(self._clock.now())
        with driver_errors_translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.zadd(self._key, {f"{role} {host} {pid}": now})
            pipe.zremrangebyscore(self._key, "-inf", now - _ms(SEEN_FOR))
            pipe.execute()

    def leave(self, role: str, *, host: str, pid: int) -> None:
        """This process ends."""
        with driver_errors_translated():
            self._redis.zrem(self._key, f"{role} {host} {pid}")

    def seen(self) -> list[Instance]:
        """The processes that gave a sign of life lately, in the order of role, host and id."""
        since = to_ms(self._clock.now()) - _ms(SEEN_FOR)
        with driver_errors_translated():
            found = cast(
                "list[tuple[str, float]]",
                self._redis.zrangebyscore(self._key, since, "+inf", withscores=True),
            )
        instances: list[Instance] = []
        for member, score in found:
            match member.split(" "):
                case [role, host, pid] if pid.isascii() and pid.isdigit():
                    instances.append(Instance(role, host, int(pid), from_ms(int(score))))
                case _:
                    # Of another release, or of whoever else writes there: no reason to know of none.
                    log.debug("instance.unreadable", member=member[:200])
        return sorted(instances, key=lambda instance: (instance.role, instance.host, instance.pid))

    @contextmanager
    def present(self, role: str) -> Iterator[None]:
        """Say on a thread of its own that this process is there, until the block ends."""
        stop = threading.Event()
        beating = threading.Thread(
            target=self._keep_beating, args=(role, stop), name="heartbeat", daemon=True
        )
        beating.start()
        try:
            yield
        finally:
            stop.set()
            beating.join(timeout=BEAT_EVERY.total_seconds())

    def keep_present(self, role: str) -> None:
        """As `present`, until the process ends."""
        forever = threading.Event()
        threading.Thread(
            target=self._keep_beating, args=(role, forever), name="heartbeat", daemon=True
        ).start()

    def _keep_beating(self, role: str, stop: threading.Event) -> None:
        host, pid = platform.node().replace(" ", "-") or "unknown", os.getpid()
        away = False
        while True:
            try:
                self.beat(role, host=host, pid=pid)
                away = False
            except TickSourceUnavailable as error:
                if not away:
                    log.debug("heartbeat.missed", error=str(error))
                away = True
            if stop.wait(BEAT_EVERY.total_seconds()):
                break
        try:
            self.leave(role, host=host, pid=pid)
        except TickSourceUnavailable as error:
            log.debug("heartbeat.missed", error=str(error))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
