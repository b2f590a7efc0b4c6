"""The faults of a chaos run: drawn beforehand from a seed, then done at their moments."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import redis
from machine import DRAIN_SECONDS, PARTS, STORES, Machine, MachineFailed, Process

STOP_PATIENCE_SECONDS = DRAIN_SECONDS + 25.0
"""A process that has not ended by then although it was asked to is a finding."""

SETTING_UP_SECONDS = 10.0
"""A process that was started on a busy machine is ready by then."""


MOST_ENDS = 3
"""A process that ends so often by itself cannot do its part: the run is over."""


class Kind(StrEnum):
    """What can happen."""

    KILL = "kill"
    """SIGKILL of a part, which is started again."""
    STOP_SHORT = "stop, short"
    """SIGSTOP of a part for less than the lock of a fire holds."""
    STOP_LONG = "stop, beyond the lock"
    STOP_LEASE = "stop, beyond the lease"
    TERM = "term"
    """SIGTERM of a part, which is started again once it has ended."""
    FLUSH = "flush"
    """FLUSHALL: everything in Redis is gone, the broker's messages included."""
    RESTART_REDIS = "restart of Redis"
    """SIGKILL of Redis, started again after a moment."""
    RESTART_STORE = "restart of the store"
    OUTAGE = "outage"
    """As a restart, but away for longer than the shortest grace of a job."""
    STALL = "stall"
    """SIGSTOP of a store: connections stand, nothing answers."""


WEIGHTS = {
    Kind.KILL: 26,
    Kind.STOP_SHORT: 10,
    Kind.STOP_LONG: 9,
    Kind.STOP_LEASE: 5,
    Kind.TERM: 14,
    Kind.FLUSH: 7,
    Kind.RESTART_REDIS: 7,
    Kind.RESTART_STORE: 8,
    Kind.OUTAGE: 3,
    Kind.STALL: 6,
}
DURATIONS = {
    Kind.KILL: (0.0, 2.0),
    Kind.STOP_SHORT: (0.5, 4.0),
    Kind.STOP_LONG: (6.0, 9.0),
    Kind.STOP_LEASE: (20.0, 30.0),
    Kind.TERM: (0.0, 1.0),
    Kind.FLUSH: (0.0, 0.0),
    Kind.RESTART_REDIS: (0.0, 3.0),
    Kind.RESTART_STORE: (0.0, 3.0),
    Kind.OUTAGE: (17.0, 22.0),
    Kind.STALL: (0.5, 6.0),
}
"""How long each lasts, in seconds, from and to."""

FIRST_OF_ALL = (Kind.KILL, Kind.FLUSH, Kind.RESTART_REDIS, Kind.TERM, Kind.STOP_LONG, Kind.RESTART_STORE)
"""What every run has, however short."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    at_seconds: float
    kind: Kind
    role: str
    seconds: float


def plan(seed: int, seconds: float, count: int) -> list[Fault]:
    """`count` faults within `seconds`, the same for the same arguments."""
    dice = random.Random(f"faults {seed}")
    kinds = list(FIRST_OF_ALL[:count])
    # What lasts long has no place in a run that does not last much longer.
    possible = {kind: weight for kind, weight in WEIGHTS.items() if DURATIONS[kind][1] < seconds / 2}
    while len(kinds) < count:
        kinds += dice.choices(list(possible), list(possible.values()))
    dice.shuffle(kinds)
    moments = sorted(dice.uniform(0, seconds) for _ in range(count))
    faults = []
    for moment, kind in zip(moments, kinds, strict=True):
        role = {
            Kind.FLUSH: "redis",
            Kind.RESTART_REDIS: "redis",
            Kind.RESTART_STORE: "store",
        }.get(kind) or dice.choice(STORES if kind in (Kind.OUTAGE, Kind.STALL) else PARTS)
        faults.append(Fault(moment, kind, role, dice.uniform(*DURATIONS[kind])))
    return faults


class Chaos:
    """Does the faults; `step` is called again and again, all by the thread that started the machine."""

    def __init__(self, machine: Machine, faults: list[Fault], seed: int, say: Callable[[str], None]) -> None:
        self.counts: Counter[Kind] = Counter()
        self.findings: list[str] = []
        """Processes that ended by themselves, or did not when asked to."""
        self._machine = machine
        self._dice = random.Random(f"victims {seed}")
        self._say = say
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ends: Counter[str] = Counter()
        self._started = time.monotonic()
        for fault in faults:
            self._later(fault.at_seconds, lambda fault=fault: self._begin(fault))  # type: ignore[misc]

    @property
    def over(self) -> bool:
        """Whether all faults are done and everything runs again."""
        return not self._agenda

    def step(self) -> None:
        """Do what is due. Raises MachineFailed when a process ends by itself again and again."""
        self._look_for_dead()
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._order), action))

    def _look_for_dead(self) -> None:
        for process in self._machine.all():
            if not process.busy and not process.running:
                code = process.child.returncode if process.child else None
                ended = f"{process.name} ended by itself with code {code}; its log ends: {process.end_of_log}"
                self.findings.append(ended)
                self._ends[process.name] += 1
                if process.role == "receiver" or self._ends[process.name] >= MOST_ENDS:
                    raise MachineFailed(ended)
                self._machine.start_again(process)

    def _begin(self, fault: Fault) -> None:
        if fault.kind is Kind.FLUSH:
            self._flush()
            return
        free = [process for process in self._machine.processes[fault.role] if not process.busy]
        if not free:
            # All of them suffer something already: a little later, then.
            self._later(0.5, lambda: self._begin(fault))
            return
        process = self._dice.choice(free)
        self._say(f"{fault.kind.value}: {process.name}, {fault.seconds:.1f} s")
        self.counts[fault.kind] += 1
        process.busy = True
        match fault.kind:
            case Kind.STOP_SHORT | Kind.STOP_LONG | Kind.STOP_LEASE | Kind.STALL:
                process.signal_all(signal.SIGSTOP)
                self._later(fault.seconds, lambda: self._go_on(process))
            case Kind.TERM:
                process.terminate()
                now = time.monotonic()
                # Before its handlers are in place it has nothing to stop, and ends by the signal itself.
                codes = {0} if now - process.started_at > SETTING_UP_SECONDS else {0, -signal.SIGTERM}
                self._await_end(process, codes, now + STOP_PATIENCE_SECONDS, fault.seconds)
            case _:
                process.kill()
                self._later(fault.seconds, lambda: self._start(process))

    def _flush(self) -> None:
        if any(process.busy for process in self._machine.processes["redis"]):
            self._later(0.5, self._flush)
            return
        try:
            self._machine.redis.flushall()
        except redis.RedisError:
            self._later(0.5, self._flush)
            return
        self._say("flush")
        self.counts[Kind.FLUSH] += 1

    def _go_on(self, process: Process) -> None:
        process.signal_all(signal.SIGCONT)
        process.busy = False

    def _start(self, process: Process) -> None:
        self._machine.start_again(process)
        process.busy = False

    def _await_end(self, process: Process, codes: set[int], deadline: float, seconds: float) -> None:
        if process.running:
            if time.monotonic() < deadline:
                self._later(0.1, lambda: self._await_end(process, codes, deadline, seconds))
                return
            self.findings.append(f"{process.name} did not end within {STOP_PATIENCE_SECONDS:g} s of SIGTERM")
            process.kill()
        elif process.child is not None and process.child.returncode not in codes:
            self.findings.append(f"{process.name} ended with code {process.child.returncode} after SIGTERM")
        self._later(seconds, lambda: self._start(process))
