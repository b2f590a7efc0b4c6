"""What a workload costs the system under measurement, and when its calls arrive: this platform, or a peer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from benchmarks.fires.stack import Receiver, await_received

PATIENCE = timedelta(seconds=10)


class Measured(Protocol):
    """A running system that makes calls."""

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds used so far, by role."""
        ...

    def rss_mb(self) -> dict[str, float]:
        """Resident memory, by role."""
        ...

    def now(self) -> datetime:
        """The system's time, aware, cut to milliseconds."""
        ...


def measure(
    system: Measured,
    receiver: Receiver,
    window: tuple[datetime, datetime],
    expected: int,
    *,
    before: dict[str, float] | None = None,
    is_settled: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:
    """Figures of the fire times in `window`, of which `expected` are to arrive.

    CPU is counted from `before` on (`cpu_seconds`; None = from now on) until `is_settled`: nothing is left to do.
    """
    before, receiver_before = before or system.cpu_seconds(), receiver.cpu_seconds()
    earlier = receiver.ask(do="report", from_ms=0, to_ms=2**60)["received"]
    wait_until(system, window[1])
    report = await_received(receiver, window, expected, PATIENCE)
    time.sleep(1.0)  # The records of the last calls are still being written.
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not is_settled():
        if time.monotonic() > deadline:
            raise SystemExit(f"not all was done {PATIENCE.total_seconds():.0f} s after the last call")
        time.sleep(0.2)
    after, receiver_after = system.cpu_seconds(), receiver.cpu_seconds()
    fires = max(report["received"], 1)
    # Jobs go on firing until they are forgotten, so CPU is shared out over all that arrived meanwhile.
    meanwhile = max(receiver.ask(do="report", from_ms=0, to_ms=2**60)["received"] - earlier, 1)
    return {
        **{key: value for key, value in report.items() if key != "last_arrival_ms"},
        "missing": expected - report["received"],
        "fires_per_second": round(fires / max((window[1] - window[0]).total_seconds(), 1), 1),
        "cpu_ms_per_fire": {
            role: round((after[role] - before[role]) / meanwhile * 1000, 4) for role in after
        },
        "receiver_cpu_ms_per_fire": round((receiver_after - receiver_before) / meanwhile * 1000, 4),
        "rss_mb": system.rss_mb(),
    }


def whole_second(moment: datetime) -> datetime:
    """The next whole second after `moment`."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def wait_until(system: Measured, moment: datetime) -> None:
    """Sleep until `moment` of the system's time."""
    time.sleep(max(0.0, (moment - system.now()).total_seconds()))
