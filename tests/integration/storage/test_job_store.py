"""Jobs in MongoDB: guarded changes, cursors that never go back, counters that count once, slots."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import CorruptDocument, KeyTaken, NotFound, SecretUnreadable, VersionConflict
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import DeliveryJob, JobStatus, OverlapPolicy
from webhookcron.core.request_spec import AuthSpec, AuthType, RequestSpec, SigningSecret
from webhookcron.core.retries import Backoff, RetryPolicy
from webhookcron.delivery.secrets import SecretBox
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.storage.jobs import COUNT_TOKENS, Cursor, JobStore, OutcomeCount


def counted(job_id: str, successes: int, failures: int, in_a_row: int, world: Any) -> OutcomeCount:
    status = ExecutionStatus.FAILED if in_a_row else ExecutionStatus.SUCCESS
    return OutcomeCount(job_id, successes, failures, in_a_row, status, world.t0)


# --- definitions


def full_request(world: Any) -> RequestSpec:
    return RequestSpec(
        url="https://example.com/hook",
        method="PUT",
        headers=(("X-Plain", "a"), ("X-Secret", "b")),
        secret_headers=("X-Secret",),
        query=(("q", "1"),),
        payload={"$set": {"a.b": [1, 10**25]}},
        content_type="application/vnd.a+json",
        timeout_ms=12_345,
        success_statuses="200,404",
        success_body={"pattern": "ok"},
        follow_redirects=True,
        auth=AuthSpec(type=AuthType.BEARER, token="hush"),
        signing_secrets=(SigningSecret("whsec_new"), SigningSecret("whsec_old", world.at(60))),
    )


def test_a_job_comes_back_as_it_was_stored(world: Any) -> None:
    job = replace(world.new_job(), request=full_request(world), key="k", tags=("a", "b"), description="words")
    world.jobs.create(job)
    assert world.jobs.get(job.id, owner_id="ann") == job


@pytest.mark.parametrize(
    "retry",
    [
        RetryPolicy(),
        RetryPolicy(max_retries=2, retry_delays_ms=(1_000, 2_000)),
        RetryPolicy(retry_delay_ms=500, retry_backoff=Backoff.EXPONENTIAL, retry_max_delay_ms=60_000),
    ],
)
def test_workers_deliver_by_the_same_job_as_everyone_reads(world: Any, retry: RetryPolicy) -> None:
    job = world.new_job(
        world.every(5, end_at=world.at(900)), disable_after_failures=3, retention_days=9, retry=retry
    )
    job = replace(job, request=full_request(world), version=7)
    world.jobs.create(job)
    read = world.stored(job)
    assert world.jobs.delivery_jobs([job.id, "gone"]) == {
        job.id: DeliveryJob(
            job.id,
            7,
            read.schedule,
            read.request,
            read.policies.retry,
            read.policies.disable_after_failures,
            read.policies.retention_days,
        )
    }
    assert (read.request, read.policies.retry) == (job.request, retry)


@pytest.mark.parametrize(
    "change",
    [{"maxRetries": "many"}, {"retryDelaysMs": [[1]]}, {"retryBackoff": "never"}, {"timeoutMs": None}],
)
def test_a_job_that_workers_cannot_read_comes_as_its_error(world: Any, change: dict[str, Any]) -> None:
    bad, good = world.job(), world.job()
    world.database["jobs"].update_one({"_id": bad.id}, {"$set": change})
    found = world.jobs.delivery_jobs([bad.id, good.id])
    assert isinstance(found[bad.id], CorruptDocument)
    assert isinstance(found[good.id], DeliveryJob)


def test_secrets_do_not_lie_readable_in_mongodb(world: Any) -> None:
    job = replace(
        world.new_job(),
        request=RequestSpec(
            url="https://example.com",
            headers=(("Authorization", "Bearer hush1"),),
            auth=AuthSpec(type=AuthType.BASIC, username="u", password="hush2"),
            signing_secrets=(SigningSecret("whsec_hush3"),),
        ),
    )
    world.jobs.create(job)
    assert "hush" not in str(world.database["jobs"].find_one({"_id": job.id}))


def test_a_job_of_another_owner_is_not_found(world: Any) -> None:
    job = world.job()
    with pytest.raises(NotFound):
        world.jobs.get(job.id, owner_id="bob")
    assert world.jobs.get(job.id, owner_id=None).owner_id == "ann"


def test_a_key_is_taken_once_per_owner(world: Any) -> None:
    world.jobs.create(replace(world.new_job(), key="k"))
    with pytest.raises(KeyTaken):
        world.jobs.create(replace(world.new_job(), key="k"))
    world.jobs.create(replace(world.new_job(), key="k", owner_id="bob"))
    world.jobs.create(world.new_job())
    world.jobs.create(world.new_job())


def test_a_key_cannot_be_taken_by_a_change_either(world: Any) -> None:
    world.jobs.create(replace(world.new_job(), key="k"))
    other = world.new_job()
    world.jobs.create(other)
    with pytest.raises(KeyTaken):
        world.jobs.update_definition(replace(other, key="k"), expected_version=1)
    assert world.stored(other).version == 1


def test_a_repeated_creation_is_the_same_job(world: Any) -> None:
    job = world.new_job()
    world.jobs.create(job)
    world.jobs.create(job)
    assert world.jobs.count({}) == 1


def test_a_change_of_an_older_version_is_refused_and_changes_nothing(world: Any) -> None:
    job = world.job()
    world.jobs.update_definition(replace(job, name="second"), expected_version=1)
    with pytest.raises(VersionConflict) as conflict:
        world.jobs.update_definition(replace(job, name="third"), expected_version=1)
    assert conflict.value.current_version == 2
    assert world.stored(job).name == "second"
    with pytest.raises(NotFound):
        world.jobs.update(world.new_job(), expected_version=1)


def test_of_many_changes_of_one_version_one_is_made(world: Any, in_threads: Callable[..., list[Any]]) -> None:
    job = world.job()

    def change(name: str) -> bool:
        try:
            world.jobs.update_definition(replace(job, name=name), expected_version=1)
        except VersionConflict:
            return False
        return True

    assert sum(in_threads(change, [f"name-{n}" for n in range(8)])) == 1
    assert world.stored(job).version == 2


def test_a_field_set_back_to_nothing_is_gone(world: Any) -> None:
    job = replace(world.new_job(), key="k", description="words", tags=("a",))
    world.jobs.create(job)
    changed = world.jobs.update_definition(
        replace(job, key=None, description="", tags=()), expected_version=1
    )
    assert (changed.key, changed.description, changed.tags) == (None, "", ())
    assert "key" not in world.database["jobs"].find_one({"_id": job.id})


def test_a_change_of_the_definition_leaves_status_cursor_and_counters_alone(world: Any) -> None:
    job = world.job()
    world.jobs.flush_cursors([Cursor(job.id, job.schedule_since, world.at(60), world.at(120))])
    world.jobs.count_outcomes([counted(job.id, 1, 2, 2, world)], "t")
    changed = world.jobs.update_definition(replace(job, name="new"), expected_version=1)
    assert changed.handled_through == world.at(60)
    assert changed.next_run_at == world.at(120)
    assert (changed.total_runs, changed.consecutive_failures, changed.status) == (3, 2, JobStatus.ACTIVE)


def test_a_pause_keeps_what_a_ticker_moved_since_the_job_was_read(world: Any) -> None:
    job = world.job(max_runs=5)
    assert world.jobs.move_cursor(tick_job_of(job), world.at(60), 1, world.at(120))
    paused = replace(
        job,
        status=JobStatus.PAUSED,
        paused_from=world.at(30),
        handled_through=world.at(30),
        updated_at=world.at(30),
    )
    stored = world.jobs.update(paused, expected_version=1)
    assert (stored.handled_through, stored.scheduled_runs) == (world.at(60), 1)


def test_a_new_schedule_brings_its_own_cursor_and_runs(world: Any) -> None:
    job = world.job(max_runs=5)
    assert world.jobs.move_cursor(tick_job_of(job), world.at(600), 3, world.at(660))
    now = world.at(90)
    changed = replace(job, schedule_since=now, updated_at=now, handled_through=now, scheduled_runs=0)
    stored = world.jobs.update(changed, expected_version=1)
    assert (stored.handled_through, stored.scheduled_runs) == (now, 0)


def test_a_job_that_becomes_active_again_forgets_its_failures_in_a_row(world: Any) -> None:
    job = world.job()
    world.jobs.count_outcomes([counted(job.id, 0, 3, 3, world)], "t")
    stored = world.jobs.update(replace(job, updated_at=world.at(5)), expected_version=1)
    assert stored.consecutive_failures == 0
    assert stored.failed_runs == 3


def test_a_deletion_of_an_older_version_is_refused(world: Any) -> None:
    job = world.job()
    world.jobs.update_definition(job, expected_version=1)
    with pytest.raises(VersionConflict):
        world.jobs.delete(job.id, expected_version=1)
    world.jobs.delete(job.id, expected_version=2)
    world.jobs.delete(job.id, expected_version=2)
    assert world.gone(job)


def test_a_page_of_jobs_is_sorted_filtered_and_counted(world: Any) -> None:
    for name in ("c", "a", "b"):
        world.jobs.create(replace(world.new_job(), name=name))
    world.jobs.create(replace(world.new_job(), name="d", owner_id="bob"))
    jobs, total = world.jobs.list({"ownerId": "ann"}, sort=[("name", 1), ("_id", 1)], skip=1, limit=1)
    assert ([job.name for job in jobs], total) == (["b"], 3)


# --- what cannot be read

CORRUPTIONS: list[dict[str, Any]] = [
    {"$unset": {"scheduleSince": ""}},
    {"$set": {"cronExpression": "not cron", "scheduleType": "cron"}},
    {"$set": {"maxRuns": "three"}},
    {"$set": {"handledThrough": "yesterday"}},
    {"$set": {"timezone": "Mars/Olympus"}},
    {"$set": {"version": None}},
    {"$set": {"interval": "fortnight"}},
]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_a_job_that_cannot_be_read_is_set_apart_and_the_others_are_read(
    world: Any, corruption: dict[str, Any]
) -> None:
    broken, whole = world.job(), world.job()
    world.database["jobs"].update_one({"_id": broken.id}, corruption)
    ids = [broken.id, whole.id]
    for found in (world.jobs.tick_jobs(ids), world.jobs.load(ids)):
        assert isinstance(found[broken.id], CorruptDocument)
        assert not isinstance(found[whole.id], CorruptDocument)
    with pytest.raises(CorruptDocument):
        world.stored(broken)
    jobs, _total = world.jobs.list({"ownerId": "ann"}, sort=[("_id", 1)], skip=0, limit=10)
    assert [job.id for job in jobs] == [whole.id]


def test_a_secret_that_no_key_opens_is_told_from_a_broken_document(world: Any) -> None:
    job = replace(
        world.new_job(),
        request=RequestSpec(url="http://a.example", signing_secrets=(SigningSecret("whsec_a"),)),
    )
    world.jobs.create(job)
    stranger = JobStore(world.database, SecretBox(["another-secret-key"]))
    assert isinstance(stranger.load([job.id])[job.id], SecretUnreadable)
    assert stranger.tick_jobs([job.id])[job.id] == tick_job_of(job), "which needs no secret"


def test_active_jobs_come_in_batches_each_once(world: Any) -> None:
    ids = {world.job().id for _ in range(7)}
    paused = world.job()
    world.jobs.disable(paused.id, 1, "why", now=world.t0)
    batches = list(world.jobs.active_jobs(3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert {job.id for batch in batches for job in batch} == ids


# --- cursors


def test_a_flushed_cursor_never_goes_back(world: Any) -> None:
    job = world.job()
    for seconds in (120, 60, 180, 120):
        world.jobs.flush_cursors(
            [Cursor(job.id, job.schedule_since, world.at(seconds), world.at(seconds + 60))]
        )
    assert world.stored(job).handled_through == world.at(180)
    assert world.stored(job).next_run_at == world.at(240)


def test_the_cursor_of_a_schedule_that_was_replaced_changes_nothing(world: Any) -> None:
    job = world.job()
    world.jobs.flush_cursors([Cursor(job.id, job.schedule_since - timedelta(hours=1), world.at(60), None)])
    assert world.stored(job).handled_through == world.t0


def test_the_cursor_of_a_job_that_is_not_active_stays(world: Any) -> None:
    job = world.job()
    world.jobs.disable(job.id, 1, "why", now=world.t0)
    world.jobs.flush_cursors([Cursor(job.id, job.schedule_since, world.at(60), world.at(120))])
    assert world.stored(job).handled_through == world.t0
    assert world.stored(job).next_run_at is None


def test_one_of_many_moves_an_exact_cursor(world: Any, in_threads: Callable[..., list[Any]]) -> None:
    job = world.job(max_runs=100)
    for step in range(1, 6):
        read = world.jobs.tick_jobs([job.id])[job.id]
        results = in_threads(
            lambda _n, read=read, step=step: world.jobs.move_cursor(read, world.at(60 * step), 1, None),
            range(6),
        )
        assert Counter(results)[True] == 1
    stored = world.stored(job)
    assert (stored.scheduled_runs, stored.handled_through) == (5, world.at(300))


# --- ends


def test_a_job_is_completed_once_and_only_in_the_version_that_was_read(world: Any) -> None:
    job = tick_job_of(world.job())
    assert world.jobs.complete(replace(job, version=7), "over", now=world.at(1)) is None
    assert world.jobs.complete(job, "over", now=world.at(1)) == 2
    assert world.jobs.complete(replace(job, version=2), "over", now=world.at(2)) is None
    stored = world.jobs.get(job.id, owner_id=None)
    assert (stored.status, stored.status_reason, stored.next_run_at) == (JobStatus.COMPLETED, "over", None)


def test_a_job_is_disabled_whatever_was_changed_meanwhile(world: Any) -> None:
    job = world.job()
    world.jobs.update_definition(job, expected_version=1)
    assert world.jobs.disable_any_version(job.id, "410 Gone", now=world.at(1))
    assert not world.jobs.disable_any_version(job.id, "410 Gone", now=world.at(2))
    assert world.stored(job).status_reason == "410 Gone"


# --- mirroring


def test_a_written_job_is_due_to_be_mirrored_until_that_version_is(world: Any) -> None:
    job = world.new_job()
    world.jobs.create(job)
    late = world.at(10)
    assert [due.id for due in world.jobs.mirror_due(late, 10)] == [job.id]
    assert world.jobs.mirror_due(world.t0, 10) == [], "its writer has a moment to do it"
    world.jobs.update_definition(job, expected_version=1)
    world.jobs.mirrored([(job.id, 1)])
    assert [due.version for due in world.jobs.mirror_due(late, 10)] == [2]
    world.jobs.mirrored([(job.id, 2)])
    assert world.jobs.mirror_due(late, 10) == []


def test_a_job_that_cannot_be_mirrored_is_put_off(world: Any) -> None:
    job = world.new_job()
    world.jobs.create(job)
    world.jobs.postpone_mirroring(job.id, world.at(300))
    assert world.jobs.mirror_due(world.at(299), 10) == []
    assert len(world.jobs.mirror_due(world.at(300), 10)) == 1


# --- counters


def test_a_group_of_outcomes_is_counted_once_however_often_it_is_told(
    world: Any, in_threads: Callable[..., list[Any]]
) -> None:
    job = world.job()
    in_threads(lambda _n: world.jobs.count_outcomes([counted(job.id, 2, 1, 0, world)], "group"), range(6))
    assert world.counters(job) == (3, 2, 1, 0)
    assert world.jobs.has_counted([job.id, "gone"], "group") == {job.id, "gone"}
    assert world.jobs.has_counted([job.id], "other") == set()


def test_failures_in_a_row_add_up_until_a_success(world: Any) -> None:
    job = world.job()
    for token, (successes, failures, in_a_row) in enumerate(
        [(0, 2, 2), (0, 1, 1), (1, 2, 1), (0, 1, 1), (1, 0, 0)]
    ):
        world.jobs.count_outcomes([counted(job.id, successes, failures, in_a_row, world)], f"t{token}")
    assert world.counters(job) == (8, 2, 6, 0)


def test_a_job_remembers_a_bounded_number_of_groups(world: Any) -> None:
    job = world.job()
    for number in range(COUNT_TOKENS + 6):
        world.jobs.count_outcomes([counted(job.id, 1, 0, 0, world)], f"t{number}")
    tokens = world.database["jobs"].find_one({"_id": job.id})["countTokens"]
    assert (len(tokens), tokens[-1]) == (COUNT_TOKENS, f"t{COUNT_TOKENS + 5}")


def test_only_active_jobs_at_their_bound_are_failing(world: Any) -> None:
    at_bound, below, unbounded, paused = (world.job(disable_after_failures=bound) for bound in (3, 4, 0, 3))
    jobs = (at_bound, below, unbounded, paused)
    world.jobs.count_outcomes([counted(job.id, 0, 3, 3, world) for job in jobs], "t")
    world.jobs.disable(paused.id, 1, "why", now=world.t0)
    assert world.jobs.failing([job.id for job in jobs]) == [(at_bound.id, 1, 3)]


# --- overlap slots


def test_one_of_many_takes_the_slot(world: Any, in_threads: Callable[..., list[Any]]) -> None:
    job = world.job(overlap_policy=OverlapPolicy.QUEUE)
    ids = [f"{job.id}:{number}" for number in range(8)]
    assert sum(in_threads(lambda execution_id: world.jobs.take_slot(job.id, execution_id), ids)) == 1
    assert sum(in_threads(lambda execution_id: world.jobs.take_waiting_slot(job.id, execution_id), ids)) == 1


def test_a_slot_is_taken_over_only_from_whom_it_was_seen_with(world: Any) -> None:
    job = world.job()
    assert world.jobs.take_slot(job.id, "first")
    assert world.jobs.take_slot(job.id, "first"), "it is its own"
    assert not world.jobs.take_slot(job.id, "second", instead_of="zeroth")
    assert world.jobs.take_slot(job.id, "second", instead_of="first")
    assert not world.jobs.take_slot(job.id, "first")


def test_the_one_that_waited_follows_the_one_that_ended(world: Any) -> None:
    job = world.job()
    world.jobs.take_slot(job.id, "first")
    world.jobs.take_waiting_slot(job.id, "second")
    assert world.jobs.release_slot(job.id, "second") is None, "it holds no slot yet"
    assert world.jobs.release_slot(job.id, "first") == "second"
    assert world.jobs.release_slot(job.id, "first") is None
    assert (world.stored(job).active, world.stored(job).waiting) == ("second", None)
    assert world.jobs.release_slot(job.id, "second") is None
    assert world.stored(job).active is None


def test_one_that_waits_and_then_runs_waits_no_more(world: Any) -> None:
    job = world.job()
    world.jobs.take_slot(job.id, "first")
    world.jobs.take_waiting_slot(job.id, "second")
    assert world.jobs.take_slot(job.id, "second", instead_of="first")
    assert (world.stored(job).active, world.stored(job).waiting) == ("second", None)


def test_no_execution_is_forgotten_when_one_leaves_as_another_comes_to_wait(
    world: Any, in_threads: Callable[..., list[Any]]
) -> None:
    for _ in range(15):
        job = world.job()
        world.jobs.take_slot(job.id, "first")

        def come(job_id: str = job.id) -> str:
            world.jobs.take_waiting_slot(job_id, "second")
            return "takes" if world.jobs.take_slot(job_id, "second") else "waits"

        def leave(job_id: str = job.id) -> str:
            return f"leaves {world.jobs.release_slot(job_id, 'first')}"

        outcomes = in_threads(lambda step: step(), [come, leave])
        assert set(outcomes) in (
            {"takes", "leaves None"},
            {"waits", "leaves second"},
            {"takes", "leaves second"},
        )
        assert world.stored(job).active == "second"


def test_a_job_that_is_gone_has_no_slots(world: Any) -> None:
    unknown = secrets.token_hex(12)
    assert not world.jobs.take_slot(unknown, "first")
    assert world.jobs.release_slot(unknown, "first") is None
