"""How many calls are under way, and so who may start more: the rule that keeps one host from holding up the others.

A worker has a fixed number of places. Hosts that answered quickly of late may use all of them. Hosts that nothing is
known about yet may use three quarters, and hosts that were slow or silent of late a quarter, so that however many
targets hang, the quick ones find room. Calls that turn out to hang beyond that quarter give their places back while
they go on; all together there are at most twice as many calls as places. No host has more than its own cap.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import timedelta
from enum import IntEnum

SLOW_AFTER = timedelta(seconds=2)
"""A call that takes longer makes its host a slow one, already while it is under way."""

MOST_HOSTS = 20_000
"""Hosts whose pace is remembered; of more, those not called for the longest are unknown again."""

MOST_FACTOR = 2
"""All calls together, slow ones beyond their share included, are at most so many times the places."""

UNKNOWN_SHARE = 0.75
SLOW_SHARE = 0.25


class Pace(IntEnum):
    """What is known about a host."""

    QUICK = 0
    """Its last call ended within `SLOW_AFTER`, with an answer."""
    UNKNOWN = 1
    """It was not called yet, as far as remembered."""
    SLOW = 2
    """A call to it took longer, or its last one ended without an answer."""


class InFlight:
    """Places taken, by host and pace. Not thread-safe: its owner locks. Times are seconds of a monotonic clock."""

    def __init__(self, most: int, most_per_host: int) -> None:
        self._most = most
        self._most_per_host = most_per_host
        # Each share holds at least one place, so that a worker with few of them still calls everyone.
        self._bounds = {
            Pace.QUICK: most,
            Pace.UNKNOWN: max(1, int(most * UNKNOWN_SHARE)),
            Pace.SLOW: max(1, int(most * SLOW_SHARE)),
        }
        self._taken: dict[str, int] = {}
        self._by_pace = dict.fromkeys(Pace, 0)
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._started: deque[tuple[float, int, str]] = deque()
        self._calls: dict[int, tuple[str, float]] = {}
        self._next_call = 0

    def __len__(self) -> int:
        return len(self._calls)

    def pace_of(self, host: str) -> Pace:
        """What is known about `host`."""
        return self._paces.get(host, Pace.UNKNOWN)

    def room(self) -> int:
        """Places that are free for a quick host."""
        return max(0, min(self._most - self._counted(Pace.QUICK), self._in_all()))

    def reserve(self, host: str, wanted: int) -> int:
        """Take up to `wanted` places for `host`; how many it got."""
        pace = self.pace_of(host)
        free = min(self._most_per_host - self._taken.get(host, 0), self._in_all())
        for bound in range(Pace.QUICK, pace + 1):
            free = min(free, self._bounds[Pace(bound)] - self._counted(Pace(bound)))
        granted = max(0, min(wanted, free))
        if granted:
            self._add(host, granted)
        return granted

    def _counted(self, bound: Pace) -> int:
        """Places that count against a bound: a slow host counts among the unknown, and all count among the quick.

        Slow ones count there up to their own share only. Hosts that were let in as unknown and turn out to hang would
        else keep every new host out until their deadlines.
        """
        slow = self._by_pace[Pace.SLOW]
        if bound is Pace.SLOW:
            return slow
        better = sum(taken for pace, taken in self._by_pace.items() if bound <= pace < Pace.SLOW)
        return better + min(slow, self._bounds[Pace.SLOW])

    def _in_all(self) -> int:
        return self._most * MOST_FACTOR - sum(self._by_pace.values())

    def release(self, host: str, places: int = 1) -> None:
        """Give places back that were reserved and not used."""
        self._add(host, -places)

    def start(self, host: str, now: float) -> int:
        """A call begins and takes a place, be there room or not; its number, for `end`."""
        self._add(host, 1)
        self._next_call += 1
        self._calls[self._next_call] = (host, now)
        self._started.append((now, self._next_call, host))
        return self._next_call

    def end(self, call: int, now: float, *, answered: bool | None) -> None:
        """A call is over; its place is free, and its host known by it, unless `answered` is None: it was not asked."""
        host, started = self._calls.pop(call)
        if answered is not None:
            quick = answered and now - started < SLOW_AFTER.total_seconds()
            self._learn(host, Pace.QUICK if quick else Pace.SLOW)
        self._add(host, -1)

    def look_at_slow_ones(self, now: float) -> None:
        """Learn from calls that are under way for too long already."""
        while self._started and now - self._started[0][0] >= SLOW_AFTER.total_seconds():
            _, call, host = self._started.popleft()
            if call in self._calls:
                self._learn(host, Pace.SLOW)

    def _add(self, host: str, places: int) -> None:
        self._by_pace[self.pace_of(host)] += places
        left = self._taken.get(host, 0) + places
        if left:
            self._taken[host] = left
        else:
            self._taken.pop(host, None)

    def _learn(self, host: str, pace: Pace) -> None:
        before = self.pace_of(host)
        if before is not pace:
            taken = self._taken.get(host, 0)
            self._by_pace[before] -= taken
            self._by_pace[pace] += taken
        self._paces[host] = pace
        self._paces.move_to_end(host)
        while len(self._paces) > MOST_HOSTS:
            self._forget_one()

    def _forget_one(self) -> None:
        host, pace = self._paces.popitem(last=False)
        taken = self._taken.get(host, 0)
        self._by_pace[pace] -= taken
        self._by_pace[Pace.UNKNOWN] += taken
