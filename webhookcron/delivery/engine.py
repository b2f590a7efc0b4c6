"""The delivery engine of a worker process: ids in, calls out, as many at once as there is room for.

One thread claims, one (the transport's) talks to the targets, one records. A task only hands ids over.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable, TickSourceUnavailable
from webhookcron.core.jobs import host_of
from webhookcron.core.request_spec import FireContext
from webhookcron.delivery.backlog import Backlog
from webhookcron.delivery.breakers import HostBreakers, reached
from webhookcron.delivery.caller import WebhookCall, WebhookCaller
from webhookcron.delivery.claimer import Claim, Claimer
from webhookcron.delivery.in_flight import InFlight, Pace
from webhookcron.delivery.intake import OriginsOfJobs
from webhookcron.delivery.recorder import Recorder
from webhookcron.delivery.results import CallResult
from webhookcron.delivery.transport import Transport
from webhookcron.delivery.transport_types import HttpRequest, HttpResult

log = structlog.get_logger(__name__)

LARGEST_CLAIM = 100
"""Executions claimed at once: the first are on their way before the next are looked at."""

LARGEST_CLAIM_OF_OTHERS = 25
"""Executions claimed at once for hosts that are not known to be quick, while there are some for quick ones, too."""

MOST_OFFERED = 50_000
"""Ids whose origins are not looked up yet; more are left to the sweep."""

LOOK_AGAIN_SECONDS = 0.25
"""How often a full worker looks whether calls have become slow and made room."""

LULL_SECONDS = 0.03
"""A burst is over when nothing is to be claimed for so long: about what a ticker takes for a hundred executions."""

READ_AHEAD_EVERY_SECONDS = 0.5
"""How often an idle worker looks which jobs fire next, to have them at hand then."""

READ_AHEAD_AT_ONCE = 100
"""Read in some ten milliseconds, which a fire that comes meanwhile waits at most."""

MOST_UNRECORDED = 5_000
"""Results that wait to be written; beyond it nothing is claimed, so that an outage of MongoDB bounds memory."""

SHORTEST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0


class Engine:
    """`start`, then `offer` from any thread, then `stop`."""

    def __init__(
        self,
        *,
        claimer: Claimer,
        origins: OriginsOfJobs,
        caller: WebhookCaller,
        transport: Transport,
        recorder: Recorder,
        enqueue: Callable[[Sequence[str]], None],
        now: Callable[[], datetime],
        most_in_flight: int,
        most_per_host: int,
        stopping: threading.Event,
        on_broken: Callable[[], None],
        put_off: Callable[[Sequence[str], float], None],
        on_circuit: Callable[[str, float], None],
        upcoming: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """What is called back, besides `enqueue` and `now`:

        on_broken   the engine can deliver no more, and the process has to be started anew.
        put_off     these executions stay queued and come again after so many seconds.
        on_circuit  the circuit of an origin opened for so many seconds (0 = it closed).
        upcoming    the jobs (id → version) that fire next; raises TickSourceUnavailable.
        """
        self._upcoming = upcoming
        self._put_off = put_off
        self._on_circuit = on_circuit
        self._on_broken = on_broken
        self._claimer = claimer
        self._caller = caller
        self._transport = transport
        self._recorder = recorder
        self._enqueue = enqueue
        self._now = now
        self._stopping = stopping
        self._changed = threading.Condition()
        self._origins = origins
        self._offered: list[str] = []
        self._others_next = False
        self._quick_at = float("-inf")
        self._claimed_at = float("-inf")
        self._backlog = Backlog()
        self._in_flight = InFlight(most_in_flight, most_per_host)
        self._breakers = HostBreakers()
        self._circuit_changes: list[tuple[str, float]] = []
        self._ended: deque[tuple[Claim, str, int, datetime, HttpRequest | None, HttpResult]] = deque()
        self._unrecorded = 0
        transport.tell_of_pauses(self._hand_over)
        self._thread = threading.Thread(target=self._run, name="claimer", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._recorder.start()
        self._thread.start()

    def offer(self, ids: Sequence[str]) -> None:
        """Take execution ids. Those there is no room to remember stay queued in MongoDB and come again."""
        with self._changed:
            room = MOST_OFFERED - len(self._offered)
            self._offered += ids[:room]
            self._changed.notify()
        if len(ids) > room:
            log.warning("engine.intake_full", executions=len(ids) - room)

    def recorded(self, count: int) -> None:
        """So many results are written."""
        with self._changed:
            self._unrecorded -= count
            if len(self._backlog):
                self._changed.notify()

    @property
    def load(self) -> tuple[int, int, int]:
        """(calls under way, ids that wait for room, results that wait to be written)."""
        with self._changed:
            return len(self._in_flight), len(self._backlog) + len(self._offered), self._unrecorded

    def stop(self, drain: timedelta) -> None:
        """Take nothing more, let calls under way end for up to `drain`, put the rest back to queued."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(LONGEST_BACKOFF_SECONDS + 3)
        with self._changed:
            left = [*self._backlog.take_all(), *self._offered]
        if left:
            # They are queued in MongoDB anyway; pushed, they need not wait for the sweep.
            try:
                self._enqueue(left)
            except BrokerUnavailable:
                log.warning("engine.push_failed", executions=len(left))
        self._transport.close(drain.total_seconds())
        self._hand_over()
        if not self._recorder.close(timedelta(seconds=5)):
            log.error("engine.results_not_written", executions=self.load[2])

    def _run(self) -> None:
        backoff = SHORTEST_BACKOFF_SECONDS
        while True:
            try:
                batch = self._next_batch()
                if batch is None:
                    return
                self._deliver(batch)
                self._claimed_at = time.monotonic()
            except StoreUnavailable as error:
                log.warning("engine.unavailable", reason=str(error), seconds=backoff)
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
                continue
            except Exception:
                # A batch that cannot be handled must not end the worker; its executions come again by the sweep.
                log.exception("engine.batch_failed")
            backoff = SHORTEST_BACKOFF_SECONDS

    def _next_batch(self) -> list[tuple[str, str]] | None:
        """(id, origin) of what to claim next, places reserved, as soon as there is room; None to stop."""
        while True:
            idle = False
            with self._changed:
                while not self._stopping.is_set() and not self._offered and not self._circuit_changes:
                    batch = self._reserved()
                    if batch:
                        if not self._transport.closed:
                            self._recorder.yield_to_claims(True)
                            return batch
                        break
                    waiting = len(self._backlog) > 0
                    lull = self._claimed_at + LULL_SECONDS - time.monotonic()
                    if lull > 0 and not waiting:
                        self._changed.wait(lull)
                        continue
                    self._recorder.yield_to_claims(False)
                    woken = self._changed.wait(LOOK_AGAIN_SECONDS if waiting else READ_AHEAD_EVERY_SECONDS)
                    if idle := not woken and not waiting:
                        break
                offered, self._offered = self._offered, []
            if self._stopping.is_set():
                with self._changed:
                    self._offered += offered
                return None
            if self._transport.closed:
                # Nothing is claimed yet: the ids stay queued for other workers.
                log.critical("engine.transport_ended", reason="the worker stops, to be started anew")
                self._on_broken()
                return None
            try:
                self._tell_circuits()
                if offered:
                    self._line_up(offered)
            except StoreUnavailable:
                self.offer(offered)
                raise
            if idle and not offered:
                self._read_ahead()

    def _read_ahead(self) -> None:
        """Read the jobs that fire next, as long as nothing else is to be done."""
        try:
            unknown = list(self._claimer.prepared.unknown(self._upcoming()).items())
            for start in range(0, len(unknown), READ_AHEAD_AT_ONCE):
                if self._offered or self._circuit_changes or self._stopping.is_set():
                    return
                prepared = self._claimer.prepared.get(dict(unknown[start : start + READ_AHEAD_AT_ONCE]))
                for job_id, job in prepared.items():
                    self._origins.learn(job_id, job.origin)
        except (StoreUnavailable, TickSourceUnavailable):
            # Nothing is lost: the jobs are read when they fire.
            log.debug("engine.read_ahead_unavailable")

    def _line_up(self, offered: list[str]) -> None:
        """Raises StoreUnavailable; then nothing is lined up yet."""
        lined_up = self._put_off_open(self._origins.of(offered))
        with self._changed:
            dropped = self._backlog.add(lined_up)
        if dropped:
            log.warning("engine.backlog_full", executions=dropped)

    def _put_off_open(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Put off those of (id, origin) whose origins are to be left alone; the others. Raises StoreUnavailable."""
        others: list[tuple[str, str]] = []
        waits: dict[float, list[str]] = defaultdict(list)
        clock = time.monotonic()
        with self._changed:
            for execution_id, origin in pairs:
                if wait := self._breakers.wait_of(origin, clock):
                    waits[wait].append(execution_id)
                else:
                    others.append((execution_id, origin))
        for wait, ids in waits.items():
            self._put_off(ids, wait)
        return others

    def _tell_circuits(self) -> None:
        """Tell of circuits that opened or closed, and put off what waits for origins whose circuit opened."""
        if not self._circuit_changes:
            return
        with self._changed:
            changes, self._circuit_changes = self._circuit_changes, []
            waiting = [
                (i, origin) for origin, pause in changes if pause for i in self._backlog.take_host(origin)
            ]
        for origin, pause in changes:
            self._on_circuit(origin, pause)
        try:
            self.offer([execution_id for execution_id, _ in self._put_off_open(waiting)])
        except StoreUnavailable:
            self.offer([execution_id for execution_id, _ in waiting])
            raise

    def _reserved(self) -> list[tuple[str, str]]:
        self._in_flight.look_at_slow_ones(time.monotonic())
        if not len(self._backlog) or self._unrecorded >= MOST_UNRECORDED:
            return []
        # In turn, and few of the others at once while quick ones come: loading their jobs must not keep these waiting.
        clock = time.monotonic()
        of_others = LARGEST_CLAIM_OF_OTHERS if clock - self._quick_at < LOOK_AGAIN_SECONDS else LARGEST_CLAIM
        for quick in (not self._others_next, self._others_next):
            limit = min(self._in_flight.room(), LARGEST_CLAIM if quick else of_others)
            batch = self._backlog.take(limit, self._reserve_quick if quick else self._reserve_other)
            if batch:
                self._others_next = quick
                if quick:
                    self._quick_at = clock
                return batch
        return []

    def _reserve_quick(self, origin: str, wanted: int) -> int:
        quick = self._in_flight.pace_of(host_of(origin)) is Pace.QUICK
        return self._reserve(origin, wanted) if quick else 0

    def _reserve_other(self, origin: str, wanted: int) -> int:
        quick = self._in_flight.pace_of(host_of(origin)) is Pace.QUICK
        return 0 if quick else self._reserve(origin, wanted)

    def _reserve(self, origin: str, wanted: int) -> int:
        host = host_of(origin)
        room = self._in_flight.reserve(host, wanted)
        admitted = self._breakers.admit(origin, room, time.monotonic())
        if admitted < room:
            self._in_flight.release(host, room - admitted)
        return admitted

    def _deliver(self, batch: Sequence[tuple[str, str]]) -> None:
        try:
            claimed = self._claimer.claim([execution_id for execution_id, _ in batch])
        except BaseException as error:
            with self._changed:
                self._release(batch)
                if isinstance(error, StoreUnavailable):
                    self._backlog.add(batch)
            raise
        if claimed.left:
            self.offer(claimed.left)
        failed: list[CallResult] = []
        calls: list[WebhookCall] = []
        started_at = self._now()
        # Whoever was stopped since the claim may find that another worker has the execution by now.
        held = [claim for claim in claimed.calls if claim.lease_until > started_at]
        if len(held) < len(claimed.calls):
            log.warning("engine.leases_over", executions=len(claimed.calls) - len(held))
        with self._changed:
            self._release(batch)
            self._unrecorded += len(held) + len(claimed.ended)
            clock = time.monotonic()
            for claim in held:
                prepared = claim.prepared
                origin = prepared.origin
                self._origins.learn(claim.execution.job_id, origin)
                if prepared.template is None:
                    result = HttpResult(failure=prepared.failure)
                    failed.append(CallResult(claim, None, result, started_at, started_at))
                    continue
                call = self._in_flight.start(host_of(origin), clock)
                on_done = self._on_done(claim, origin, call, started_at)
                calls.append(WebhookCall(prepared.template, _context(claim), on_done))
        self._caller.call_many(calls)
        # Calls that could not be made have ended on this thread.
        self._hand_over()
        if claimed.ended or failed:
            self._recorder.put([*claimed.ended, *failed])

    def _release(self, batch: Sequence[tuple[str, str]]) -> None:
        for host, places in Counter(host_of(origin) for _, origin in batch).items():
            self._in_flight.release(host, places)

    def _on_done(
        self, claim: Claim, origin: str, call: int, started_at: datetime
    ) -> Callable[[HttpRequest | None, HttpResult], None]:
        ended = self._ended
        return lambda request, result: ended.append((claim, origin, call, started_at, request, result))

    def _hand_over(self) -> None:
        """Free the places of calls that have ended, and have their results recorded; several at once, any thread."""
        results: list[CallResult] = []
        with self._changed:
            if not self._ended:
                return
            clock, ended_at = time.monotonic(), self._now()
            circuits = len(self._circuit_changes)
            while self._ended:
                claim, origin, call, started_at, request, result = self._ended.popleft()
                self._in_flight.end(call, clock, answered=_answered(request, result))
                pause = self._breakers.ended(origin, reached(request, result), clock)
                if pause is not None:
                    self._circuit_changes.append((origin, pause))
                results.append(CallResult(claim, request, result, started_at, ended_at))
            if len(self._backlog) or len(self._circuit_changes) > circuits:
                self._changed.notify()
        self._recorder.put(results)


def _answered(request: HttpRequest | None, result: HttpResult) -> bool | None:
    """Whether the call's own host answered; None when nothing was sent to it, as without an OAuth token."""
    if result.status is not None or result.redirects:
        return True
    return None if request is None else False


def _context(claim: Claim) -> FireContext:
    execution = claim.execution
    return FireContext(
        job_id=execution.job_id,
        job_name=execution.job_name,
        execution_id=execution.id,
        scheduled_at=execution.scheduled_at,
        attempt=execution.attempt_count + 1,
        trigger=execution.trigger.value,
    )
