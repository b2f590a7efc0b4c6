"""What is sent to a collector, how it ends, and that none of it is there while traces are off."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from webhookcron import __version__
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.core.trace_context import TraceContext
from webhookcron.tracing import export
from webhookcron.tracing.export import TellingExporter, open_traces

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        )
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def execution(number: int = 1) -> Execution:
    return Execution(
        id=f"job:{number}", job_id="job", owner_id="ann", job_name="report", host="example.com",
        trigger=Trigger.SCHEDULE, status=ExecutionStatus.QUEUED, scheduled_at=NOW, queued_at=NOW,
    )  # fmt: skip


def test_the_end_of_a_process_sends_what_is_left(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However busy this machine is.
    monkeypatch.setattr(export, "CLOSE_SECONDS", 60.0)
    monkeypatch.setattr(export, "EXPORT_SECONDS", 60.0)
    traces, close = open_traces(
        collector.url, {"Authorization": "Bearer t0ken"}, ratio=1, part="ticker", queue="wc.deliver"
    )
    traces.created([execution()], NOW + timedelta(milliseconds=5))
    close()
    close()
    [(path, headers, body)] = collector.requests
    assert (path, headers["authorization"]) == ("/v1/traces", "Bearer t0ken")
    [told] = body.resource_spans
    resource = {item.key: item.value.string_value for item in told.resource.attributes}
    assert resource["service.name"] == "webhookcron-ticker"
    assert resource["service.namespace"] == "webhookcron"
    assert resource["service.version"] == __version__
    [span] = told.scope_spans[0].spans
    assert span.name == "fire"
    assert span.trace_id == TraceContext.of_fire("job:1", 1).trace_id.to_bytes(16)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 5_000_000


def test_what_comes_after_the_time_there_is_at_the_end_is_dropped() -> None:
    # With a collector that hangs, each of the batches that wait would take its whole deadline.
    inner, now = _Flaky(), [10.0]
    inner.results = [SpanExportResult.SUCCESS]
    exporter = TellingExporter(inner, monotonic=lambda: now[0])
    exporter.finish_by(13.0)
    assert exporter.export([]) is SpanExportResult.SUCCESS
    now[0] = 13.0
    assert exporter.export([]) is SpanExportResult.FAILURE


def test_what_is_not_sampled_is_not_sent(collector: Collector) -> None:
    traces, close = open_traces(collector.url, {}, ratio=0, part="api", queue="wc.deliver")
    traces.created([execution(number) for number in range(100)], NOW)
    close()
    assert collector.requests == []
    assert traces.header("job:1").endswith("-00")


class _Flaky(SpanExporter):
    def __init__(self) -> None:
        self.results: list[SpanExportResult] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self.results.pop(0)

    def shutdown(self) -> None:
        """Nothing is open."""


def test_a_collector_that_is_away_is_told_of_once_and_once_when_it_is_back() -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    inner = _Flaky()
    inner.results = [good, bad, bad, good, good]
    exporter = TellingExporter(inner)
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            exporter.export([])
    assert [line["event"] for line in logs] == ["traces.not_sent", "traces.sent_again"]


def test_without_traces_nothing_of_them_is_loaded_and_the_packages_need_not_be_there() -> None:
    # redis-py loads parts of OpenTelemetry where it is installed, so it is hidden here.
    code = (
        "import sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "import webhookcron.wiring.worker, webhookcron.wiring.ticker, webhookcron.app, webhookcron.cli\n"
        "print([name for name in sys.modules if name.startswith('webhookcron.tracing')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
