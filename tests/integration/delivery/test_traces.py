"""Traces of executions on their way through several processes, each with traces of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from webhookcron.core.executions import ExecutionStatus, Trigger, replay_execution_id
from webhookcron.core.request_spec import FireContext, RequestSpec
from webhookcron.core.retries import RetryPolicy
from webhookcron.core.trace_context import TraceContext
from webhookcron.delivery.caller import WebhookCall
from webhookcron.delivery.claimer import Claimed
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.request import build_request
from webhookcron.delivery.results import CallResult
from webhookcron.tracing.spans import Traces
from webhookcron.tracing.wrapping import TracedCaller, TracedExecutions


class Process:
    """The traces of one process, and what it has told."""

    def __init__(self, *, ratio: float = 1) -> None:
        self._exporter = InMemorySpanExporter()
        self.traces = Traces(
            SimpleSpanProcessor(self._exporter), resource={}, ratio=ratio, queue="wc.deliver", version="0"
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans if span.name == name]
        return span


def fire(world: Any, ticker: Process, now: datetime) -> None:
    """What a ticker does at `now`."""
    executions = TracedExecutions(world.database, ticker.traces, now=lambda: now)
    world.tick(now, world.scheduler(executions=executions))


def call(world: Any, worker: Process, transport: Any, claimed: Claimed, now: datetime) -> None:
    """What a worker does with what it has claimed, calls and records included."""
    caller = TracedCaller(transport, OAuthTokens(transport), worker.traces, now=lambda: now)
    results: list[CallResult] = []
    ended = threading.Semaphore(0)

    def attempt(claim: Any) -> WebhookCall:
        def on_done(request: Any, result: Any) -> None:
            results.append(CallResult(claim, request, result, now, now))
            ended.release()

        execution = claim.execution
        context = FireContext(
            job_id=execution.job_id, job_name=execution.job_name, execution_id=execution.id,
            scheduled_at=execution.scheduled_at, attempt=execution.attempt_count + 1,
            trigger=execution.trigger.value,
        )  # fmt: skip
        return WebhookCall(claim.prepared.template, context, on_done)

    recorder = world.recorder(now, observe=worker.traces.recorded)
    recorder.start()
    caller.call_many([attempt(claim) for claim in claimed.calls])
    for _ in claimed.calls:
        assert ended.acquire(timeout=20)
    recorder.put([*results, *claimed.ended])
    assert recorder.close(world.at(20) - world.at(0))


def traceparent_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{format_trace_id(span.context.trace_id)}-{format_span_id(span.context.span_id)}-01"


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


@pytest.fixture
def answering(serve: Any) -> Callable[..., Any]:
    """A receiver that answers each request with the next of some statuses."""

    def start(*statuses: str) -> Any:
        left = list(statuses)

        def script(peer: Any) -> None:
            while peer.read_request() is not None:
                peer.respond(left.pop(0))

        return serve(script)

    return start


def test_fire_queue_and_attempt_are_one_trace_that_the_receiver_is_told(
    world: Any, transport: Any, answering: Callable[..., Any]
) -> None:
    ticker, worker = Process(), Process()
    server = answering("200 OK")
    job = world.job(url=server.url("/hook?token=s3cret"))
    fire(world, ticker, world.at(60.25))
    call(world, worker, transport, world.claim(world.at(61)), world.at(61))

    [execution] = world.log(job)
    root, queue, attempt = ticker.named("fire"), worker.named("queue"), worker.named("POST")
    assert (len(ticker.spans), len(worker.spans)) == (1, 2)
    assert (root.kind, queue.kind, attempt.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.CLIENT)
    assert root.parent is None
    assert parent_of(queue) == root.context.span_id
    assert parent_of(attempt) == queue.context.span_id
    assert len({span.context.trace_id for span in (root, queue, attempt)}) == 1
    assert server.requests[0].headers["traceparent"] == traceparent_of(attempt)
    assert root.attributes["webhookcron.execution.id"] == execution.id
    assert root.attributes["webhookcron.lateness_ms"] == 250
    assert root.attributes["messaging.destination.name"] == "wc.deliver"
    # Moments of platform time, whatever the clocks of the machines say.
    assert queue.start_time == root.start_time == int(execution.queued_at.timestamp() * 1000) * 1_000_000
    assert queue.end_time - queue.start_time == 750_000_000
    assert {
        name: value for name, value in attempt.attributes.items() if not name.startswith("webhookcron.")
    } == {
        "http.request.method": "POST",
        "url.full": server.url("/hook"),
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "http.request.body.size": len(server.requests[0].body),
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "network.peer.address": "127.0.0.1",
    }
    assert attempt.attributes["webhookcron.execution.status"] == "success"
    assert attempt.status.status_code is StatusCode.UNSET


def test_a_retry_in_another_worker_is_in_the_same_trace(
    world: Any, transport: Any, answering: Callable[..., Any]
) -> None:
    ticker, first, second = Process(), Process(), Process()
    server = answering("503 Service Unavailable", "200 OK")
    world.job(url=server.url("/"), retry=RetryPolicy(max_retries=1, retry_delays_ms=(1_000,)))
    fire(world, ticker, world.at(60))
    call(world, first, transport, world.claim(world.at(60)), world.at(60))
    world.sweep(world.at(65))
    call(world, second, transport, world.claim(world.at(65)), world.at(65))

    root, failed, [again] = ticker.named("fire"), first.named("POST"), second.spans
    assert {span.context.trace_id for span in (failed, again)} == {root.context.trace_id}
    assert failed.context.span_id != again.context.span_id
    assert [request.headers["traceparent"] for request in server.requests] == [
        traceparent_of(failed),
        traceparent_of(again),
    ]
    assert parent_of(again) == root.context.span_id
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "503"
    assert failed.attributes["webhookcron.attempt.failure"] == "temporary_status"
    assert failed.attributes["webhookcron.execution.status"] == "retrying"
    assert "http.request.resend_count" not in failed.attributes
    assert again.attributes["http.request.resend_count"] == 1
    assert again.attributes["webhookcron.attempt.number"] == 2


def test_a_call_that_gets_no_answer_is_an_error_of_its_kind(world: Any, transport: Any, serve: Any) -> None:
    ticker, worker = Process(), Process()

    def script(peer: Any) -> None:
        peer.read_request()
        peer.reset()

    world.job(url=serve(script).url("/"))
    fire(world, ticker, world.at(60))
    call(world, worker, transport, world.claim(world.at(60)), world.at(60))
    attempt = worker.named("POST")
    assert attempt.attributes["error.type"] == "reset"
    assert "http.response.status_code" not in attempt.attributes
    assert attempt.status.status_code is StatusCode.ERROR
    assert attempt.status.description


def test_two_tickers_tell_of_a_fire_once(world: Any) -> None:
    one, two = Process(), Process()
    world.job()
    now = world.at(60)
    schedulers = [
        world.scheduler(executions=TracedExecutions(world.database, process.traces, now=lambda: now))
        for process in (one, two)
    ]
    due = world.due(now)
    for scheduler in schedulers:
        scheduler.fire(due, now)
    assert len(one.spans) + len(two.spans) == 1


def test_what_is_skipped_shows_its_wait_and_why(world: Any, transport: Any) -> None:
    ticker, worker = Process(), Process()
    job = world.job()
    fire(world, ticker, world.at(60))
    world.jobs.disable_any_version(job.id, "gone", now=world.at(61))
    call(world, worker, transport, world.claim(world.at(62)), world.at(62))
    [queue] = worker.spans
    assert queue.attributes["webhookcron.execution.status"] == "skipped"
    assert queue.attributes["webhookcron.execution.reason"] == "disabled"


def test_a_replay_is_a_trace_of_its_own_that_links_to_the_first(world: Any) -> None:
    ticker, api = Process(), Process()
    job = world.job()
    fire(world, ticker, world.at(60))
    [origin] = world.log(job)
    replay = _replay_of(origin, world.at(90))
    TracedExecutions(world.database, api.traces, now=lambda: world.at(90)).insert([replay])
    first, again = ticker.named("fire"), api.named("fire")
    assert again.context.trace_id != first.context.trace_id
    assert [link.context.span_id for link in again.links] == [first.context.span_id]


def _replay_of(origin: Any, now: datetime) -> Any:
    from dataclasses import replace

    return replace(
        origin, id=replay_execution_id(origin.id, "k"), trigger=Trigger.REPLAY, replay_of=origin.id,
        status=ExecutionStatus.QUEUED, queued_at=now,
    )  # fmt: skip


def test_what_is_not_sampled_is_not_told_but_the_receiver_may_know_its_trace(
    world: Any, transport: Any, answering: Callable[..., Any]
) -> None:
    ticker, worker = Process(ratio=0), Process(ratio=0)
    server = answering("200 OK")
    world.job(url=server.url("/"))
    fire(world, ticker, world.at(60))
    call(world, worker, transport, world.claim(world.at(60)), world.at(60))
    assert ticker.spans == worker.spans == []
    sent = TraceContext.parse(server.requests[0].headers["traceparent"])
    assert sent is not None
    assert not sent.sampled


def test_traces_that_fail_keep_nothing_from_being_delivered(
    world: Any, transport: Any, answering: Callable[..., Any]
) -> None:
    class Broken(SimpleSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("no memory")

    process = Process()
    process.traces = Traces(
        Broken(InMemorySpanExporter()), resource={}, ratio=1, queue="wc.deliver", version="0"
    )
    job = world.job(url=answering("200 OK").url("/"))
    fire(world, process, world.at(60))
    call(world, process, transport, world.claim(world.at(60)), world.at(60))
    assert world.found(job) == {60: "success"}
    assert world.counters(job) == (1, 1, 0, 0)


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_job_that_names_its_own_trace_keeps_it(name: str) -> None:
    own = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    spec = RequestSpec(url="http://127.0.0.1/", headers=((name, own),), signing=False)
    moment = datetime.fromisoformat("2026-01-01T00:00:00Z")
    context = FireContext(
        job_id="j", job_name="report", execution_id="j:1", scheduled_at=moment, attempt=1,
        trigger="schedule", traceparent=TraceContext.of_fire("j:1", 1).traceparent,
    )  # fmt: skip
    request = build_request(spec, context, now=moment)
    assert [value for key, value in request.headers if key.lower() == "traceparent"] == [own]
