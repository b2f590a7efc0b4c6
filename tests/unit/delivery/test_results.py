"""From the result of a call to what is recorded of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.claims import Ending
from webhookcron.core.executions import AttemptError, Execution, ExecutionStatus, Reason, Trigger
from webhookcron.core.jobs import DeliveryJob
from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.retries import RetryPolicy
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.delivery.claimer import Claim, EndedClaim
from webhookcron.delivery.prepared import PreparedJob
from webhookcron.delivery.request import RequestTemplate
from webhookcron.delivery.results import COUNT_GRACE, CallResult, Record, ended_record, record_of
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Phases

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGAN = T0 + timedelta(seconds=1)
ENDED = T0 + timedelta(seconds=2, microseconds=500)
RETENTION = timedelta(days=30)


def claim_with(
    *, attempts: int = 0, lost: int = 0, retries: int = 0, timeout_ms: int = 1_000, **fields: Any
) -> Claim:
    spec = RequestSpec(url="https://example.com/hook", timeout_ms=timeout_ms, signing=False)
    job = DeliveryJob(
        "j",
        1,
        Schedule(type=ScheduleType.CRON, cron_expression="* * * * *"),
        spec,
        RetryPolicy(max_retries=retries, retry_delays_ms=(10_000,)),
        fields.pop("disable_after_failures", 0),
        fields.pop("retention_days", None),
    )
    execution = Execution(
        id="j:1",
        job_id="j",
        owner_id="ann",
        job_name="report",
        host="example.com",
        trigger=Trigger.SCHEDULE,
        status=ExecutionStatus.RUNNING,
        scheduled_at=T0,
        queued_at=T0,
        attempt_count=attempts,
        lost_count=lost,
        **fields,
    )
    prepared = PreparedJob(job, 1, RequestTemplate.of(spec))
    return Claim(execution, prepared, "token", T0 + timedelta(seconds=16), holds_slot=True)


def recorded(
    claim: Claim, result: HttpResult, request: HttpRequest | None = None, *, failures_kept: int = 1
) -> Record:
    return record_of(
        CallResult(claim, request, result, BEGAN, ENDED),
        count_token="group",
        retention=RETENTION,
        dice=random.Random(1),
        failures_kept=failures_kept,
    )


def failed(kind: FailureKind) -> HttpResult:
    return HttpResult(failure=Failure(kind, "why"))


OUTCOMES = [
    (HttpResult(status=200), 0, "success"),
    (HttpResult(status=204), 3, "success"),
    (HttpResult(status=500), 0, "failed"),
    (HttpResult(status=500), 1, "retrying"),
    (HttpResult(status=404), 5, "failed"),
    (HttpResult(status=410), 5, "failed"),
    (failed(FailureKind.TIMEOUT), 0, "timeout"),
    (failed(FailureKind.TIMEOUT), 1, "retrying"),
    (failed(FailureKind.CONNECT), 1, "retrying"),
    (failed(FailureKind.BLOCKED), 5, "failed"),
    (failed(FailureKind.CANCELLED), 0, "queued"),
    (failed(FailureKind.CANCELLED), 5, "queued"),
]


@pytest.mark.parametrize(("result", "retries", "status"), OUTCOMES)
def test_a_result_gives_the_execution_its_next_status(result: HttpResult, retries: int, status: str) -> None:
    record = recorded(claim_with(retries=retries), result)
    change = record.update.change
    assert change["$set"]["status"] == status
    assert change["$unset"]["claim"] == ""
    assert record.update.guard == {"status": "running", "claim": "token"}
    final = ExecutionStatus(status).final
    assert (record.final is not None) == final
    assert ("expireAt" in change["$set"]) == final
    assert change["$set"]["checkAt"] is not None, "until it is counted, the sweep can find it"
    assert record.push == (status == "queued")


def test_a_final_outcome_waits_to_be_counted_with_its_group() -> None:
    set_ = recorded(claim_with(), HttpResult(status=200)).update.change["$set"]
    assert (set_["counted"], set_["countToken"]) == (False, "group")
    assert set_["checkAt"] == ENDED.replace(microsecond=0) + COUNT_GRACE, "in whole milliseconds"


def test_a_retry_comes_no_earlier_than_the_policy_or_the_receiver_asks() -> None:
    busy = HttpResult(status=503, headers=(("retry-after", "60"),))
    set_ = recorded(claim_with(retries=1), busy).update.change["$set"]
    assert ENDED + timedelta(seconds=60) <= set_["nextAttemptAt"] <= ENDED + timedelta(seconds=73)
    assert set_["checkAt"] == set_["nextAttemptAt"]


@pytest.mark.parametrize(
    ("attempts", "lost", "status"),
    [(0, 0, "retrying"), (1, 0, "failed"), (1, 1, "retrying"), (2, 1, "failed")],
)
def test_lost_attempts_cost_no_retry(attempts: int, lost: int, status: str) -> None:
    record = recorded(claim_with(attempts=attempts, lost=lost, retries=1), HttpResult(status=500))
    assert record.update.change["$set"]["status"] == status
    assert record.update.change["$set"]["attemptCount"] == attempts + 1


def test_the_first_attempt_sets_when_it_began_and_later_ones_do_not() -> None:
    assert recorded(claim_with(), HttpResult(status=200)).update.change["$set"]["startedAt"] == BEGAN
    later = recorded(claim_with(attempts=1, started_at=T0), HttpResult(status=200))
    assert "startedAt" not in later.update.change["$set"]
    assert later.final is not None
    assert later.final.started_at == T0


def test_a_success_after_an_error_takes_the_error_away() -> None:
    claim = claim_with(attempts=1, error=AttemptError(kind="timeout", message="why"))
    assert recorded(claim, HttpResult(status=200)).update.change["$unset"]["error"] == ""


def test_an_attempt_without_an_answer_takes_the_status_of_the_one_before_away() -> None:
    change = recorded(claim_with(attempts=1, retries=5), failed(FailureKind.CONNECT)).update.change
    assert change["$unset"]["responseStatus"] == ""
    assert "responseStatus" not in change["$set"]


def test_a_call_that_the_platform_ended_is_no_attempt() -> None:
    change = recorded(claim_with(), failed(FailureKind.CANCELLED)).update.change
    assert "$push" not in change
    assert "attemptCount" not in change["$set"]


@pytest.mark.parametrize(
    ("result", "days", "failures_kept", "expected"),
    [
        (HttpResult(status=200), None, 3, 30),
        (HttpResult(status=200), 7, 3, 7),
        (HttpResult(status=500), None, 3, 90),
        (HttpResult(status=500), 7, 1, 7),
    ],
)
def test_retention_is_that_of_the_job_and_longer_for_failures(
    result: HttpResult, days: int | None, failures_kept: int, expected: int
) -> None:
    record = recorded(claim_with(retention_days=days), result, failures_kept=failures_kept)
    assert record.update.change["$set"]["expireAt"] == ENDED + timedelta(days=expected)


def test_only_410_disables_and_only_a_last_failure_may() -> None:
    assert recorded(claim_with(), HttpResult(status=410)).disables_job
    assert recorded(claim_with(), HttpResult(status=404)).disables_job is None
    bounded = {"disable_after_failures": 3}
    assert recorded(claim_with(**bounded), HttpResult(status=500)).may_disable
    assert not recorded(claim_with(retries=1, **bounded), HttpResult(status=500)).may_disable
    assert not recorded(claim_with(**bounded), HttpResult(status=200)).may_disable
    assert not recorded(claim_with(), HttpResult(status=500)).may_disable


def test_the_attempt_is_kept_with_its_request_and_answer_and_no_secret() -> None:
    request = HttpRequest(
        method="POST",
        url="https://example.com/hook",
        headers=(("Authorization", "Bearer hush"), ("X-Plain", "a")),
        timeout_ms=1_000,
    )
    result = HttpResult(
        status=200, headers=(("Server", "x"),), body="grüß".encode(), phases=Phases(connect=1.26, total=12.4)
    )
    [attempt] = [recorded(claim_with(), result, request).update.change["$push"]["attempts"]]
    assert attempt["number"] == 1
    assert attempt["responseBody"] == "grüß"
    assert attempt["durationMs"] == 12
    assert attempt["phases"] == {"connectMs": 1.3, "totalMs": 12.4}
    assert "hush" not in str(attempt)
    assert "X-Plain:a" in attempt["requestHeaders"].split("\n")


@given(st.binary(max_size=40), st.integers(0, 40))
def test_any_body_is_kept_as_text_or_in_base64(body: bytes, cut: int) -> None:
    result = HttpResult(status=200, body=body[:cut], truncated=cut < len(body))
    attempt = recorded(claim_with(), result).update.change["$push"]["attempts"]
    kept = attempt.get("responseBody", "")
    kept.encode()
    assert attempt.get("responseBodyBase64", False) or body[:cut].startswith(kept.encode())


def test_a_claim_that_ended_without_a_call_is_final_with_its_reason() -> None:
    claim = claim_with()
    ended = EndedClaim(
        claim.execution, "token", Ending(ExecutionStatus.SKIPPED, Reason.PAUSED), 7, holds_slot=True
    )
    record = ended_record(ended, now=ENDED, count_token="group", retention=RETENTION)
    set_ = record.update.change["$set"]
    assert (set_["status"], set_["reason"]) == ("skipped", "paused")
    assert set_["expireAt"] == ENDED + timedelta(days=7)
    assert record.update.guard == {"status": "running", "claim": "token"}
    assert record.holds_slot
    assert record.final is not None
    assert record.final.status is ExecutionStatus.SKIPPED
