"""From the result of a call to what is recorded of it: pure, with `now` and dice passed in."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from webhookcron.core.executions import (
    ExecutionStatus,
    Finished,
    from_ms,
    recheck_after,
    to_ms,
)
from webhookcron.core.outcomes import FailureKind, Outcome, OutcomeStatus
from webhookcron.core.retries import RetryPolicy, next_attempt_at, parse_retry_after
from webhookcron.delivery.attempts import attempt_of
from webhookcron.delivery.claimer import Claim, EndedClaim
from webhookcron.delivery.transport_types import HttpRequest, HttpResult
from webhookcron.storage.execution_documents import attempt_document
from webhookcron.storage.executions import GuardedUpdate

_RUNNING = ExecutionStatus.RUNNING.value
_FINAL_OF = {status: ExecutionStatus(status.value) for status in OutcomeStatus}

COUNT_GRACE = timedelta(seconds=15)
"""An outcome that its job's counters do not hold after so long is counted by the sweep."""


@dataclass(slots=True)
class CallResult:
    """A call that has ended. (One is made per fire: not frozen, since that would triple what it costs.)"""

    claim: Claim
    request: HttpRequest | None
    """As it was sent; None when none could be."""
    result: HttpResult
    started_at: datetime
    ended_at: datetime

    @property
    def holds_slot(self) -> bool:
        """Whether its end has to release the job's overlap slot."""
        return self.claim.holds_slot


@dataclass(slots=True)
class Record:
    """What to write for one claimed execution, and what it means."""

    update: GuardedUpdate
    final: Finished | None
    """The execution as it ends, when it does."""
    push: bool = False
    """Whether it has to be pushed again at once."""
    disables_job: str | None = None
    """Why its job has to be disabled; None mostly."""
    holds_slot: bool = False
    may_disable: bool = False
    """Whether this failure may be the one too many in a row."""


def record_of(
    call: CallResult,
    *,
    count_token: str,
    retention: timedelta,
    dice: random.Random,
    failures_kept: int = 1,
    ended_at: datetime | None = None,
) -> Record:
    """What becomes of an execution after an attempt.

    A finished one is kept as long as its job says, else for `retention`, and `failures_kept` times as long when it
    failed. `ended_at` is the moment to record: one for a whole group, by which the sweep can find the group again; None
    = the call's own.
    """
    ended_at = ended_at or call.ended_at
    claim, execution = call.claim, call.claim.execution
    outcome = _outcome(call)
    if outcome.failure is not None and outcome.failure.kind is FailureKind.CANCELLED:
        return _put_back(call, ended_at)
    attempt = attempt_of(
        number=execution.attempt_count + 1,
        scheduled_at=execution.scheduled_at,
        started_at=call.started_at,
        request=call.request,
        result=call.result,
        outcome=outcome,
    )
    retry_at = _retry_at(call, outcome, ended_at, dice)
    set_: dict[str, Any] = {
        "attemptCount": attempt.number,
        "durationMs": attempt.duration_ms,
    }
    unset = {"claim": ""}
    if attempt.response_status is not None:
        set_["responseStatus"] = attempt.response_status
    else:
        unset["responseStatus"] = ""
    if execution.started_at is None:
        set_["startedAt"] = call.started_at
    if attempt.error is not None:
        set_["error"] = {"kind": attempt.error.kind, "message": attempt.error.message}
    elif execution.error is not None:
        unset["error"] = ""
    final: Finished | None = None
    if retry_at is not None:
        set_ |= {"status": ExecutionStatus.RETRYING.value, "nextAttemptAt": retry_at, "checkAt": retry_at}
    else:
        status = _FINAL_OF[outcome.status]
        kept = _retention(claim, retention) * (1 if status is ExecutionStatus.SUCCESS else failures_kept)
        set_ |= _final_fields(status, ended_at, count_token, kept)
        final = Finished(
            execution.id,
            execution.job_id,
            execution.owner_id,
            status,
            execution.scheduled_at,
            execution.started_at or call.started_at,
            ended_at,
            set_["checkAt"],
            attempt.duration_ms,
        )
    change: dict[str, dict[str, Any]] = {
        "$set": set_,
        "$unset": unset,
        "$push": {"attempts": attempt_document(attempt)},
    }
    return Record(
        update=GuardedUpdate(execution.id, _guard(claim.token), change),
        final=final,
        disables_job=outcome.failure.message if outcome.disables_job and outcome.failure else None,
        holds_slot=claim.holds_slot,
        may_disable=final is not None and outcome.failure is not None and _has_failure_bound(claim),
    )


