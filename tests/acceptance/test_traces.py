"""Traces from outside: real processes, a collector, a receiver."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

pytestmark = pytest.mark.acceptance


class Collector(ThreadingHTTPServer):
    """An OTLP collector that keeps (service, name of the span, trace id, span id)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[tuple[str, str, str, str]] = []

    def keep(self, body: ExportTraceServiceRequest) -> None:
        for told in body.resource_spans:
            resource = {item.key: item.value.string_value for item in told.resource.attributes}
            self.spans += [
                (resource["service.name"], span.name, span.trace_id.hex(), span.span_id.hex())
                for scope in told.scope_spans
                for span in scope.spans
            ]

    def told(self, trace_id: str) -> set[tuple[str, str]]:
        """(service, name) of the spans of a trace that have come so far."""
        return {(service, name) for service, name, trace, _ in list(self.spans) if trace == trace_id}


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.keep(
            ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_ticker_api_and_worker_tell_of_an_execution_under_the_trace_that_its_receiver_sees(
    start_platform: Callable[..., Any], receiver: Any, collector: Collector, eventually: Callable[..., Any]
) -> None:
    url = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
    platform = start_platform(environ={"WEBHOOKCRON_TRACES_URL": url, "OTEL_BSP_SCHEDULE_DELAY": "200"})
    job = platform.create_job(name="traced", cronExpression="* * * * * *", webhookUrl=receiver.url)
    eventually(lambda: receiver.calls, within=30, what="a scheduled call")
    assert platform.request("POST", f"/api/cron/{job['id']}/pause").status_code == 200
    assert platform.request("POST", f"/api/cron/{job['id']}/trigger").status_code == 202
    eventually(
        lambda: any(call.headers["x-webhookcron-trigger"] == "manual" for call in receiver.calls),
        within=30,
        what="the manual call",
    )
    for trigger, creator in (("schedule", "webhookcron-ticker"), ("manual", "webhookcron-api")):
        call = next(call for call in receiver.calls if call.headers["x-webhookcron-trigger"] == trigger)
        _, trace_id, span_id, flags = call.headers["traceparent"].split("-")
        assert flags == "01"
        expected = {
            (creator, "fire"),
            ("webhookcron-worker", "POST"),
            ("webhookcron-worker", "queue"),
        }
        eventually(
            lambda trace=trace_id, all_=expected: collector.told(trace) == all_,
            within=60,
            what=f"the spans of the {trigger} call, from {sorted(expected)}",
        )
        assert ("webhookcron-worker", "POST", trace_id, span_id) in collector.spans
    assert platform.stop() == 0
