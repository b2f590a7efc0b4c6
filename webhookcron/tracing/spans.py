"""The spans of an execution, by OpenTelemetry: `fire` where it is created, `queue` and its attempts in a worker.

They are made when what they tell of is over, from moments of platform time that are known anyhow, and by the group.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from opentelemetry.trace.status import Status, StatusCode

from webhookcron.core.executions import EPOCH, ClaimedExecution, Execution, ExecutionStatus, to_ms
from webhookcron.core.trace_context import TraceContext
from webhookcron.delivery.claimer import EndedClaim
from webhookcron.delivery.request import TRACE_HEADER
from webhookcron.delivery.results import CallResult, Record
from webhookcron.delivery.transport_types import HttpRequest

log = structlog.get_logger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}

Attributes = Mapping[str, str | int]


class Traces:
    """What one process tells of executions. Never raises: traces must not keep anything from being delivered."""

    def __init__(
        self, processor: SpanProcessor, *, resource: Mapping[str, str], ratio: float, queue: str, version: str
    ) -> None:
        """`ratio` of all executions are told, `queue` is the broker's, `resource` says which process this is."""
        self._ratio = ratio
        self._queue = queue
        self._ids = _GivenIds()
        provider = TracerProvider(
            # What is not sampled is left out before any span is made.
            sampler=ALWAYS_ON,
            resource=Resource.create(dict(resource)),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("webhookcron", version)

    def header(self, execution_id: str) -> str:
        """The `traceparent` of a new attempt."""
        return self._fire(execution_id).child(random.getrandbits(64) or 1).traceparent

    def samples(self, execution_id: str) -> bool:
        """Whether anything of the execution is told."""
        return self._fire(execution_id).sampled

    def created(self, executions: Sequence[Execution], until: datetime) -> None:
        """These executions were stored at `until`; records of what is not run have no trace."""
        try:
            for execution in executions:
                context = self._fire(execution.id)
                if context.sampled and execution.status is ExecutionStatus.QUEUED:
                    self._tell_fire(execution, context, until)
        except Exception:
            log.exception("traces.failed", executions=len(executions))

    def recorded(self, group: Sequence[CallResult | EndedClaim], records: Sequence[Record]) -> None:
        """A group of results was written."""
        try:
            for item, record in zip(group, records, strict=True):
                execution = item.execution if isinstance(item, EndedClaim) else item.claim.execution
                fire = self._fire(execution.id)
                if fire.sampled:
                    self._tell_result(item, record, execution, fire)
        except Exception:
            log.exception("traces.failed", executions=len(group))

    def _fire(self, execution_id: str) -> TraceContext:
        return TraceContext.of_fire(execution_id, self._ratio)

    def _tell_fire(self, execution: Execution, context: TraceContext, until: datetime) -> None:
        links = []
        if execution.replay_of is not None:
            links = [Link(_span_context(self._fire(execution.replay_of)))]
        attributes = {
            **_attributes_of(execution),
            "messaging.system": "celery",
            "messaging.operation.name": "create",
            "messaging.operation.type": "create",
            "messaging.destination.name": self._queue,
            "messaging.message.id": execution.id,
        }
        self._span(
            "fire",
            SpanKind.PRODUCER,
            own=context,
            parent=None,
            begun_at=execution.queued_at,
            ended_at=until,
            attributes=attributes,
            links=links,
        )

    def _tell_result(
        self, item: CallResult | EndedClaim, record: Record, execution: ClaimedExecution, fire: TraceContext
    ) -> None:
        fields = record.update.change["$set"]
        parent = fire
        if not execution.attempt_count and not execution.lost_count and not execution.interrupted:
            begun = fields["completedAt"] if isinstance(item, EndedClaim) else item.started_at
            parent = self._tell_queue(execution, fire, begun, record)
        if not isinstance(item, EndedClaim):
            self._tell_attempt(item, record, parent)

    def _tell_queue(
        self, execution: ClaimedExecution, fire: TraceContext, until: datetime, record: Record
    ) -> TraceContext:
        """The wait from the creation until a worker began with it."""
        attributes = {
            **_attributes_of(execution),
            "messaging.system": "celery",
            "messaging.operation.name": "receive",
            "messaging.operation.type": "receive",
            "messaging.destination.name": self._queue,
            "messaging.message.id": execution.id,
            "webhookcron.execution.pushes": execution.pushes,
        }
        reason = record.update.change["$set"].get("reason")
        if reason is not None:
            attributes |= {"webhookcron.execution.reason": reason, **_status_attribute(record)}
        own = fire.child(random.getrandbits(64) or 1)
        self._span(
            "queue",
            SpanKind.CONSUMER,
            own=own,
            parent=fire,
            begun_at=execution.queued_at,
            ended_at=until,
            attributes=attributes,
        )
        return own

    def _tell_attempt(self, call: CallResult, record: Record, parent: TraceContext) -> None:
        """One HTTP request, under the id that its receiver got; by the conventions for HTTP client spans."""
        execution, request, result = call.claim.execution, call.request, call.result
        attempt = record.update.change.get("$push", {}).get("attempts")
        number = execution.attempt_count + 1 if attempt is None else attempt["number"]
        attributes: dict[str, str | int] = {
            **_attributes_of(execution),
            **_status_attribute(record),
            "webhookcron.attempt.number": number,
        }
        if number > 1:
            attributes["http.request.resend_count"] = number - 1
        if request is not None:
            attributes |= _attributes_of_request(request)
        if result.status is not None:
            attributes["http.response.status_code"] = result.status
        if result.http_version is not None:
            attributes["network.protocol.version"] = result.http_version
        if result.remote_address is not None:
            attributes["network.peer.address"] = result.remote_address
        status = None
        error = {"kind": "cancelled", "message": ""} if attempt is None else attempt.get("error")
        if error is not None:
            attributes["webhookcron.attempt.failure"] = error["kind"]
            # The convention wants the status where there is one that means an error.
            failed_by_status = result.failure is None and (result.status or 0) >= 400
            attributes["error.type"] = str(result.status) if failed_by_status else error["kind"]
            status = Status(StatusCode.ERROR, None if failed_by_status else error["message"] or None)
        self._span(
            "HTTP" if request is None else request.method,
            SpanKind.CLIENT,
            own=_context_sent(request, parent) or parent.child(random.getrandbits(64) or 1),
            parent=parent,
            begun_at=call.started_at,
            ended_at=call.ended_at,
            attributes=attributes,
            status=status,
        )

    def _span(
        self,
        name: str,
        kind: SpanKind,
        *,
        own: TraceContext,
        parent: TraceContext | None,
        begun_at: datetime,
        ended_at: datetime,
        attributes: Attributes,
        links: Sequence[Link] = (),
        status: Status | None = None,
    ) -> None:
        # An empty context where there is no parent: whatever span the caller may be in is none of this.
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(_span_context(parent)), context)
        self._ids.next(own)
        span = self._tracer.start_span(
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=_nanoseconds(begun_at),
        )
        if status is not None:
            span.set_status(status)
        span.end(end_time=_nanoseconds(max(begun_at, ended_at)))