def ended_record(ended: EndedClaim, *, now: datetime, count_token: str, retention: timedelta) -> Record:
    """What becomes of a claimed execution that is not run."""
    if ended.retention_days is not None:
        retention = timedelta(days=ended.retention_days)
    status, reason = ended.ending
    fields = _final_fields(status, now, count_token, retention)
    change: dict[str, dict[str, Any]] = {
        "$set": {**fields, "reason": reason.value},
        "$unset": {"claim": ""},
    }
    execution = ended.execution
    final = Finished(
        execution.id,
        execution.job_id,
        execution.owner_id,
        status,
        execution.scheduled_at,
        execution.started_at,
        now,
        fields["checkAt"],
        reason=reason.value,
    )
    return Record(
        GuardedUpdate(execution.id, _guard(ended.token), change), final, holds_slot=ended.holds_slot
    )


def _guard(token: str) -> dict[str, str]:
    return {"status": _RUNNING, "claim": token}


def _final_fields(
    status: ExecutionStatus, completed_at: datetime, count_token: str, retention: timedelta
) -> dict[str, Any]:
    return {
        "status": status.value,
        "completedAt": completed_at,
        "expireAt": completed_at + retention,
        "counted": False,
        "countToken": count_token,
        "checkAt": _counted_by(completed_at),
    }


@lru_cache(maxsize=16)
def _counted_by(completed_at: datetime) -> datetime:
    """One moment for the whole group, whole milliseconds as MongoDB keeps them: the group is found by it."""
    return from_ms(to_ms(completed_at)) + COUNT_GRACE


def _has_failure_bound(claim: Claim) -> bool:
    job = claim.prepared.job
    return job is not None and job.disable_after_failures > 0


def _retention(claim: Claim, default: timedelta) -> timedelta:
    job = claim.prepared.job
    days = None if job is None else job.retention_days
    return default if days is None else timedelta(days=days)


def _outcome(call: CallResult) -> Outcome:
    template = call.claim.prepared.template
    if call.result.failure is not None or template is None:
        assert call.result.failure is not None
        return Outcome.of_failure(call.result.failure)
    return template.success.judge(call.result)


def _retry_at(call: CallResult, outcome: Outcome, ended_at: datetime, dice: random.Random) -> datetime | None:
    if outcome.succeeded:
        return None
    job = call.claim.prepared.job
    policy = RetryPolicy() if job is None else job.retry
    retry_after = parse_retry_after(call.result.header("Retry-After"), ended_at)
    # Lost attempts cost no retry: whether they reached the target is not known.
    number = call.claim.execution.attempt_count + 1 - call.claim.execution.lost_count
    return next_attempt_at(policy, number, outcome, ended_at, retry_after, dice)


def _put_back(call: CallResult, ended_at: datetime) -> Record:
    """The worker stopped before the call was over: queued again, and pushed to another one."""
    change: dict[str, dict[str, Any]] = {
        "$set": {
            "status": ExecutionStatus.QUEUED.value,
            "checkAt": ended_at + recheck_after(1),
            "pushes": 1,
            **({} if call.request is None else {"interrupted": True}),
        },
        "$unset": {"claim": ""},
    }
    execution = call.claim.execution
    return Record(GuardedUpdate(execution.id, _guard(call.claim.token), change), final=None, push=True)
