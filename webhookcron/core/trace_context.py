"""The trace of an execution, worked out from its id: pure.

Every process finds the same trace for an execution, so nothing has to be handed on: not by the broker's messages, which
may be lost, nor by documents, which would grow, nor to the worker that makes the last of its retries days later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

_RANDOM_BITS = 56
"""What a sampler looks at: the 7 rightmost bytes of the trace id (W3C Trace Context 2, section 3.2.2.3.2)."""

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)

_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: what a `traceparent` header says (W3C Trace Context, version 00)."""

    trace_id: int
    """128 bits, not 0."""
    span_id: int
    """64 bits, not 0."""
    sampled: bool

    @classmethod
    def of_fire(cls, execution_id: str, ratio: float) -> TraceContext:
        """The root span of an execution; `ratio` (0 to 1) of all executions are sampled, the same ones everywhere.

        The decision is that of OpenTelemetry's consistent probability sampling: the random part of the trace id is
        compared with a threshold.
        """
        digest = sha256(execution_id.encode()).digest()
        # 0 is no id (Trace Context section 2.2.2): of so many bits it will not be seen.
        trace_id = int.from_bytes(digest[:16]) or 1
        rejected = round((1 - ratio) * (1 << _RANDOM_BITS))
        return cls(
            trace_id=trace_id,
            span_id=int.from_bytes(digest[16:24]) or 1,
            sampled=trace_id & ((1 << _RANDOM_BITS) - 1) >= rejected,
        )

    @classmethod
    def parse(cls, traceparent: str) -> TraceContext | None:
        """What the header says; None when it is none of version 00."""
        match = _TRACEPARENT.fullmatch(traceparent)
        if match is None or not int(match[1], 16) or not int(match[2], 16):
            return None
        return cls(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & _SAMPLED))

    def child(self, span_id: int) -> TraceContext:
        """Another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.sampled)

    @property
    def traceparent(self) -> str:
        """The value of the header."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{_SAMPLED if self.sampled else 0:02x}"
