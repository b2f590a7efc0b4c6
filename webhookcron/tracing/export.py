"""Sending spans to an OTLP collector: in the background, in batches, and never for long at the end."""

from __future__ import annotations

import atexit
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from webhookcron import __version__
from webhookcron.tracing.spans import Traces

log = structlog.get_logger(__name__)

EXPORT_SECONDS = 2.0
"""What one batch may take, its repetitions included."""

CLOSE_SECONDS = 1.0
"""How long the end of a process begins to send what is left; with the batch under way that makes three at most."""

MOST_WAITING = 20_000
"""Spans that wait to be sent, some 30 MB; what comes on top is dropped. A thousand fires make 3,000 at once."""


def open_traces(
    url: str, headers: Mapping[str, str], *, ratio: float, part: str, queue: str
) -> tuple[Traces, Callable[[], None]]:
    """Traces of this process to the collector at `url`, and what sends the last of them at its end.

    `part` is api, ticker or worker, `queue` the broker's. Nothing is connected yet.
    """
    exporter = TellingExporter(OTLPSpanExporter(endpoint=url, headers=dict(headers), timeout=EXPORT_SECONDS))
    processor = BatchSpanProcessor(exporter, max_queue_size=MOST_WAITING)
    resource = {
        "service.namespace": "webhookcron",
        "service.name": f"webhookcron-{part}",
        "service.version": __version__,
        "host.name": platform.node(),
    }
    close = partial(_close, processor, exporter)
    # For the server processes of the API, which nobody closes; a second time does no harm.
    atexit.register(close)
    return Traces(processor, resource=resource, ratio=ratio, queue=queue, version=__version__), close


def _close(processor: BatchSpanProcessor, exporter: TellingExporter) -> None:
    exporter.finish_by(time.monotonic() + CLOSE_SECONDS)
    processor.shutdown()  # type: ignore[no-untyped-call]


class TellingExporter(SpanExporter):
    """Passes spans on, and says once that they do not arrive, and once that they do again."""

    def __init__(self, exporter: SpanExporter, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._exporter = exporter
        self._monotonic = monotonic
        self._failing = False
        self._finish_by = float("inf")

    def finish_by(self, moment: float) -> None:
        """From this moment of the monotonic clock on, drop what comes."""
        self._finish_by = min(self._finish_by, moment)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Pass on, within the time there is."""
        if self._monotonic() >= self._finish_by:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            log.warning("traces.not_sent", spans=len(spans), reason="the collector does not take them")
        elif self._failing and not failed:
            log.info("traces.sent_again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """As the exporter within does."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return True
