"""The port at which ticker and worker answer for their metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from prometheus_client import start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

log = structlog.get_logger(__name__)


def process_registry() -> CollectorRegistry:
    """A new registry that knows this process: memory, CPU, open files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@contextmanager
def serving(registry: CollectorRegistry, host: str, port: int) -> Iterator[int | None]:
    """Answer scrapes on `port` (0 = do not) until left; the port, or None.

    A port that is taken is told and no more: what this process is there for goes on without it.
    """
    if not port:
        yield None
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        log.error("metrics.not_served", host=host, port=port, reason=error.strerror)
        yield None
        return
    log.info("metrics.served", host=host, port=port)
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
