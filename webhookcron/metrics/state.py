"""What stands in the stores, asked at a scrape: the same whoever is asked, so one scraped API tells it for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable, TickSourceUnavailable
from webhookcron.service.health import Health

KEPT_FOR_SECONDS = 10.0
"""Several scrapers cost the stores no more than one."""

MOST_COUNTED = 100_000
"""Unfinished executions are counted up to so many."""

UNFINISHED = ("queued", "running", "retrying")


class PlatformState(Collector):
    """Gauges of the whole platform. A figure whose store is away is left out, and its store told as down."""

    def __init__(
        self,
        *,
        health: Callable[[], Health],
        unfinished: Callable[[], dict[str, int]],
        queue_depth: Callable[[], int],
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`unfinished` counts executions by status, `queue_depth` messages at the broker."""
        self._health = health
        self._unfinished = unfinished
        self._queue_depth = queue_depth
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: tuple[float, list[GaugeMetricFamily]] | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            if self._kept is None or self._monotonic() - self._kept[0] > KEPT_FOR_SECONDS:
                self._kept = (self._monotonic(), list(self._look()))
            families = self._kept[1]
        yield from families

    def _look(self) -> Iterator[GaugeMetricFamily]:
        health = self._health()
        up = GaugeMetricFamily("webhookcron_store_up", "Whether the store answers", labels=["store"])
        latency = GaugeMetricFamily(
            "webhookcron_store_latency_seconds",
            "How long the store took to answer just now",
            labels=["store"],
        )
        for name, store in (("mongodb", health.mongodb), ("redis", health.redis)):
            up.add_metric([name], store.up)
            if store.up:
                latency.add_metric([name], store.latency_ms / 1000)
        yield up
        yield latency
        if health.active_jobs is not None:
            yield GaugeMetricFamily("webhookcron_jobs_active", "Active jobs", value=health.active_jobs)
        if health.mirrored_jobs is not None:
            yield GaugeMetricFamily(
                "webhookcron_jobs_mirrored", "Jobs in the tick source", value=health.mirrored_jobs
            )
        if health.now is not None:
            behind = (
                0.0
                if health.oldest_due_at is None
                else max(0.0, (self._now() - health.oldest_due_at).total_seconds())
            )
            yield GaugeMetricFamily(
                "webhookcron_due_backlog_seconds",
                "For how long the job that is longest due has been due; 0 = none is",
                value=behind,
            )
        yield from self._unfinished_executions()
        yield from self._broker()

    def _unfinished_executions(self) -> Iterator[GaugeMetricFamily]:
        try:
            counts = self._unfinished()
        except StoreUnavailable:
            return
        family = GaugeMetricFamily(
            "webhookcron_executions_unfinished",
            "Executions that are not final, by status; counted up to 100,000",
            labels=["status"],
        )
        for status in UNFINISHED:
            family.add_metric([status], counts.get(status, 0))
        yield family

    def _broker(self) -> Iterator[GaugeMetricFamily]:
        try:
            depth = self._queue_depth()
        except (BrokerUnavailable, TickSourceUnavailable):
            return
        yield GaugeMetricFamily(
            "webhookcron_queue_depth",
            "Messages that wait at the broker, up to 100 executions each",
            value=depth,
        )
