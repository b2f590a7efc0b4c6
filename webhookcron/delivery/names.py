"""Names to addresses, each looked up on a thread of its own, so that no name waits for another one.

libcurl has twenty threads for this: ten names whose servers do not answer (it asks twice, for IPv4 and for IPv6) would
hold up every name that is not in its cache. And it tells one address at a time, while a name is to be refused when any
of its addresses is.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from webhookcron.core.outcomes import Failure, FailureKind

logger = logging.getLogger(__name__)

FRESH_SECONDS = 60
"""A worker calls many hosts; an answer that was right a minute ago is asked for again."""

MOST_KEPT = 10_000
MOST_ADDRESSES = 32
"""Of one name; those after are left out."""

MOST_THREADS = 512
"""Lookups at a time; more wait for one to end. The system gives up on a server after some 10 to 30 seconds."""

Item = TypeVar("Item")
LookUp = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Addresses:
    """What a name led to: IP addresses in the order of preference, at least one."""

    texts: tuple[str, ...]
    fresh_until: float


class Names(Generic[Item]):
    """What names lead to, and who waits to learn it. All methods belong to one thread, which `wake` wakes."""

    def __init__(
        self, *, look_up: LookUp, wake: Callable[[], None], most_threads: int = MOST_THREADS
    ) -> None:
        """`look_up` gives a name's addresses, or raises OSError; it may block. `wake` is called on any thread."""
        self._look_up = look_up
        self._wake = wake
        self._most_threads = most_threads
        self._known: OrderedDict[str, Addresses] = OrderedDict()
        self._waiting: dict[str, dict[int, Item]] = {}
        self._deadlines: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._threads = 0
        self._queue: deque[str] = deque()
        self._came: deque[tuple[str, tuple[str, ...] | Failure]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def known(self, name: str) -> Addresses | None:
        """What `name` leads to; None when it has to be asked for."""
        addresses = self._known.get(name)
        return addresses if addresses is not None and time.monotonic() < addresses.fresh_until else None

    def wait(self, name: str, item: Item, until: float) -> None:
        """Look `name` up; `item` comes out of `answers`, or out of `overdue` when that takes until then (monotonic)."""
        number = next(self._numbers)
        self._waiting.setdefault(name, {})[number] = item
        heapq.heappush(self._deadlines, (until, number, name))
        if name not in self._asked:
            self._asked.add(name)
            self._ask(name)

    def answers(self) -> list[tuple[Item, Addresses | Failure]]:
        """Those whose answer has come, with it; addresses are `known` from now on, a failure is not remembered."""
        answered: list[tuple[Item, Addresses | Failure]] = []
        while self._came:
            name, came = self._came.popleft()
            self._asked.discard(name)
            answer = came if isinstance(came, Failure) else self._keep(name, came)
            answered += [(item, answer) for item in self._waiting.pop(name, {}).values()]
        return answered

    def _keep(self, name: str, texts: tuple[str, ...]) -> Addresses:
        self._known[name] = addresses = Addresses(texts, time.monotonic() + FRESH_SECONDS)
        self._known.move_to_end(name)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return addresses

    def overdue(self) -> list[Item]:
        """Those that have waited for too long; they wait no more."""
        items: list[Item] = []
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            _, number, name = heapq.heappop(self._deadlines)
            waiting = self._waiting.get(name, {})
            if number in waiting:
                items.append(waiting.pop(number))
                if not waiting:
                    del self._waiting[name]
        return items

    def seconds_left(self) -> float | None:
        """Until `overdue` may find someone; None while nobody waits."""
        while self._deadlines and self._deadlines[0][1] not in self._waiting.get(self._deadlines[0][2], {}):
            heapq.heappop(self._deadlines)
        return max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else None

    def give_up(self) -> list[Item]:
        """All who wait; nobody does any more."""
        items = [item for waiting in self._waiting.values() for item in waiting.values()]
        self._waiting.clear()
        return items

    def close(self) -> None:
        """Wake nobody any more. Lookups under way end by themselves, some time."""
        with self._lock:
            self._closed = True
            self._queue.clear()

    def _ask(self, name: str) -> None:
        with self._lock:
            if self._threads >= self._most_threads:
                self._queue.append(name)
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, args=(name,), name="names", daemon=True).start()
        except RuntimeError as error:
            # The system gives no more threads. Those in the queue, which this one would have taken on, fail with it.
            following: str | None = name
            while following is not None:
                failure = Failure(FailureKind.DNS, f"{following} could not be looked up: {error}")
                following = self._ended(following, failure)

    def _work(self, name: str) -> None:
        following: str | None = name
        while following is not None:
            following = self._ended(following, self._answer(following))

    def _answer(self, name: str) -> tuple[str, ...] | Failure:
        try:
            addresses = tuple(dict.fromkeys(self._look_up(name)))[:MOST_ADDRESSES]
        except OSError as error:
            return Failure(FailureKind.DNS, f"could not resolve host: {name} ({error.strerror or error})")
        except Exception:
            logger.exception("a lookup broke down")
            return Failure(FailureKind.DNS, f"could not resolve host: {name}")
        return addresses or Failure(FailureKind.DNS, f"could not resolve host: {name} (it has no address)")

    def _ended(self, name: str, answer: tuple[str, ...] | Failure) -> str | None:
        """Hand an answer over; the name that this thread goes on with, None when it has to end."""
        with self._lock:
            if self._closed:
                self._threads -= 1
                return None
            self._came.append((name, answer))
            self._wake()
            if self._queue:
                return self._queue.popleft()
            self._threads -= 1
            return None


def look_up(name: str) -> Sequence[str]:
    """A name's addresses by the system's resolver: `hosts` file, DNS, or whatever it is set up for."""
    found = socket.getaddrinfo(name.encode("ascii"), None, socket.AF_UNSPEC, socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]
