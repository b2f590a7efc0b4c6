"""Who may run: a bound on all calls, a bound per host, and turns among the hosts that wait."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class HostTurns(Generic[Item]):
    """Hands out places, no more than `most` in all and `most_per_host` to one host.

    Those that wait for the same host keep their order; hosts take turns, one call each, so that a host with
    many waiting calls does not hold up a host with few.
    """

    def __init__(self, *, most: int, most_per_host: int) -> None:
        self._most = most
        self._most_per_host = most_per_host
        self._taken = 0
        self._taken_by_host: dict[str, int] = {}
        self._waiting: dict[str, deque[Item]] = {}
        # Hosts that have calls waiting and places left, each once.
        self._in_turn: deque[str] = deque()

    def enter(self, host: str, item: Item) -> bool:
        """True when the item has got a place at once; else it waits until `next` returns it."""
        waiting = self._waiting.get(host)
        if waiting is not None:
            waiting.append(item)
            return False
        if self._taken_by_host.get(host, 0) >= self._most_per_host:
            self._waiting[host] = deque((item,))
            return False
        if self._taken >= self._most:
            self._waiting[host] = deque((item,))
            self._in_turn.append(host)
            return False
        self._take(host)
        return True

    def leave(self, host: str) -> None:
        """Give back a place of this host."""
        left = self._taken_by_host[host] - 1
        self._taken -= 1
        if left:
            self._taken_by_host[host] = left
        else:
            del self._taken_by_host[host]
        if left == self._most_per_host - 1 and host in self._waiting:
            self._in_turn.append(host)

    def next(self) -> Item | None:
        """The next waiting item, which has a place from now on; None when none waits or no place is free."""
        if not self._in_turn or self._taken >= self._most:
            return None
        host = self._in_turn.popleft()
        waiting = self._waiting[host]
        item = waiting.popleft()
        self._take(host)
        if not waiting:
            del self._waiting[host]
        elif self._taken_by_host[host] < self._most_per_host:
            self._in_turn.append(host)
        return item

    def give_up_waiting(self) -> list[Item]:
        """All items that wait; none does any more."""
        items = [item for waiting in self._waiting.values() for item in waiting]
        self._waiting.clear()
        self._in_turn.clear()
        return items

    def _take(self, host: str) -> None:
        self._taken += 1
        self._taken_by_host[host] = self._taken_by_host.get(host, 0) + 1
