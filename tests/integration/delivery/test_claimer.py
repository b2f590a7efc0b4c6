"""Claims: what is queued is taken once, judged by its job as it is now, and carried through an outage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import StoreUnavailable
from webhookcron.core.executions import (
    Execution,
    ExecutionStatus,
    Trigger,
    backfill_execution_id,
    manual_execution_id,
)
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.core.outcomes import FailureKind
from webhookcron.core.request_spec import RequestSpec, SigningSecret
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.claimer import Claimed
from webhookcron.delivery.request import RequestTemplate
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.storage.jobs import JobStore


class Failing:
    """A store that is away at the first calls of a method, before or after it did its work."""

    def __init__(self, inner: Any, method: str, *, times: int, after: bool = False) -> None:
        self._inner, self._method, self._times, self._after = inner, method, times, after

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._times <= 0:
                return attribute(*args, **kwargs)
            self._times -= 1
            if self._after:
                attribute(*args, **kwargs)
            raise StoreUnavailable("away")

        return call


def endings(claimed: Claimed) -> list[tuple[str, str]]:
    return [(ended.ending.status.value, ended.ending.reason.value) for ended in claimed.ended]


def asked_for(world: Any, job: Job, trigger: Trigger = Trigger.MANUAL) -> Execution:
    moment = world.at(61)
    execution = Execution(
        id=manual_execution_id(job.id, "k")
        if trigger is Trigger.MANUAL
        else backfill_execution_id(job.id, moment, "k"),
        job_id=job.id,
        owner_id=job.owner_id,
        job_name=job.name,
        host=job.host,
        trigger=trigger,
        status=ExecutionStatus.QUEUED,
        scheduled_at=moment,
        queued_at=moment,
        check_at=world.at(91),
    )
    world.executions.insert([execution])
    return execution


def test_what_is_queued_is_claimed_with_a_lease_over_its_deadline(world: Any) -> None:
    quick, patient = world.job(timeout_ms=5_000), world.job(timeout_ms=60_000)
    world.tick(world.at(60))
    claimed = world.claim(world.at(61))
    leases = {call.execution.job_id: call.lease_until for call in claimed.calls}
    assert leases == {quick.id: world.at(61 + 5 + 15), patient.id: world.at(61 + 60 + 15)}
    stored = [execution for job in (quick, patient) for execution in world.log(job)]
    assert all(execution.status is ExecutionStatus.RUNNING for execution in stored)
    assert {execution.check_at for execution in stored} == set(leases.values())


def test_what_is_claimed_already_or_final_or_unknown_is_left_alone(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))
    ids = world.take_pushed()
    assert len(world.claim(world.at(61), [*ids, *ids, "0" * 24 + ":1"]).calls) == 1
    assert world.claim(world.at(62), ids).calls == []
    world.deliver(world.at(63))
    assert world.found(job) == {60: "running"}


def test_of_many_workers_one_claims_each(world: Any, in_threads: Callable[..., list[Any]]) -> None:
    jobs = [world.job(world.every(10)) for _ in range(5)]
    world.tick(world.at(60))
    ids = world.take_pushed()
    assert len(ids) == 30
    results = in_threads(lambda _n: world.claim(world.at(61), ids).calls, range(4))
    claimed = [call.execution.id for calls in results for call in calls]
    assert sorted(claimed) == sorted(ids)
    assert {status for job in jobs for status in world.found(job).values()} == {"running"}


# --- judged by the job as it is now


def test_executions_of_a_job_that_is_gone_are_cancelled(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))
    world.jobs.delete(job.id, expected_version=1)
    claimed = world.claim(world.at(61))
    assert endings(claimed) == [("cancelled", "deleted")]
    world.finish(claimed, world.at(61))
    assert world.found(job) == {60: "cancelled:deleted"}


@pytest.mark.parametrize("status", [JobStatus.PAUSED, JobStatus.DISABLED])
def test_fire_times_of_a_job_that_was_stopped_are_skipped_and_what_was_asked_for_runs(
    world: Any, status: JobStatus
) -> None:
    job = world.job()
    world.tick(world.at(60))
    world.jobs.update(
        replace(job, status=status, paused_from=world.at(60.5), updated_at=world.at(60.5)), expected_version=1
    )
    manual, backfill = asked_for(world, job), asked_for(world, job, Trigger.BACKFILL)
    claimed = world.claim(world.at(61), [*world.take_pushed(), manual.id, backfill.id])
    assert endings(claimed) == [("skipped", status.value)]
    assert {call.execution.id for call in claimed.calls} == {manual.id, backfill.id}
    world.finish(claimed, world.at(62))
    skipped = world.executions.get(f"{job.id}:{int(world.at(60).timestamp() * 1000)}", owner_id=None)
    assert (skipped.reason, skipped.completed_at, skipped.check_at) == (status.value, world.at(62), None)
    assert world.counters(job) == (2, 2, 0, 0)


def test_a_retry_goes_on_through_a_pause_and_ends_when_the_job_is_disabled(world: Any) -> None:
    jobs = [world.job(retry=RetryPolicy(max_retries=2, retry_delays_ms=(1_000,))) for _ in range(2)]
    world.tick(world.at(60))
    world.deliver(world.at(61), result=HttpResult(status=500))
    for job, status in zip(jobs, (JobStatus.PAUSED, JobStatus.DISABLED), strict=True):
        world.jobs.update(
            replace(job, status=status, paused_from=world.at(61), updated_at=world.at(61)), expected_version=1
        )
    world.sweep(world.at(65))
    world.deliver(world.at(65))
    assert [world.found(job) for job in jobs] == [{60: "success"}, {60: "skipped:disabled"}]


def test_a_rule_that_came_into_force_after_the_look_at_the_job_supersedes_nothing(world: Any) -> None:
    job = world.job()
    world.tick(world.at(60))

    class EditedInBetween:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.jobs, name)

        def claim_states(self, ids: Any) -> Any:
            states = world.jobs.claim_states(ids)
            now = world.at(61)
            changed = replace(
                job, schedule=world.every(7), schedule_since=now, updated_at=now, handled_through=now
            )
            world.jobs.update(changed, expected_version=1)
            return states

    claimed = world.claimer(world.at(61), jobs=EditedInBetween()).claim(world.take_pushed())
    assert (len(claimed.calls), endings(claimed)) == (1, [])


def test_beyond_max_runs_nothing_runs(world: Any) -> None:
    job = world.job(max_runs=1)
    world.tick(world.at(60))
    stray = replace(
        asked_for(world, job), id=f"{job.id}:99", trigger=Trigger.SCHEDULE, scheduled_at=world.at(120)
    )
    world.executions.insert([stray])
    claimed = world.claim(world.at(121), [stray.id])
    assert endings(claimed) == [("skipped", "completed")]


def test_a_job_that_cannot_be_read_ends_nothing_by_guesswork(world: Any) -> None:
    broken, whole = world.job(), world.job()
    world.tick(world.at(60))
    world.database["jobs"].update_one({"_id": broken.id}, {"$set": {"overlapPolicy": "odd"}})
    claimed = world.claim(world.at(61))
    assert [call.execution.job_id for call in claimed.calls] == [whole.id]
    assert world.found(broken) == {60: "running"}, "until its lease runs out"


def test_a_job_that_breaks_while_it_is_prepared_keeps_no_other_from_being_called(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (world.job(url=f"https://{name}.example/") for name in ("bad", "good"))
    of = RequestTemplate.of

    def broken(spec: RequestSpec) -> RequestTemplate:
        if "bad" in spec.url:
            raise RuntimeError("no job does this")
        return of(spec)

    monkeypatch.setattr(RequestTemplate, "of", broken)
    world.tick(world.at(60))
    claimed = world.claim(world.at(61))

    prepared = {claim.execution.job_id: claim.prepared for claim in claimed.calls}
    assert prepared[good.id].template is not None
    assert prepared[bad.id].template is None
    assert prepared[bad.id].failure.kind is FailureKind.INVALID_REQUEST


def test_a_secret_that_no_key_opens_is_a_failed_attempt(world: Any) -> None:
    job = replace(
        world.new_job(),
        request=RequestSpec(url="http://127.0.0.1:9", signing_secrets=(SigningSecret("whsec_a"),)),
    )
    world.jobs.create(job)
    world.show(job)
    world.tick(world.at(60))
    stranger = JobStore(world.database, SecretBox(["another-secret-key"]))
    [call] = world.claimer(world.at(61), jobs=stranger).claim(world.take_pushed()).calls
    assert call.prepared.template is None
    assert call.prepared.failure is not None
    assert call.prepared.failure.kind.value == "secret_unreadable"


# --- through an outage


@pytest.mark.parametrize("method", ["claim", "claimed", "claim_one"])
@pytest.mark.parametrize("after", [False, True])
def test_a_claim_whose_reply_was_lost_is_repeated_with_its_token(
    world: Any, method: str, after: bool
) -> None:
    jobs = [world.job() for _ in range(1 if method == "claim_one" else 2)]
    world.tick(world.at(60))
    executions = Failing(world.executions, method, times=2, after=after)
    calls = world.claimer(world.at(61), executions=executions).claim(world.take_pushed()).calls
    assert executions._times < 2
    assert {call.execution.job_id: call.token for call in calls} == {
        job.id: world.log(job)[0].claim for job in jobs
    }


@pytest.mark.parametrize(("method", "jobs"), [("claim_one", 1), ("claimed", 2)])
def test_a_claim_over_a_long_outage_gets_a_lease_that_covers_the_call(
    world: Any, method: str, jobs: int
) -> None:
    made = [world.job() for _ in range(jobs)]
    world.tick(world.at(60))
    clock = [world.at(61)]

    def pause(seconds: float) -> bool:
        clock[0] += timedelta(seconds=20)
        return False

    executions = Failing(world.executions, method, times=1, after=True)
    claimer = world.claimer(world.at(61), executions=executions, pause=pause)
    claimer._now = lambda: clock[0]
    calls = claimer.claim(world.take_pushed()).calls
    assert len(calls) == jobs
    for call in calls:
        assert call.lease_until == world.at(61 + 20 + 45)
    assert {world.log(job)[0].check_at for job in made} == {world.at(61 + 20 + 45)}


def test_a_worker_that_stops_over_an_outage_gives_the_ids_back(world: Any) -> None:
    world.job()
    world.tick(world.at(60))
    ids = world.take_pushed()
    executions = Failing(world.executions, "claim_one", times=99)
    claimed = world.claimer(world.at(61), executions=executions, pause=lambda _s: True).claim(ids)
    assert (claimed.calls, claimed.left) == ([], ids)


def test_what_was_claimed_before_an_outage_is_called_and_the_rest_given_back(world: Any) -> None:
    quick, patient = world.job(timeout_ms=5_000), world.job(timeout_ms=60_000)
    world.tick(world.at(60))
    ids = sorted(world.take_pushed(), key=lambda i: not i.startswith(quick.id))

    class AwayLater(Failing):
        def claim_one(self, execution_id: str, *args: Any, **kwargs: Any) -> Any:
            if execution_id.startswith(patient.id):
                raise StoreUnavailable("away")
            return self._inner.claim_one(execution_id, *args, **kwargs)

    executions = AwayLater(world.executions, "nothing", times=0)
    claimed = world.claimer(world.at(61), executions=executions, pause=lambda _s: True).claim(ids)
    assert [call.execution.job_id for call in claimed.calls] == [quick.id]
    assert [execution_id.split(":")[0] for execution_id in claimed.left] == [patient.id]


def test_an_outage_before_anything_is_claimed_is_told(world: Any) -> None:
    world.job()
    world.tick(world.at(60))
    with pytest.raises(StoreUnavailable):
        world.claimer(world.at(61), jobs=Failing(world.jobs, "claim_states", times=1)).claim(
            world.take_pushed()
        )
