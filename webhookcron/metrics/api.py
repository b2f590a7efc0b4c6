"""What the API counts, right also under several server processes: `/metrics` answers for all of them.

With PROMETHEUS_MULTIPROC_DIR set (as `webhookcron api` does before it starts its server processes) the official
client keeps the values in files of that directory, and a scrape adds up those of all processes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from webhookcron.metrics.sharing import prepare_named_directory

CONTENT_TYPE = CONTENT_TYPE_LATEST

DURATION_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

MEMORY_EVERY_SECONDS = 5.0

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ApiMetrics:
    """The instruments of one server process of the API."""

    def __init__(self, state: Collector, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`state` tells of the platform as a whole and is asked once a scrape. Raises NotShareable."""
        self._state = state
        self._monotonic = monotonic
        self._shared = prepare_named_directory()
        self._registry = CollectorRegistry()
        self._memory_read_at = float("-inf")
        self._lock = threading.Lock()
        self._requests = Counter(
            "webhookcron_api_requests",
            "Requests by route, method and status",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "webhookcron_api_request_duration_seconds",
            "Duration of requests by route and method",
            ["route", "method"],
            buckets=DURATION_SECONDS,
            registry=self._registry,
        )
        self._refused = Counter(
            "webhookcron_api_refused", "Requests refused by a limit", registry=self._registry
        )
        self._memory = Gauge(
            "webhookcron_api_resident_memory_bytes",
            "Resident memory of all server processes",
            registry=self._registry,
            multiprocess_mode="livesum",
        )

    def answered(self, *, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the rule that matched, None = no rule did."""
        # Whatever a client sends must not make new series.
        method = method if method in METHODS else "other"
        route = "unmatched" if route is None else route
        self._requests.labels(route, method, str(status)).inc()
        self._durations.labels(route, method).observe(seconds)
        if status == 429:
            self._refused.inc()
        self._read_memory()

    def _read_memory(self) -> None:
        with self._lock:
            if self._monotonic() - self._memory_read_at < MEMORY_EVERY_SECONDS:
                return
            self._memory_read_at = self._monotonic()
        resident = resident_memory_bytes()
        if resident is not None:
            self._memory.set(resident)

    def exposition(self) -> bytes:
        """The text of a scrape, all server processes together."""
        self._read_memory()
        state = CollectorRegistry()
        state.register(self._state)
        own = self._registry
        if self._shared:
            own = CollectorRegistry()
            MultiProcessCollector(own)  # type: ignore[no-untyped-call]
        return generate_latest(own) + generate_latest(state)


def resident_memory_bytes() -> int | None:
    """How much memory of this process is resident; None where the system has no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None
