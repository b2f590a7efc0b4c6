"""The ticker's loop: look, fire, sleep until something is due. Any number of tickers run side by side."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.ticks.clock import SLOWEST_READING, PlatformClock
from webhookcron.ticks.fire_steps import Fired
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import Tick, TickSource

log = structlog.get_logger(__name__)

SLICE = 500
"""Fires taken at once: the first ones are on their way before the rest is looked at."""

SHORTEST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0

LONGEST_GAP_SECONDS = 0.1
"""The gap from a thousand fires a second on: some hundred of them share what a tick, a push and a claim cost."""

GAP_GROWTH = 1.6
"""Below that it falls faster than the load, so that few fires hardly wait: 8 ms at 200 a second, 0.4 ms at 30."""

LOCKED_LOOK_SECONDS = 0.1
"""Everything due is held by other tickers: look again after this."""


PREPARE_BEFORE_SECONDS = 0.5
"""With more time than this until something is due, it is read ahead."""

PREPARED_SPAN = timedelta(seconds=1)
"""So much of what follows the next moment is read ahead with it."""

STOP_PREPARING_SECONDS = 0.2


class Pace:
    """How long to gather fires before the next tick, by how many there were lately.

    A lone fire is never waited for: the gap runs from the last tick. It grows with the load, up to
    `LONGEST_GAP_SECONDS` at a thousand fires a second, so that what a tick costs is shared by some fifty of them.
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._ticked_at = float("-inf")

    def ticked(self, now: float, fires: int) -> None:
        """A tick at `now` (seconds, monotonic) brought so many fires."""
        elapsed = min(max(now - self._ticked_at, 1e-3), 1.0)
        # Forgets what was before in about half a second.
        weight = min(1.0, elapsed / 0.5)
        self._rate += (fires / elapsed - self._rate) * weight
        self._ticked_at = now

    @property
    def gap_seconds(self) -> float:
        """The least time from one tick that brings fires to the next."""
        return LONGEST_GAP_SECONDS * float(min(1.0, self._rate / 1000) ** GAP_GROWTH)


class Ticker:
    """One ticker: `run` until stopped, or `step` by hand.

    `rebuild_wanted` is called when the mirror's generation marker is gone, `observe` with what each tick came to.
    """

    def __init__(
        self,
        *,
        source: TickSource,
        scheduler: Scheduler,
        clock: PlatformClock,
        longest_sleep: timedelta,
        rebuild_wanted: Callable[[], None],
        observe: Callable[[Tick, Fired], None] = lambda _tick, _fired: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._scheduler = scheduler
        self._clock = clock
        self._longest_sleep = longest_sleep.total_seconds()
        self._rebuild_wanted = rebuild_wanted
        self._observe = observe
        self._monotonic = monotonic
        self._token = secrets.token_hex(8)
        self._pace = Pace()
        self._prepared_for: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set; ends the tick under way and writes the cursors before it returns."""
        backoff = SHORTEST_BACKOFF_SECONDS
        away = False
        while not stop.is_set():
            try:
                pause = self.step()
            except Exception as error:
                if not isinstance(error, StoreUnavailable | TickSourceUnavailable):
                    # Unforeseen: a process that ends here would only come back and meet the same again.
                    log.exception("tick.failed")
                elif not away:
                    log.warning("tick.unavailable", reason=str(error))
                away = True
                stop.wait(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
                continue
            if away:
                log.info("tick.available")
            backoff, away = SHORTEST_BACKOFF_SECONDS, False
            if pause > 0:
                stop.wait(pause)
        try:
            self._scheduler.cursors.flush()
        except StoreUnavailable as error:
            log.warning("tick.flush_failed", reason=str(error))

    def step(self) -> float:
        """One tick; how many seconds to sleep before the next one, 0 = none."""
        asked_at = self._monotonic()
        tick = self._source.tick(self._token, limit=SLICE, expected_now=self._expected_now())
        if tick.jumped:
            # Taken over as it is and read again before anything fires.
            self._clock.observe(tick.now)
            return 0.0
        if self._monotonic() - asked_at <= SLOWEST_READING.total_seconds():
            self._clock.observe(tick.now)
        if tick.generation is None:
            self._rebuild_wanted()
        if tick.due:
            self._pace.ticked(self._monotonic(), len(tick.due))
        fired = self._scheduler.fire(tick.due, tick.now) if tick.due else Fired()
        self._observe(tick, fired)
        flush_in = self._scheduler.cursors.due_in_seconds
        if flush_in is not None and flush_in <= 0:
            self._scheduler.cursors.flush()
        return self._pause(tick, fired)

    def _expected_now(self) -> datetime | None:
        try:
            return self._clock.now()
        except TickSourceUnavailable:
            return None

    def _prepare(self, next_act_at: datetime) -> None:
        """Read ahead what is due next, once, when it is due within the next sleep and not at once."""

        def left() -> float:
            return (next_act_at - self._clock.now()).total_seconds()

        if (
            next_act_at == self._prepared_for
            or not PREPARE_BEFORE_SECONDS < left() <= 2 * self._longest_sleep
        ):
            return
        self._prepared_for = next_act_at
        self._scheduler.prepare(next_act_at + PREPARED_SPAN, lambda: left() > STOP_PREPARING_SECONDS)

    def _pause(self, tick: Tick, fired: Fired) -> float:
        if fired.failed:
            return LOCKED_LOOK_SECONDS
        if len(tick.due) >= SLICE:
            return 0.0
        if tick.due:
            # Their next fire times are not in `next_act_at`, and may be due already.
            return self._pace.gap_seconds
        if tick.looked_at:
            return LOCKED_LOOK_SECONDS
        longest = self._longest_sleep
        flush_in = self._scheduler.cursors.due_in_seconds
        if flush_in is not None:
            longest = min(longest, max(flush_in, 0.0))
        if tick.next_act_at is None:
            return longest
        self._prepare(tick.next_act_at)
        until = (tick.next_act_at - self._clock.now()).total_seconds()
        return min(max(until, self._pace.gap_seconds), longest)