class _GivenIds(IdGenerator):
    """Gives the next span of this thread the ids it was told."""

    def __init__(self) -> None:
        self._local = threading.local()

    def next(self, context: TraceContext) -> None:
        self._local.context = context

    def generate_span_id(self) -> int:
        return int(self._local.context.span_id)

    def generate_trace_id(self) -> int:
        return int(self._local.context.trace_id)

    def is_trace_id_random(self) -> bool:
        # A SHA-256 digest is as evenly distributed.
        return True


def _attributes_of(execution: Execution | ClaimedExecution) -> dict[str, str | int]:
    return {
        "webhookcron.job.id": execution.job_id,
        "webhookcron.job.name": execution.job_name,
        "webhookcron.execution.id": execution.id,
        "webhookcron.trigger": execution.trigger.value,
        "webhookcron.scheduled_at": execution.scheduled_at.isoformat(timespec="milliseconds"),
        "webhookcron.lateness_ms": to_ms(execution.queued_at) - to_ms(execution.scheduled_at),
    }


def _status_attribute(record: Record) -> dict[str, str]:
    return {"webhookcron.execution.status": record.update.change["$set"]["status"]}


def _attributes_of_request(request: HttpRequest) -> dict[str, str | int]:
    parts = urlsplit(request.url)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        # Without its query, which may hold secrets.
        "url.full": parts._replace(query="", fragment="").geturl(),
        "url.scheme": parts.scheme,
        "server.address": parts.hostname or "",
    }
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if port is not None:
        attributes["server.port"] = port
    if request.body is not None:
        attributes["http.request.body.size"] = len(request.body)
    return attributes


def _context_sent(request: HttpRequest | None, parent: TraceContext) -> TraceContext | None:
    """The context that the receiver was told; None when it was told none of this trace."""
    for name, value in () if request is None else request.headers:
        if name.lower() == TRACE_HEADER:
            sent = TraceContext.parse(value)
            return sent if sent is not None and sent.trace_id == parent.trace_id else None
    return None


def _span_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags)


def _nanoseconds(moment: datetime) -> int:
    elapsed = moment - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000_000 + elapsed.microseconds * 1_000
