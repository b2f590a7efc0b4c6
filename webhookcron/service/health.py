"""Is the platform fit: are its stores there, and does it keep up?"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.service.platform import Platform
from webhookcron.ticks.instances import Instance

KEPT_FOR_SECONDS = 1.0
"""A look at the stores serves all questions of the next moment: health is asked without a key."""


MOST_COUNTED = 10_000
"""Unfinished executions are counted up to so many: health is asked often, and most of all when there are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealth:
    """One of the stores, as it answered just now."""

    up: bool
    latency_ms: float
    error: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The platform as it is now. Figures are None where their store did not answer."""

    mongodb: ServiceHealth
    redis: ServiceHealth
    uptime_seconds: float
    active_jobs: int | None
    mirrored_jobs: int | None
    oldest_due_at: datetime | None
    """When the job that is longest due was to act; None when none is due."""
    now: datetime | None
    """Platform time."""
    memory_bytes: int | None = None
    """Resident memory of this process; None where the system does not tell."""
    instances: list[Instance] | None = None
    """The processes of the platform that gave a sign of life lately."""
    queued_executions: int | None = None
    running_executions: int | None = None
    """Each counted up to `MOST_COUNTED` unfinished executions."""
    finished_executions_kept: int | None
    """The most finished executions that the embedded store keeps; None with a real MongoDB."""

    @property
    def fit(self) -> bool:
        """Whether both stores answered."""
        return self.mongodb.up and self.redis.up


class HealthService:
    """Looks at MongoDB and Redis, both at a time, so that the answer takes as long as the slower one."""

    def __init__(self, platform: Platform, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._platform = platform
        self._monotonic = monotonic
        self._started = monotonic()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")
        self._kept: tuple[float, Health] | None = None
        self._looking = threading.Lock()

    def check(self) -> Health:
        """The state of the platform, at most `KEPT_FOR_SECONDS` old. Never raises for a store that is away."""
        kept = self._fresh()
        if kept is not None:
            return kept
        # One look for all who ask meanwhile: a store that is away must not be waited for by one after the other.
        with self._looking:
            return self._fresh() or self._look()

    def _fresh(self) -> Health | None:
        kept = self._kept
        if kept is not None and self._monotonic() - kept[0] < KEPT_FOR_SECONDS:
            return kept[1]
        return None

    def _look(self) -> Health:
        asked_redis = self._pool.submit(self._timed, self._look_at_redis)
        mongodb = self._timed(self._look_at_mongodb)
        redis = asked_redis.result()
        facts = {**mongodb.facts, **redis.facts}
        now, oldest = facts.get("now"), facts.get("oldest_act_at")
        health = Health(
            mongodb=mongodb,
            redis=redis,
            uptime_seconds=self._monotonic() - self._started,
            active_jobs=facts.get("active_jobs"),
            mirrored_jobs=facts.get("mirrored_jobs"),
            oldest_due_at=oldest if now is not None and oldest is not None and oldest <= now else None,
            now=now,
            memory_bytes=resident_memory(),
            instances=facts.get("instances"),
            queued_executions=facts.get("queued"),
            running_executions=facts.get("running"),
            finished_executions_kept=facts.get("finished_executions_kept"),
        )
        self._kept = (self._monotonic(), health)
        return health

    def _timed(self, look: Callable[[], dict[str, Any]]) -> ServiceHealth:
        before = self._monotonic()
        try:
            facts, error = look(), None
        except (StoreUnavailable, TickSourceUnavailable) as failure:
            facts, error = {}, str(failure)
        latency_ms = round((self._monotonic() - before) * 1000, 2)
        return ServiceHealth(up=error is None, latency_ms=latency_ms, error=error, facts=facts)

    def _look_at_mongodb(self) -> dict[str, Any]:
        jobs = self._platform.jobs
        info = jobs.server_info()
        unfinished = self._platform.executions.unfinished_by_status(limit=MOST_COUNTED)
        return {
            "version": info.get("version"),
            "finished_executions_kept": info.get("maxFinishedExecutions")
            if info.get("webhookcronEmbedded")
            else None,
            "active_jobs": jobs.count({"status": "active"}),
            "queued": unfinished.get("queued", 0),
            "running": unfinished.get("running", 0),
        }

    def _look_at_redis(self) -> dict[str, Any]:
        source = self._platform.source
        return {
            "now": self._platform.clock.read(),
            "mirrored_jobs": source.size(),
            "oldest_act_at": source.oldest_act_at(),
            "instances": self._platform.instances.seen(),
        }


def resident_memory() -> int | None:
    """Bytes of memory that this process holds; None where the system does not tell."""
    try:
        # proc(5): the second number of statm is the resident set, in pages.
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
