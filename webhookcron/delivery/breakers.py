"""A circuit breaker per origin: what cannot be connected to is left alone for a while, no attempts spent on it.

An origin is scheme, host and port together: a closed port, or one that speaks no TLS, says nothing about the others of
its host, which may be somebody else's target.

closed     calls go out; connection failures in a row are counted.
open       after `OPENS_AFTER` of them nothing goes out; what is due is put off.
half-open  when the time is over one call goes out as a probe; it closes the circuit, or opens it for twice as long.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from webhookcron.core.outcomes import FailureKind
from webhookcron.delivery.transport_types import HttpRequest, HttpResult

OPENS_AFTER = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)

MOST_ORIGINS = 10_000
"""Origins with failures that are remembered; of more, those that failed the longest ago are forgotten."""

CONNECTION_FAILURES = frozenset({FailureKind.CONNECT, FailureKind.DNS, FailureKind.TLS})
"""Failures that say nothing but that the host cannot be reached. A timeout may be the fault of one slow path."""

_NEVER_TRIED = frozenset({FailureKind.BLOCKED, FailureKind.CANCELLED, FailureKind.INVALID_REQUEST})

PROBE_TAKES = timedelta(seconds=5)
"""How long others wait for a probe before another one may go out; it may never have been sent."""


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    opened: int = 0
    open_until: float = 0.0
    probe_until: float = 0.0


class HostBreakers:
    """The circuits of one worker. Not thread-safe: its owner locks. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()

    def wait_of(self, origin: str, now: float) -> float:
        """Seconds for which what is due for `origin` is to be put off; 0 = it may be sent."""
        circuit = self._circuits.get(origin)
        if circuit is None or not circuit.opened:
            return 0.0
        return max(0.0, circuit.open_until - now, circuit.probe_until - now)

    def admit(self, origin: str, wanted: int, now: float) -> int:
        """How many of `wanted` calls may start now: all, one as a probe, or none."""
        circuit = self._circuits.get(origin)
        if circuit is None or not circuit.opened or not wanted:
            return wanted
        if self.wait_of(origin, now):
            return 0
        circuit.probe_until = now + PROBE_TAKES.total_seconds()
        return 1

    def ended(self, origin: str, reached: bool | None, now: float) -> float | None:
        """A call has ended: for how long the circuit is open from now on, 0 when it just closed, None = no change.

        `reached` is what the function of that name says of the call.
        """
        if reached is None:
            return None
        if reached:
            circuit = self._circuits.pop(origin, None)
            return 0.0 if circuit is not None and circuit.opened else None
        circuit = self._circuits.setdefault(origin, _Circuit())
        self._circuits.move_to_end(origin)
        while len(self._circuits) > MOST_ORIGINS:
            self._circuits.popitem(last=False)
        circuit.failures += 1
        # While it is open, only calls end that went out before.
        if now < circuit.open_until or (not circuit.opened and circuit.failures < OPENS_AFTER):
            return None
        pause = min(FIRST_PAUSE * (1 << min(circuit.opened, 10)), LONGEST_PAUSE).total_seconds()
        circuit.opened += 1
        circuit.open_until = now + pause
        circuit.probe_until = 0.0
        return pause


def reached(request: HttpRequest | None, result: HttpResult) -> bool | None:
    """Whether a call got through to the origin it was for; None when it does not tell, because it was never tried.

    `request` is None when nothing was sent, as without an OAuth token. Of a redirected call the first hop got through,
    whatever became of the others: they are elsewhere.
    """
    if result.status is not None or result.redirects:
        return True
    failure = None if result.failure is None else result.failure.kind
    if request is None or failure in _NEVER_TRIED:
        return None
    return failure not in CONNECTION_FAILURES
