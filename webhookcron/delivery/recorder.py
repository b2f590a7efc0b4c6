"""Recording: outcomes are written in groups as they come, then counted, then followed by what depends on them."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable
from webhookcron.core.executions import Finished
from webhookcron.delivery.claimer import EndedClaim
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.overlap import OverlapSlots
from webhookcron.delivery.results import CallResult, Record, ended_record, record_of
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore

log = structlog.get_logger(__name__)

LARGEST_GROUP = 250

GATHER_SECONDS = 0.1
"""Between the beginnings of two groups: a group costs four round trips to MongoDB, whatever is in it."""

LONGEST_YIELD_SECONDS = 2.0
"""So long results wait at most for the claims of a burst: calls that are due come first, their records after."""

SHORTEST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0

COUNT_SLACK = timedelta(seconds=5)
"""A group that is due for the sweep within so long is left to it: whoever was stopped after the record and comes back
when its job remembers other groups already must not count it again."""


class Recorder:
    """A thread that writes what ended. A lone result is written at once; while more come, they gather for a moment.

    `on_recorded` is told how many results have left the recorder;
    `observe` gets each group that was written, and what was written of it. Failed executions are kept `failures_kept`
    times as long as others.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: ExecutionStore,
        counter: OutcomeCounter,
        slots: OverlapSlots,
        enqueue: Callable[[Sequence[str]], None],
        now: Callable[[], datetime],
        retention: timedelta,
        dice: random.Random,
        on_recorded: Callable[[int], None],
        observe: Callable[[Sequence[CallResult | EndedClaim], Sequence[Record]], None] = lambda _g, _r: None,
        failures_kept: int = 1,
    ) -> None:
        self._observe = observe
        self._failures_kept = failures_kept
        self._jobs = jobs
        self._executions = executions
        self._counter = counter
        self._slots = slots
        self._enqueue = enqueue
        self._now = now
        self._retention = retention
        self._dice = dice
        self._on_recorded = on_recorded
        self._waiting: deque[CallResult | EndedClaim] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._urgent = False
        self._yields = False
        self._waiting_since = 0.0
        self._give_up_at: datetime | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, results: Sequence[CallResult | EndedClaim]) -> None:
        """Take what ended; any thread."""
        # A job whose next run waits for the end of this one is not to wait for a group to gather.
        urgent = any(result.holds_slot for result in results)
        with self._changed:
            before = len(self._waiting)
            if not before:
                self._waiting_since = time.monotonic()
            self._waiting.extend(results)
            self._urgent |= urgent
            if not before or urgent or before < LARGEST_GROUP <= len(self._waiting):
                self._changed.notify()

    def yield_to_claims(self, yields: bool) -> None:
        """Whether executions are being claimed that are due: for a while the store is theirs, results gather."""
        if yields == self._yields:
            return
        with self._changed:
            self._yields = yields
            if not yields and self._waiting:
                self._changed.notify()

    def close(self, timeout: timedelta) -> bool:
        """Write what is left, for at most `timeout`; False when something could not be written in time."""
        with self._changed:
            self._closing = True
            self._give_up_at = self._now() + timeout
            self._changed.notify()
        self._thread.join(timeout.total_seconds() + 5)
        return not self._waiting and not self._thread.is_alive()

    def _run(self) -> None:
        next_at = 0.0
        while (group := self._next_group(next_at)) is not None:
            next_at = time.monotonic() + GATHER_SECONDS
            if not self._write(group):
                return
            self._on_recorded(len(group))

    def _next_group(self, not_before: float) -> list[CallResult | EndedClaim] | None:
        """What to write next: at once what cannot wait or fills a group, else at `not_before`; None at the end.

        While claims come first, at most `LONGEST_YIELD_SECONDS` later.
        """
        with self._changed:
            while True:
                count = len(self._waiting)
                if self._closing and not count:
                    return None
                now = time.monotonic()
                left = not_before - now if count < LARGEST_GROUP else 0.0
                if self._yields:
                    left = max(left, self._waiting_since + LONGEST_YIELD_SECONDS - now)
                if count and (self._closing or self._urgent or left <= 0):
                    group = [self._waiting.popleft() for _ in range(min(count, LARGEST_GROUP))]
                    self._urgent &= bool(self._waiting)
                    return group
                self._changed.wait(left if count else None)

    def _write(self, group: list[CallResult | EndedClaim]) -> bool:
        """Write a group however long it takes, while the worker runs; False when it was given up."""
        ended_at = self._now()
        backoff = SHORTEST_BACKOFF_SECONDS
        while True:
            # A token of its own for each try: what an earlier one wrote of the group before MongoDB went away keeps
            # its token, by which the sweep counts it, and may have done so already. Counters take a token once, so
            # the rest needs another.
            token = secrets.token_hex(6)
            try:
                records = self._records(group, token, ended_at)
                self.record(records, token)
                self._observe(group, records)
                return True
            except StoreUnavailable as error:
                log.warning("record.unavailable", executions=len(group), reason=str(error), seconds=backoff)
            except Exception:
                # One result must not keep the others from being written, nor end the recorder. What was written
                # already is left alone by its guard; the lease of what cannot be written runs out.
                log.exception("record.failed", executions=len(group))
                if len(group) == 1:
                    return True
                written = [self._write([item]) for item in group]
                return all(written)
            with self._changed:
                self._changed.wait(backoff)
                if self._give_up_at is not None and self._now() >= self._give_up_at:
                    self._waiting.extendleft(group)
                    return False
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _records(
        self, group: Sequence[CallResult | EndedClaim], token: str, ended_at: datetime
    ) -> list[Record]:
        records: list[Record] = []
        for item in group:
            if isinstance(item, EndedClaim):
                record = ended_record(item, now=ended_at, count_token=token, retention=self._retention)
            else:
                record = record_of(
                    item,
                    ended_at=ended_at,
                    count_token=token,
                    retention=self._retention,
                    failures_kept=self._failures_kept,
                    dice=self._dice,
                )
            records.append(record)
        return records

    def record(self, records: Sequence[Record], token: str) -> None:
        """Write outcomes, count them, release slots, push what has to go on. Safe to repeat with the same token.

        An execution whose lease was taken over is left alone: its guard does not hold any more.
        """
        all_ours = self._executions.apply([record.update for record in records]) == len(records)
        counted = [record.final for record in records if record.final is not None]
        if counted and not all_ours:
            counted = self._still_ours(counted, token)
        swept_at = counted[0].check_at if counted else None
        if swept_at is not None and self._now() < swept_at - COUNT_SLACK:
            self._counter.count_group(counted, token)
        leaving = [record.final for record in records if record.holds_slot and record.final is not None]
        if leaving and not all_ours:
            leaving = self._ended(leaving)
        self._after(records, leaving)

    def _still_ours(self, finals: Sequence[Finished], token: str) -> list[Finished]:
        ours = self._executions.with_outcome([execution.id for execution in finals], token)
        return [execution for execution in finals if execution.id in ours]

    def _ended(self, finals: Sequence[Finished]) -> list[Finished]:
        """Those that are final in MongoDB too: one that another worker took over keeps its slot."""
        statuses = self._executions.statuses([execution.id for execution in finals])
        return [e for e in finals if e.id not in statuses or statuses[e.id].final]

    def _after(self, records: Sequence[Record], leaving: Sequence[Finished]) -> None:
        push = [record.update.execution_id for record in records if record.push]
        for execution in leaving:
            waiting = self._slots.leave(execution.id, execution.job_id)
            if waiting is not None:
                push.append(waiting)
        if push:
            try:
                self._enqueue(push)
            except BrokerUnavailable:
                log.warning("record.push_failed", executions=len(push))
        self._disable(records)

    def _disable(self, records: Sequence[Record]) -> None:
        now = self._now()
        suspects: set[str] = set()
        for record in records:
            if record.final is None:
                continue
            if record.may_disable:
                suspects.add(record.final.job_id)
            reason = record.disables_job
            if reason is not None and self._jobs.disable_any_version(record.final.job_id, reason, now=now):
                log.warning("job.disabled", job_id=record.final.job_id, reason=reason)
        if not suspects:
            return
        for job_id, version, failures in self._jobs.failing(sorted(suspects)):
            reason = f"{failures} executions in a row failed"
            if self._jobs.disable(job_id, version, reason, now=now) is not None:
                log.warning("job.disabled", job_id=job_id, reason=reason)
