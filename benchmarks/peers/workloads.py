"""The workloads of `benchmarks.fires` for a peer. Each gives a row of the same figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from benchmarks.fires.measuring import measure, wait_until, whole_second
from benchmarks.fires.stack import Receiver
from benchmarks.fires.workloads import LEAD, WARM_UP
from benchmarks.peers.stack import Peer

SECOND_MS, HOUR_MS = 1_000, 3_600_000


def steady(peer: Peer, receiver: Receiver, jobs: int, seconds: int, *, aligned: bool) -> dict[str, Any]:
    """`jobs` jobs due every second for `seconds` s; spread over the second, or all at its beginning."""
    receiver.ask(do="reset")
    start = _start(peer, jobs)
    spread_ms = 0 if aligned else SECOND_MS
    peer.register(jobs, receiver.url, first=start, every_ms=SECOND_MS, spread_ms=spread_ms)
    start += WARM_UP
    wait_until(peer, start)
    window = (start, start + timedelta(seconds=seconds))
    return _measured(peer, receiver, window, jobs * seconds) | {"jobs": jobs, "aligned": aligned}


def herd(peer: Peer, receiver: Receiver, jobs: int) -> dict[str, Any]:
    """`jobs` jobs due at one instant; how long until the last one has arrived."""
    receiver.ask(do="reset")
    start = _start(peer, jobs)
    peer.register(jobs, receiver.url, first=start, every_ms=HOUR_MS, spread_ms=0)
    # Counted from here until nothing is left to do, as for this platform.
    before = peer.cpu_seconds()
    wait_until(peer, start)
    window = (start, start + timedelta(seconds=1))
    row = _measured(peer, receiver, window, jobs, before=before, is_settled=peer.is_idle)
    return row | {"jobs": jobs, "drained_seconds": round((row["lag_max_ms"] or 0) / 1000, 3)}


def _start(peer: Peer, jobs: int) -> datetime:
    return whole_second(peer.now() + LEAD + timedelta(seconds=jobs / 500))


def _measured(
    peer: Peer, receiver: Receiver, window: tuple[datetime, datetime], expected: int, **how: Any
) -> dict[str, Any]:
    earlier, _ = peer.failures()
    row = measure(peer, receiver, window, expected, **how)
    failures, words = peer.failures()
    return row | {"failures": failures - earlier} | ({"first_failure": words} if words else {})
