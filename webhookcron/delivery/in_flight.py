"""How many calls are under way, in all and per host, and so how much room there is for more."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

SLOW_AFTER = timedelta(seconds=2)
"""A call that takes longer no longer takes a place from quick ones."""

SLOW_FACTOR = 4
"""So many times the cap may be under way in all, slow ones included: what waits for an answer costs memory only."""


class InFlight:
    """Not thread-safe: its owner locks. Times are seconds of a monotonic clock.

    A worker full of hanging calls would keep every other job waiting for their deadlines. So only calls younger than
    `SLOW_AFTER` count against the cap, up to a larger bound for all.
    """

    def __init__(self, most: int, most_per_host: int) -> None:
        self._most = most
        self._most_per_host = most_per_host
        self._hosts: dict[str, int] = {}
        self._started: deque[tuple[float, str]] = deque()
        self._fresh: set[str] = set()
        self._all: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._all)

    def room(self, now: float) -> int:
        """How many more calls may start."""
        while self._started and now - self._started[0][0] >= SLOW_AFTER.total_seconds():
            self._fresh.discard(self._started.popleft()[1])
        return max(0, min(self._most - len(self._fresh), self._most * SLOW_FACTOR - len(self._all)))

    def room_of(self, host: str) -> int:
        """How many more calls may go to `host`; an unknown host (empty) has room for a few."""
        return max(0, self._most_per_host - self._hosts.get(host, 0))

    def start(self, call_id: str, host: str, now: float) -> None:
        """A call begins; the same id may be under way only once."""
        self._all[call_id] = host
        self._fresh.add(call_id)
        self._started.append((now, call_id))
        self._hosts[host] = self._hosts.get(host, 0) + 1

    def end(self, call_id: str) -> None:
        """A call is over."""
        host = self._all.pop(call_id)
        self._fresh.discard(call_id)
        left = self._hosts[host] - 1
        if left:
            self._hosts[host] = left
        else:
            del self._hosts[host]
