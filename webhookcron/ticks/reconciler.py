"""The reconciler of a ticker process: its two loops, one instance at a time by a lock that only saves work."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.comparison import Compared, FullComparison
from webhookcron.ticks.source import TickSource
from webhookcron.ticks.sweep import Sweep, Swept
from webhookcron.ticks.turns import Turn

log = structlog.get_logger(__name__)

SWEEP_EVERY = timedelta(milliseconds=500)
TURN = timedelta(seconds=3)
"""The turn lapses when its holder does not come back: then another instance sweeps."""

COMPARISON_TURN = timedelta(seconds=30)

LOOK_EVERY_SECONDS = 0.5
"""How often it is looked at whether a comparison is wanted."""

SHORTEST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 2.0


class Reconciler:
    """Sweeps twice a second, and compares the whole mirror at start, by interval, and when asked to."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        source: TickSource,
        clock: PlatformClock,
        sweep: Sweep,
        comparison: FullComparison,
        compare_every: timedelta,
        on_swept: Callable[[Swept], None] = lambda _swept: None,
        on_compared: Callable[[Compared], None] = lambda _compared: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_swept = on_swept
        self._on_compared = on_compared
        self._jobs = jobs
        self._source = source
        self._clock = clock
        self._sweep = sweep
        self._comparison = comparison
        self._compare_every = compare_every.total_seconds()
        self._monotonic = monotonic
        self._token = secrets.token_hex(8)
        self._sweeping = Turn("sweep", TURN, source.hold_turn, monotonic)
        self._compare_now = threading.Event()
        self._compared_at: float | None = None
        self._server_run: str | None = None

    def rebuild(self) -> None:
        """The mirror is incomplete: compare it as soon as possible."""
        self._compare_now.set()

    def run(self, stop: threading.Event) -> None:
        """Reconcile until `stop` is set; what MongoDB or Redis being away interrupts is begun again."""
        comparing = threading.Thread(target=self._compare_loop, args=(stop,), name="comparison", daemon=True)
        comparing.start()
        backoff = SHORTEST_BACKOFF_SECONDS
        while not stop.is_set():
            try:
                more = self.sweep_once()
            except (StoreUnavailable, TickSourceUnavailable) as error:
                log.warning("sweep.unavailable", reason=str(error), seconds=backoff)
            except Exception:
                # Whatever one document did to this sweep: the loop must outlive it.
                log.exception("sweep.failed")
            else:
                backoff = SHORTEST_BACKOFF_SECONDS
                if not more:
                    stop.wait(SWEEP_EVERY.total_seconds())
                continue
            stop.wait(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        comparing.join(timeout=5)

    def sweep_once(self) -> bool:
        """One sweep, if it is this instance's turn; whether there is more to do at once."""
        if not self._sweeping.held():
            return False
        swept = self._sweep.run(self._clock.now())
        self._on_swept(swept)
        return swept.more

    def _compare_loop(self, stop: threading.Event) -> None:
        backoff = SHORTEST_BACKOFF_SECONDS
        while not stop.is_set():
            try:
                self.compare_if_wanted(stop)
            except (StoreUnavailable, TickSourceUnavailable) as error:
                log.warning("comparison.unavailable", reason=str(error), seconds=backoff)
            except Exception:
                log.exception("comparison.failed")
            else:
                backoff = SHORTEST_BACKOFF_SECONDS
                self._compare_now.wait(LOOK_EVERY_SECONDS)
                continue
            stop.wait(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def compare_if_wanted(self, stop: threading.Event) -> None:
        """Compare when it is time to, when the mirror is incomplete, or was compared under another run of Redis.

        The run is kept in Redis: whoever holds the turn may die over its comparison, and then another one goes on.
        """
        server_run, compared_run = self._source.runs()
        other_run = compared_run != server_run
        due = self._compared_at is None or self._monotonic() - self._compared_at >= self._compare_every
        incomplete = self._compare_now.is_set() and self._source.generation() is None
        self._compare_now.clear()
        if other_run and self._server_run not in (None, server_run):
            log.warning("comparison.redis_restarted")
        if due or other_run or incomplete:
            if self.compare_once(stop):
                self._compared_at = self._monotonic()
            elif due:
                # Another ticker is at it; should it die over that, the next interval is soon enough.
                self._compared_at = self._monotonic()
        self._server_run = server_run

    def compare_once(self, stop: threading.Event) -> bool:
        """One full comparison, with a line in the log when it mended something; False when another ticker is at it."""
        if not self._source.hold_turn("compare", self._token, COMPARISON_TURN):
            return False
        started = self._monotonic()
        compared = self._comparison.run(stop)
        self._source.end_turn("compare", self._token)
        self._on_compared(compared)
        for job in compared.completed:
            version = self._jobs.complete(job, "schedule over", now=self._clock.now())
            if version is not None:
                self._source.remove([(job.id, version)])
        say = log.info if compared.repaired else log.debug
        say(
            "comparison.done",
            jobs=compared.jobs,
            missing=compared.missing,
            moved=compared.moved,
            removed=compared.removed,
            seconds=round(self._monotonic() - started, 3),
        )
        if not compared.complete and not stop.is_set():
            log.warning("comparison.repeated", reason="Redis lost its data meanwhile")
            self._compare_now.set()
        return True
