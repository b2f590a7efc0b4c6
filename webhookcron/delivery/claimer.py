"""Claiming: from execution ids to calls that this worker holds a lease on, judged by their jobs as they are now."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from webhookcron.core.claims import Ending, judge_claim
from webhookcron.core.errors import CorruptDocument, StoreUnavailable
from webhookcron.core.executions import LEASE_MARGIN, Execution, ExecutionStatus, Reason, Trigger, job_id_of
from webhookcron.core.jobs import OverlapPolicy
from webhookcron.delivery.overlap import OverlapSlots
from webhookcron.delivery.prepared import MISSING_LEASE, PreparedJob, PreparedJobs
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import ClaimState, JobStore

_TRY_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution that this worker holds, and what it needs to be run."""

    execution: Execution
    prepared: PreparedJob
    token: str
    lease_until: datetime
    holds_slot: bool = False
    """Whether its end has to release the job's overlap slot."""


@dataclass(frozen=True, slots=True)
class EndedClaim:
    """A claimed execution that ends without being run."""

    execution: Execution
    token: str
    ending: Ending
    retention_days: int | None


@dataclass(slots=True)
class Claimed:
    """What became of a batch: calls to make, and executions that end without."""

    calls: list[Claim] = field(default_factory=list)
    ended: list[EndedClaim] = field(default_factory=list)


class Claimer:
    """Claims in batches; used by one thread. Raises StoreUnavailable: then the ids may be offered again."""

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
        """Take those of `ids` that are queued, and say what to do with each."""
        states = self._jobs.claim_states(list(dict.fromkeys(job_id_of(i) for i in ids)))
        readable = {job_id: s for job_id, s in states.items() if isinstance(s, ClaimState)}
        prepared = self.prepared.get({job_id: state.version for job_id, state in readable.items()})
        claimed = Claimed()
        for timeout, group in _by_timeout(ids, prepared).items():
            token = secrets.token_hex(8)
            lease_until = self._now() + timeout + LEASE_MARGIN
            for execution in self._take(group, token, lease_until):
                state = states.get(execution.job_id)
                if isinstance(state, CorruptDocument):
                    # Neither run nor ended by guesswork: the lease runs out, and an operator reads the log.
                    continue
                self._judge(execution, state, prepared.get(execution.job_id), token, lease_until, claimed)
        return claimed

    def _take(self, ids: Sequence[str], token: str, lease_until: datetime) -> list[Execution]:
        while True:
            try:
                self._executions.claim(ids, token, now=self._now(), lease_until=lease_until)
                executions = self._executions.claimed(ids, token)
                break
            except StoreUnavailable:
                # It may have happened and only the reply was lost: repeated with the same token, while the lease is
                # worth anything.
                if self._pause(_TRY_AGAIN_SECONDS) or self._now() > lease_until - LEASE_MARGIN:
                    raise
        executions.sort(key=lambda execution: execution.scheduled_at)
        return executions

    def _judge(
        self,
        execution: Execution,
        state: ClaimState | None,
        prepared: PreparedJob | None,
        token: str,
        lease_until: datetime,
        claimed: Claimed,
    ) -> None:
        if prepared is None:
            state = None  # Gone since its state was read.
        job = None if prepared is None else prepared.job
        ending = judge_claim(execution, state, None if job is None else job.schedule)
        holds_slot = False
        if ending is None and state is not None and _overlaps_count(execution, state):
            verdict = self._slots.enter(execution, token, state)
            if verdict is None:
                return  # It waits for the one under way.
            holds_slot = verdict
            if not verdict:
                ending = Ending(ExecutionStatus.SKIPPED, Reason.OVERLAP)
        if ending is not None:
            retention_days = None if job is None else job.policies.retention_days
            claimed.ended.append(EndedClaim(execution, token, ending, retention_days))
            return
        assert prepared is not None
        claimed.calls.append(Claim(execution, prepared, token, lease_until, holds_slot))


def _overlaps_count(execution: Execution, state: ClaimState) -> bool:
    return execution.trigger is Trigger.SCHEDULE and state.overlap_policy is not OverlapPolicy.ALLOW


def _by_timeout(ids: Sequence[str], prepared: dict[str, PreparedJob]) -> dict[timedelta, list[str]]:
    """The ids by the deadline of their jobs: each group gets a lease of its own length."""
    groups: dict[timedelta, list[str]] = defaultdict(list)
    for execution_id in ids:
        job = prepared.get(job_id_of(execution_id))
        groups[MISSING_LEASE if job is None else job.timeout].append(execution_id)
    return groups
