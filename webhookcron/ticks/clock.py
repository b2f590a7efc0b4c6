"""Platform time: Redis TIME, carried by the local monotonic clock between readings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from redis import Redis

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.executions import EPOCH
from webhookcron.ticks.client import driver_errors_translated

READ_AGAIN_AFTER = timedelta(seconds=10)
"""A reading is carried so long before the next one: quartz drifts by well under a millisecond in that time."""

JUMP = timedelta(seconds=5)
"""A reading that differs from the carried time by more is a jump: it is reported and read again before use."""


SLOWEST_READING = timedelta(milliseconds=500)
"""A reply that took longer may have waited for this process itself (stopped, or starved): it is asked for once more."""


class PlatformClock:
    """The one clock of all stored decisions; the machine's own wall clock is never asked.

    Readings come from `read()`, or from replies that bring the time along (`observe`). Thread-safe.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        on_jump: Callable[[timedelta], None] | None = None,
    ) -> None:
        self._redis = redis
        self._monotonic = monotonic
        self._on_jump = on_jump
        self._lock = threading.Lock()
        self._reading: datetime | None = None
        self._read_at = 0.0
        self._refreshing = False

    def now(self) -> datetime:
        """Platform time, aware UTC.

        Raises TickSourceUnavailable only while there has never been a reading; afterwards the last one is carried
        on, so that what does not need Redis goes on while it is away.
        """
        with self._lock:
            reading, age = self._reading, self._monotonic() - self._read_at
            stale = reading is not None and age > READ_AGAIN_AFTER.total_seconds() and not self._refreshing
            if stale:
                self._refreshing = True
        if reading is None:
            return self.read()
        if stale:
            # On a thread of its own: whoever asks for the time must not wait for a Redis that is away.
            threading.Thread(target=self._refresh, name="clock", daemon=True).start()
        return reading + timedelta(seconds=age)

    def _refresh(self) -> None:
        try:
            self.read()
        except TickSourceUnavailable:
            with self._lock:
                # Carried on and asked again later.
                self._reading, self._read_at = self._carried(), self._monotonic()
        finally:
            with self._lock:
                self._refreshing = False

    def _carried(self) -> datetime | None:
        return (
            None
            if self._reading is None
            else self._reading + timedelta(seconds=self._monotonic() - self._read_at)
        )

    def read(self) -> datetime:
        """Ask Redis. Raises TickSourceUnavailable when it is away."""
        moment, took = self._ask()
        if took > SLOWEST_READING:
            moment, took = self._ask()
        # The reply is half a round trip old.
        return self.observe(moment + took / 2)

    def _ask(self) -> tuple[datetime, timedelta]:
        """What Redis says, and how long it took."""
        before = self._monotonic()
        with driver_errors_translated():
            seconds, microseconds = self._redis.time()
        took = timedelta(seconds=self._monotonic() - before)
        return EPOCH + timedelta(seconds=int(seconds), microseconds=int(microseconds)), took

    def observe(self, moment: datetime) -> datetime:
        """Take over a reading that just came; the time from now on. A jump is reported once."""
        with self._lock:
            now = self._monotonic()
            carried = (
                None if self._reading is None else self._reading + timedelta(seconds=now - self._read_at)
            )
            self._reading, self._read_at = moment, now
        if carried is not None and abs(moment - carried) > JUMP and self._on_jump is not None:
            self._on_jump(moment - carried)
        return moment
