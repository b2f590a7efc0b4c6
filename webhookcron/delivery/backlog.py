"""Execution ids that wait for room, a queue per host, the hosts taking turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

MOST_PER_HOST = 10_000
"""Ids kept per host; more are dropped here and come again by the sweep, since they stay queued in MongoDB."""

MOST_IN_ALL = 50_000

SHARE = 16
"""Ids taken of one host before the next one has its turn."""


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

    def add(self, ids: Iterable[tuple[str, str]]) -> int:
        """Line up (id, host); how many were dropped because there was no room."""
        dropped = 0
        for execution_id, host in ids:
            if execution_id in self._known:
                continue
            queue = self._queues.get(host)
            if len(self._known) >= self._most_in_all or (
                queue is not None and len(queue) >= self._most_per_host
            ):
                dropped += 1
                continue
            if queue is None:
                queue = self._queues[host] = deque()
                self._turns.append(host)
            queue.append(execution_id)
            self._known.add(execution_id)
        return dropped

    def take(self, limit: int, reserve: Callable[[str, int], int]) -> list[tuple[str, str]]:
        """Up to `limit` (id, host), from each host in turn; `reserve(host, wanted)` says how many of it may go."""
        taken: list[tuple[str, str]] = []
        passed = 0
        while self._turns and passed < len(self._turns) and len(taken) < limit:
            host = self._turns[0]
            queue = self._queues[host]
            share = reserve(host, min(limit - len(taken), len(queue), SHARE))
            for _ in range(share):
                execution_id = queue.popleft()
                self._known.discard(execution_id)
                taken.append((execution_id, host))
            passed = 0 if share else passed + 1
            if queue:
                self._turns.rotate(-1)
            else:
                self._turns.popleft()
                del self._queues[host]
        return taken

    def take_host(self, host: str) -> list[str]:
        """Everything that waits for `host`."""
        queue = self._queues.pop(host, None)
        if queue is None:
            return []
        self._turns.remove(host)
        self._known.difference_update(queue)
        return list(queue)

    def take_all(self) -> list[str]:
        """Everything that waits."""
        return [execution_id for execution_id, _ in self.take(len(self._known), lambda _host, wanted: wanted)]
