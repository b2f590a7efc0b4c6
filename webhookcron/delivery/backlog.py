"""Execution ids that wait for room, a queue per host, the hosts taking turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

MOST_PER_HOST = 10_000
"""Ids kept per host; more are dropped here and come again by the sweep, since they stay queued in MongoDB."""

MOST_IN_ALL = 50_000


class Backlog:
    """Not thread-safe: its owner locks. An id that waits already is not taken twice."""

    def __init__(self, *, most_per_host: int = MOST_PER_HOST, most_in_all: int = MOST_IN_ALL) -> None:
        self._most_per_host = most_per_host
        self._most_in_all = most_in_all
        self._queues: dict[str, deque[str]] = {}
        self._turns: deque[str] = deque()
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, ids: Iterable[str], host_of: Callable[[str], str]) -> int:
        """Line ids up by their hosts; how many were dropped because there was no room."""
        dropped = 0
        for execution_id in ids:
            if execution_id in self._known:
                continue
            host = host_of(execution_id)
            waiting = len(self._queues.get(host, ()))
            if waiting >= self._most_per_host or len(self._known) >= self._most_in_all:
                dropped += 1
                continue
            self._append(execution_id, host)
            self._known.add(execution_id)
        return dropped

    def _append(self, execution_id: str, host: str) -> None:
        queue = self._queues.get(host)
        if queue is None:
            queue = self._queues[host] = deque()
            self._turns.append(host)
        queue.append(execution_id)

    def sort_out_unknown(self, host_of: Callable[[str], str]) -> None:
        """Line the ids of unknown host (empty) up again, by the hosts that are known by now."""
        unknown = self._queues.pop("", None)
        if unknown is None:
            return
        self._turns.remove("")
        for execution_id in unknown:
            self._append(execution_id, host_of(execution_id))

    def take(self, limit: int, room_of: Callable[[str], int]) -> list[str]:
        """Up to `limit` ids, from each host in turn, no more of a host than `room_of` it says."""
        taken: list[str] = []
        rooms: dict[str, int] = {}
        passed = 0
        while self._turns and passed < len(self._turns) and len(taken) < limit:
            host = self._turns[0]
            queue = self._queues[host]
            room = rooms.get(host)
            if room is None:
                room = rooms[host] = room_of(host)
            share = min(room, limit - len(taken), len(queue), _SHARE)
            for _ in range(share):
                execution_id = queue.popleft()
                self._known.discard(execution_id)
                taken.append(execution_id)
            rooms[host] = room - share
            passed = 0 if share else passed + 1
            self._turns.popleft()
            if queue:
                self._turns.append(host)
            else:
                del self._queues[host]
        return taken

    def take_all(self) -> list[str]:
        """Everything that waits."""
        return self.take(len(self._known), lambda _host: len(self._known) + 1)


_SHARE = 16
"""Ids taken of one host before the next one has its turn."""
