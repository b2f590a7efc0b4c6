"""What has to be done now and then, by one process of many: in a thread of every ticker, in turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable, TickSourceUnavailable
from webhookcron.ticks.turns import Turn

log = structlog.get_logger(__name__)

TURN = timedelta(seconds=10)
"""A turn lapses when its holder does not come back: then another instance does the chores."""

LOOK_EVERY_SECONDS = 0.5

LONGEST_BACKOFF_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing to do every `every`; safe to repeat and to run twice at once, since the turn only saves work."""

    name: str
    every: timedelta
    do: Callable[[datetime], bool]
    """Does a piece of it at a moment of platform time; True when there is more to do at once."""


class Chores:
    """Does chores until stopped. One that fails is told, waits a little longer, and holds up no other."""

    def __init__(
        self,
        chores: Sequence[Chore],
        *,
        hold_turn: Callable[[str, str, timedelta], bool],
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`hold_turn(name, token, length)` says whether this instance may; it may raise TickSourceUnavailable."""
        self._chores = chores
        self._turn = Turn("chores", TURN, hold_turn, monotonic)
        self._now = now
        self._monotonic = monotonic
        self._due = {chore.name: monotonic() for chore in chores}
        self._failures = dict.fromkeys(self._due, 0)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            if not self.step():
                stop.wait(LOOK_EVERY_SECONDS)

    def step(self) -> bool:
        """Do what is due, if it is this instance's turn; whether one of the chores wants to go on at once."""
        due = [chore for chore in self._chores if self._due[chore.name] <= self._monotonic()]
        if not due or not self._is_our_turn():
            return False
        more = False
        for chore in due:
            more = self._do(chore) or more
        return more

    def _is_our_turn(self) -> bool:
        try:
            return self._turn.held()
        except TickSourceUnavailable:
            # The ticker tells of it; nothing here is lost by waiting.
            return False

    def _do(self, chore: Chore) -> bool:
        more, wait = False, chore.every.total_seconds()
        try:
            more = chore.do(self._now())
            self._failures[chore.name] = 0
        except (StoreUnavailable, TickSourceUnavailable, BrokerUnavailable) as error:
            wait = self._failed(chore, wait)
            log.warning("chore.unavailable", chore=chore.name, reason=str(error), seconds=wait)
        except Exception:
            wait = self._failed(chore, wait)
            log.exception("chore.failed", chore=chore.name)
        self._due[chore.name] = self._monotonic() + (0.0 if more else wait)
        return more

    def _failed(self, chore: Chore, every: float) -> float:
        self._failures[chore.name] += 1
        return max(every, min(LONGEST_BACKOFF_SECONDS, 0.5 * self._failures[chore.name]))
