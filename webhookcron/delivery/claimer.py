"""Claiming: from execution ids to calls that this worker holds a lease on, judged by their jobs as they are now."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from webhookcron.core.claims import Ending, judge_claim
from webhookcron.core.errors import CorruptDocument, StoreUnavailable
from webhookcron.core.executions import (
    LEASE_MARGIN,
    ClaimedExecution,
    ExecutionStatus,
    Reason,
    Trigger,
    job_id_of,
)
from webhookcron.core.jobs import OverlapPolicy
from webhookcron.delivery.overlap import Entry, OverlapSlots
from webhookcron.delivery.prepared import MISSING_LEASE, PreparedJob, PreparedJobs
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import ClaimState, JobStore

log = structlog.get_logger(__name__)

T = TypeVar("T")

_TRY_AGAIN_SECONDS = 0.5

LEASE_SLACK = timedelta(seconds=10)
"""How much of `LEASE_MARGIN` has to be left for the recording when a call begins."""


@dataclass(slots=True)
class Claim:
    """An execution that this worker holds, and what it needs to be run. Treated as immutable, as all made per fire."""

    execution: ClaimedExecution
    prepared: PreparedJob
    token: str
    lease_until: datetime
    holds_slot: bool = False
    """Whether its end has to release the job's overlap slot."""


@dataclass(frozen=True, slots=True)
class EndedClaim:
    """A claimed execution that ends without being run."""

    execution: ClaimedExecution
    token: str
    ending: Ending
    retention_days: int | None
    holds_slot: bool = False
    """Whether its end has to release the job's overlap slot."""


@dataclass(slots=True)
class Claimed:
    """What became of a batch: calls to make, and executions that end without."""

    calls: list[Claim] = field(default_factory=list)
    ended: list[EndedClaim] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Ids that MongoDB went away over: to be offered again."""


class Claimer:
    """Claims in batches; used by one thread."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        executions: ExecutionStore,
        slots: OverlapSlots,
        now: Callable[[], datetime],
        pause: Callable[[float], bool],
    ) -> None:
        """`pause` waits for some seconds and says whether the worker is to stop."""
        self._pause = pause
        self._jobs = jobs
        self._executions = executions
        self._slots = slots
        self._now = now
        self.prepared = PreparedJobs(jobs)

    def claim(self, ids: Sequence[str]) -> Claimed:
        """Take those of `ids` that are queued, and say what to do with each.

        Raises StoreUnavailable while nothing is claimed yet: then all of `ids` may be offered again.
        """
        states = self._jobs.claim_states(list(dict.fromkeys(job_id_of(i) for i in ids)))
        readable = {job_id: s for job_id, s in states.items() if isinstance(s, ClaimState)}
        prepared = self.prepared.get({job_id: state.version for job_id, state in readable.items()})
        claimed = Claimed()
        groups = list(_by_timeout(ids, prepared).items())
        for number, (timeout, group) in enumerate(groups):
            try:
                self._claim_group(group, timeout, states, prepared, claimed)
            except StoreUnavailable as error:
                claimed.left = [execution_id for _, rest in groups[number:] for execution_id in rest]
                log.warning("claim.unavailable", executions=len(claimed.left), reason=str(error))
                break
        return claimed

    def _claim_group(
        self,
        ids: Sequence[str],
        timeout: timedelta,
        states: Mapping[str, ClaimState | CorruptDocument],
        prepared: Mapping[str, PreparedJob],
        claimed: Claimed,
    ) -> None:
        token = secrets.token_hex(8)
        for execution, lease_until in self._take(ids, token, timeout):
            state = states.get(execution.job_id)
            if isinstance(state, CorruptDocument):
                # Neither run nor ended by guesswork: the lease runs out, and an operator reads the log.
                continue
            self._judge(execution, state, prepared.get(execution.job_id), token, lease_until, claimed)

    def _take(
        self, ids: Sequence[str], token: str, timeout: timedelta
    ) -> Iterator[tuple[ClaimedExecution, datetime]]:
        """Those of `ids` that `token` holds now, in the order of their fire times, and until when."""
        lease_until = self._now() + timeout + LEASE_MARGIN
        # A lone fire is claimed in one step: it has nobody to share a round trip with.
        alone = len(ids) == 1

        def take() -> list[ClaimedExecution]:
            nonlocal alone
            if alone:
                alone = False
                return self._executions.claim_one(ids[0], token, now=self._now(), lease_until=lease_until)
            self._executions.claim(ids, token, now=self._now(), lease_until=lease_until)
            return self._executions.claimed(ids, token)

        executions = self._patiently(take, lease_until)
        if executions and self._now() > lease_until - timeout - LEASE_SLACK:
            # MongoDB was away in between: what is left of the lease would not cover the call.
            lease_until = self._now() + timeout + LEASE_MARGIN
            self._patiently(lambda: self._executions.extend(ids, token, lease_until), lease_until)
        executions.sort(key=lambda execution: execution.scheduled_at)
        for execution in executions:
            yield execution, lease_until

    def _patiently(self, step: Callable[[], T], lease_until: datetime) -> T:
        """Do a step that may be repeated until MongoDB answers, as long as the lease is worth anything.

        It may have happened and only the reply was lost, so it is repeated as it was, with the same token.
        """
        while True:
            try:
                return step()
            except StoreUnavailable:
                if self._pause(_TRY_AGAIN_SECONDS) or self._now() > lease_until - LEASE_MARGIN:
                    raise

    def _judge(
        self,
        execution: ClaimedExecution,
        state: ClaimState | None,
        prepared: PreparedJob | None,
        token: str,
        lease_until: datetime,
        claimed: Claimed,
    ) -> None:
        if prepared is None:
            state = None  # Gone since its state was read.
        job = None if prepared is None else prepared.job
        # A rule that came into force since the state was read says nothing about the fire times of the one before.
        same = job is not None and state is not None and job.version == state.version
        ending = judge_claim(execution, state, job.schedule if job is not None and same else None)
        holds_slot = state is not None and state.active == execution.id
        if ending is None and state is not None and _overlaps_count(execution, state):
            judged = state
            match self._patiently(lambda: self._slots.enter(execution, judged), lease_until):
                case Entry.RUN:
                    holds_slot = True
                case Entry.WAIT:
                    self._patiently(lambda: self._slots.put_to_wait(execution, token), lease_until)
                    return
                case Entry.SKIP:
                    ending = Ending(ExecutionStatus.SKIPPED, Reason.OVERLAP)
        if ending is not None:
            retention_days = None if job is None else job.retention_days
            claimed.ended.append(EndedClaim(execution, token, ending, retention_days, holds_slot))
            return
        assert prepared is not None
        claimed.calls.append(Claim(execution, prepared, token, lease_until, holds_slot))


def _overlaps_count(execution: ClaimedExecution, state: ClaimState) -> bool:
    return execution.trigger is Trigger.SCHEDULE and state.overlap_policy is not OverlapPolicy.ALLOW


def _by_timeout(ids: Sequence[str], prepared: Mapping[str, PreparedJob]) -> dict[timedelta, list[str]]:
    """The ids by the deadline of their jobs: each group gets a lease of its own length."""
    groups: dict[timedelta, list[str]] = defaultdict(list)
    for execution_id in ids:
        job = prepared.get(job_id_of(execution_id))
        groups[MISSING_LEASE if job is None else job.timeout].append(execution_id)
    return groups
