"""A process that ends at any step: the others, and it itself when it is back, bring everything to its right end.

`Mortal` objects end the process by an exception that nothing catches; what is made anew afterwards remembers nothing.
At the end, for every fire time: one execution, final and delivered, and counters that equal the log.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.jobs import Job, JobStatus, MisfirePolicy, OverlapPolicy
from webhookcron.core.retries import RetryPolicy
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.ticks.comparison import FullComparison

# What dies where: the part of the platform, its method, and whether the method still does its work.
TICK = {
    "after the lock": ("executions", "insert", False),
    "after the insert": ("executions", "insert", True),
    "before the push": ("enqueue", "__call__", False),
    "after the push": ("enqueue", "__call__", True),
    "before the cursors are moved": ("jobs", "move_cursors", False),
    "after the cursors are moved": ("jobs", "move_cursors", True),
    "before the cursor is flushed": ("jobs", "flush_cursors", False),
    "after the cursor is flushed": ("jobs", "flush_cursors", True),
    "before the advance": ("source", "advance", False),
    "after the advance": ("source", "advance", True),
    "before the completion": ("jobs", "complete", False),
    "after the completion": ("jobs", "complete", True),
    "before the removal": ("source", "remove", False),
    "before it is known as mirrored": ("jobs", "mirrored", False),
}  # fmt: skip

LATE_TICK = {
    **{
        step: TICK[step]
        for step in ("after the lock", "after the insert", "after the push", "before the advance")
    },
    "before the cursor is moved": ("jobs", "move_cursor", False),
    "after the cursor is moved": ("jobs", "move_cursor", True),
}

JOBS: dict[str, Callable[[Any], Job]] = {
    "every ten seconds": lambda world: world.job(world.every(10)),
    "three runs": lambda world: world.job(world.every(10), max_runs=3),
    "with an end": lambda world: world.job(world.every(10, end_at=world.at(30))),
    "once": lambda world: world.job(world.once(10)),
    "fireAll": lambda world: world.job(world.every(10), misfire_policy=MisfirePolicy.FIRE_ALL),
}


def part(world: Any, name: str) -> Any:
    return world.pushed.extend if name == "enqueue" else getattr(world, name)


def assert_all_is_well(world: Any, job: Job) -> None:
    """Every execution is final and counted, and the counters equal the log."""
    found = list(world.found(job).values())
    assert {status.partition(":")[0] for status in found} <= {"success", "failed", "skipped", "cancelled"}
    successes, failures = found.count("success"), sum(status.startswith("failed") for status in found)
    assert world.counters(job)[:3] == (successes + failures, successes, failures)
    stored = world.stored(job)
    assert (stored.active, stored.waiting) == (None, None)
    assert world.executions.count({"jobId": job.id, "checkAt": {"$gt": world.t0}}) == 0


@pytest.mark.parametrize("step", TICK)
def test_a_ticker_that_dies_at_any_step_loses_and_doubles_no_fire_time(
    world: Any, mortal: Any, killed: Any, step: str
) -> None:
    name, method, after = TICK[step]
    deaths = 0
    for kind, new_job in JOBS.items():
        job = new_job(world)
        for second in (10, 20, 30):
            scheduler = world.scheduler(**{name: mortal(part(world, name), method, after=after)})
            try:
                world.tick(world.at(second), scheduler)
            except killed:
                deaths += 1
        world.recover(range(30, 200, 10))
        expected = {"three runs": [10, 20, 30], "with an end": [10, 20, 30], "once": [10]}.get(
            kind, [float(n) for n in range(10, 200, 10)]
        )
        assert world.found(job) == dict.fromkeys(expected, "success"), kind
        assert_all_is_well(world, job)
        stored = world.stored(job)
        over = kind in ("three runs", "with an end", "once")
        assert stored.status is (JobStatus.COMPLETED if over else JobStatus.ACTIVE)
        assert stored.scheduled_runs == 3 or kind != "three runs"
        world.jobs.delete(job.id, expected_version=stored.version)
        world.source.remove([(job.id, stored.version)])
    assert deaths, "no job has this step"


@pytest.mark.parametrize("policy", list(MisfirePolicy))
@pytest.mark.parametrize("max_runs", [None, 4])
@pytest.mark.parametrize("step", LATE_TICK)
def test_a_ticker_that_dies_over_an_outage_accounts_for_each_fire_time_once(
    world: Any, mortal: Any, killed: Any, step: str, max_runs: int | None, policy: MisfirePolicy
) -> None:
    job = world.job(
        world.every(10), misfire_policy=policy, max_runs=max_runs, misfire_grace_ms=15_000, catch_up_limit=20
    )
    name, method, after = LATE_TICK[step]
    for second in (100, 160, 2_000):
        dying = mortal(part(world, name), method, after=after)
        # Where nothing is to be run, nothing is pushed.
        with contextlib.suppress(killed):
            world.tick(world.at(second), world.scheduler(**{name: dying}))
    world.recover(range(2_001, 2_100))
    covered = [
        moment
        for execution in world.log(job)
        for moment in (
            range(_seconds(world, execution.scheduled_at), _seconds(world, execution.skipped_until) + 10, 10)
            if execution.skipped_count
            else [_seconds(world, execution.scheduled_at)]
        )
    ]
    assert sorted(covered) == list(range(10, max(covered) + 10, 10))
    ran = [status for status in world.found(job).values() if status == "success"]
    if max_runs is None:
        assert max(covered) == 2_090
    else:
        assert len(ran) == world.stored(job).scheduled_runs == max_runs
        assert world.stored(job).status is JobStatus.COMPLETED
    assert_all_is_well(world, job)


def _seconds(world: Any, moment: Any) -> int:
    return int((moment - world.t0).total_seconds())


def test_the_record_of_missed_fire_times_grows_when_its_writer_died_before_the_cursor(
    world: Any, mortal: Any, killed: Any
) -> None:
    job = world.job(world.every(1), misfire_policy=MisfirePolicy.SKIP)
    for second in (300, 400):
        with pytest.raises(killed):
            world.tick(world.at(second), world.scheduler(executions=mortal(world.executions, "insert")))
    world.tick(world.at(400))
    [summary] = [execution for execution in world.log(job) if execution.skipped_count]
    assert (summary.skipped_count, summary.skipped_until) == (339 - 100, world.at(339))
    assert list(world.found(job))[-61:] == [float(n) for n in range(340, 401)]


def test_a_mirror_that_is_flushed_and_a_ticker_that_dies_lose_nothing(
    world: Any, mortal: Any, killed: Any
) -> None:
    job = world.job(world.every(10))
    with pytest.raises(killed):
        world.tick(world.at(20), world.scheduler(source=mortal(world.source, "advance", after=False)))
    world.redis.flushall()
    world.pushed.clear()
    FullComparison(jobs=world.jobs, source=world.source).run(threading.Event())
    world.recover(range(30, 120, 10))
    assert list(world.found(job)) == [float(n) for n in range(10, 120, 10)]
    assert_all_is_well(world, job)


# --- changes


EDIT = {
    "before it is settled": ("executions", "insert", False),
    "within the settling": ("executions", "insert", True),
    "after it is settled": ("jobs", "update", False),
    "after it is written": ("jobs", "update", True),
    "after it is mirrored": ("source", "put", True),
}


@pytest.mark.parametrize("step", EDIT)
def test_an_edit_whose_writer_dies_is_made_wholly_or_not_at_all(
    world: Any, user_at: Any, mortal: Any, killed: Any, step: str
) -> None:
    job = world.job(world.every(10))
    name, method, after = EDIT[step]
    parts: dict[str, Any] = {}
    if name == "executions":
        parts["scheduler"] = world.scheduler(executions=mortal(world.executions, method, after=after))
    else:
        parts[name] = mortal(getattr(world, name), method, after=after)
        parts["scheduler"] = world.scheduler()
    with pytest.raises(killed):
        user_at(25, **parts).edit(job, interval="second", interval_value=20, start_at=world.at(40))
    written = step in ("after it is written", "after it is mirrored")
    assert world.stored(job).version == (2 if written else 1)
    world.recover(range(26, 101))
    expected = [10, 20, 40, 60, 80, 100] if written else list(range(10, 101, 10))
    assert list(world.found(job)) == expected
    assert set(world.found(job).values()) == {"success"}
    assert_all_is_well(world, job)


@pytest.mark.parametrize("step", ["after it is settled", "after it is written"])
def test_a_pause_whose_writer_dies_is_made_wholly_or_not_at_all(
    world: Any, user_at: Any, mortal: Any, killed: Any, step: str
) -> None:
    job = world.job(world.every(10))
    name, method, after = EDIT[step]
    with pytest.raises(killed):
        user_at(25, **{name: mortal(getattr(world, name), method, after=after)}).pause(job)
    paused = step == "after it is written"
    world.recover(range(26, 101))
    ran = [second for second, status in world.found(job).items() if status == "success"]
    if paused:
        assert [second for second in ran if second > 25] == []
        assert world.mirrored(job) == (None, None, None)
    else:
        assert ran == list(range(10, 101, 10))
    assert_all_is_well(world, job)


@pytest.mark.parametrize(("method", "after"), [("delete", False), ("delete", True)])
def test_a_deletion_whose_writer_dies_is_made_wholly_or_not_at_all(
    world: Any, user_at: Any, mortal: Any, killed: Any, method: str, after: bool
) -> None:
    job = world.job(world.every(10))
    world.tick(world.at(20))
    with pytest.raises(killed):
        user_at(25, jobs=mortal(world.jobs, method, after=after)).delete(job)
    world.recover(range(26, 101))
    if after:
        assert world.found(job) == {10: "cancelled:deleted", 20: "cancelled:deleted"}
        assert world.source.size() == 0
    else:
        assert list(world.found(job)) == [float(n) for n in range(10, 101, 10)]
        assert_all_is_well(world, job)


# --- workers


CLAIM = {
    "before the claim": ("executions", "claim", False),
    "after the claim": ("executions", "claim", True),
    "after it is read back": ("executions", "claimed", True),
    "before a lone claim": ("executions", "claim_one", False),
    "after a lone claim": ("executions", "claim_one", True),
}

RECORD = {
    "before the record": ("executions", "apply", False),
    "after the record": ("executions", "apply", True),
    "before the counters": ("jobs", "count_outcomes", False),
    "after the counters": ("jobs", "count_outcomes", True),
    "before the roll-up": ("rollups", "add", False),
    "after the roll-up": ("rollups", "add", True),
    "before they are marked as counted": ("executions", "mark_counted", False),
    "after they are marked as counted": ("executions", "mark_counted", True),
    "before the slot is released": ("jobs", "release_slot", False),
    "after the slot is released": ("jobs", "release_slot", True),
    "before the next one is pushed": ("enqueue", "__call__", False),
}

OF_SLOTS = ("before the slot is released", "after the slot is released", "before the next one is pushed")


@pytest.mark.parametrize("step", CLAIM)
def test_a_worker_that_dies_while_it_claims_loses_nothing(
    world: Any, mortal: Any, killed: Any, step: str
) -> None:
    name, method, after = CLAIM[step]
    jobs = [world.job(world.every(10)) for _ in range(1 if method == "claim_one" else 3)]
    world.tick(world.at(10))
    with pytest.raises(killed):
        world.claimer(world.at(10), **{name: mortal(part(world, name), method, after=after)}).claim(
            world.take_pushed()
        )
    world.recover(range(20, 200, 10))
    for job in jobs:
        assert list(world.found(job)) == [float(n) for n in range(10, 200, 10)]
        assert_all_is_well(world, job)
    lost = sum(execution.lost_count for job in jobs for execution in world.log(job))
    assert lost == (0 if step.startswith("before") else len(jobs))


@pytest.mark.parametrize(
    ("method", "after"),
    [("take_slot", False), ("take_slot", True), ("take_waiting_slot", True), ("take_waiting_slot", False)],
)
def test_a_worker_that_dies_at_the_slots_of_a_job_blocks_it_not(
    world: Any, mortal: Any, killed: Any, method: str, after: bool
) -> None:
    job = world.job(world.every(100), overlap_policy=OverlapPolicy.QUEUE)
    if "waiting" in method:
        world.tick(world.at(100))
        world.claim(world.at(100))
        world.tick(world.at(200))
    else:
        world.tick(world.at(100))
    now = world.at(201)
    slots = world.slots(now, jobs=mortal(world.jobs, method, after=after))
    with pytest.raises(killed):
        world.claimer(now, slots=slots).claim(world.take_pushed())
    world.recover(range(202, 1_000, 10))
    found = world.found(job)
    assert list(found) == [float(n) for n in range(100, 1_000, 100)]
    assert found[100] == found[900] == "success"
    assert_all_is_well(world, job)


def test_a_worker_that_dies_while_it_puts_one_to_wait_blocks_the_job_not(
    world: Any, mortal: Any, killed: Any
) -> None:
    for after in (False, True):
        job = world.job(world.every(100), overlap_policy=OverlapPolicy.QUEUE)
        world.tick(world.at(100))
        first = world.claim(world.at(100))
        world.tick(world.at(200))
        slots = world.slots(world.at(201), executions=mortal(world.executions, "apply", after=after))
        with pytest.raises(killed):
            world.claimer(world.at(201), slots=slots).claim(world.take_pushed())
        world.finish(first, world.at(202))
        world.recover(range(202, 600, 10))
        assert list(world.found(job))[:5] == [100, 200, 300, 400, 500]
        assert set(world.found(job).values()) == {"success"}
        assert_all_is_well(world, job)
        world.jobs.delete(job.id, expected_version=1)
        world.source.remove([(job.id, 2)])


def rolled_up(world: Any, job: Job) -> dict[str, int]:
    """The counts of the hours of a job, by status."""
    while world.rollups.merge(now=world.at(2_000), retention=timedelta(days=30)).more:
        pass
    totals = world.rollups.totals(owner_id=None, job_id=job.id, since=world.at(0), until=world.at(7_200))
    return {status.value: count for status, count in totals.counts.items()}


@pytest.mark.parametrize(
    ("step", "overlap"),
    [
        (step, overlap)
        for step in RECORD
        for overlap in (OverlapPolicy.ALLOW, OverlapPolicy.QUEUE)
        if overlap is OverlapPolicy.QUEUE or step not in OF_SLOTS
    ],
)
def test_a_worker_that_dies_while_it_records_counts_each_outcome_once(
    world: Any, mortal: Any, killed: Any, step: str, overlap: OverlapPolicy
) -> None:
    jobs = [world.job(world.every(100), overlap_policy=overlap) for _ in range(2)]
    world.tick(world.at(100))
    claimed = world.claim(world.at(100))
    world.tick(world.at(200))
    world.finish(world.claim(world.at(200)), world.at(201))
    name, method, after = RECORD[step]
    dying = mortal(part(world, name), method, after=after)
    parts = {name: dying}
    if method == "release_slot":
        parts = {"slots": world.slots(world.at(202), jobs=dying)}
    if name == "rollups":
        parts = {"counter": OutcomeCounter(world.jobs, world.executions, dying)}
    recorder = world.recorder(world.at(202), **parts)
    records = world.records(claimed, world.at(202), "group")
    with pytest.raises(killed):
        recorder.record(records, "group")
    world.recover(range(203, 1_000, 10))
    for job in jobs:
        found = world.found(job)
        assert list(found) == [float(n) for n in range(100, 1_000, 100)]
        assert set(found.values()) <= {"success", "skipped:overlap"}
        assert found[100] == found[200] == found[900] == "success"
        assert_all_is_well(world, job)
        assert rolled_up(world, job) == Counter(status.partition(":")[0] for status in found.values())


@pytest.mark.parametrize("step", ["before the record", "after the record"])
def test_a_worker_that_dies_over_a_failed_attempt_leaves_its_retry(
    world: Any, mortal: Any, killed: Any, step: str
) -> None:
    job = world.job(world.once(100), retry=RetryPolicy(max_retries=1, retry_delays_ms=(30_000,)))
    world.tick(world.at(100))
    claimed = world.claim(world.at(100))
    name, method, after = RECORD[step]
    recorder = world.recorder(world.at(101), **{name: mortal(part(world, name), method, after=after)})
    with pytest.raises(killed):
        recorder.record(
            world.records(claimed, world.at(101), "group", result=HttpResult(status=500)), "group"
        )
    world.recover(range(110, 300, 10))
    assert world.found(job) == {100: "success"}
    [execution] = world.log(job)
    assert execution.attempt_count == 2
    assert_all_is_well(world, job)


@pytest.mark.parametrize(("name", "method", "after"), [
    ("executions", "apply", False),
    ("executions", "apply", True),
    ("enqueue", "__call__", False),
    ("enqueue", "__call__", True),
])  # fmt: skip
def test_a_sweep_that_dies_leaves_what_it_found_to_the_next(
    world: Any, mortal: Any, killed: Any, name: str, method: str, after: bool
) -> None:
    job = world.job(world.once(10))
    world.tick(world.at(10))
    world.pushed.clear()
    with pytest.raises(killed):
        world.sweep(world.at(40), **{name: mortal(part(world, name), method, after=after)})
    world.recover(range(41, 200))
    assert world.found(job) == {10: "success"}
    assert_all_is_well(world, job)


# --- real processes


PROCESS = """
import json, os, sys
from datetime import datetime, timedelta
from webhookcron.delivery.secrets import SecretBox
from webhookcron.storage import client as mongo
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks import client as redis_client
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import TickSource

mongodb_uri, redis_url, moment, part, method, after = sys.argv[1:]
database = mongo.database_of(mongo.connect(mongodb_uri))
parts = {
    "jobs": JobStore(database, SecretBox(["a-secret-key-for-tests-only"])),
    "executions": ExecutionStore(database),
    "source": TickSource(redis_client.connect(redis_url)),
    "enqueue": lambda ids: None,
}

class Mortal:
    def __init__(self, inner):
        self.inner = inner
    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if name != method:
            return attribute
        def call(*args, **kwargs):
            if after == "after":
                attribute(*args, **kwargs)
            os._exit(9)
        return call
    def __call__(self, ids):
        os._exit(9)

parts[part] = Mortal(parts[part])
now = datetime.fromisoformat(moment)
scheduler = Scheduler(**parts, retention=timedelta(days=30))
due = parts["source"].tick("process", limit=100).due
scheduler.fire(due, now)
scheduler.cursors.flush()
print(json.dumps("survived"))
"""


@pytest.mark.parametrize("max_runs", [None, 5])
@pytest.mark.parametrize(
    ("name", "method", "after"),
    [
        ("executions", "insert", "before"),
        ("executions", "insert", "after"),
        ("enqueue", "__call__", "before"),
        ("source", "advance", "before"),
        ("source", "advance", "after"),
    ],
)
def test_a_ticker_process_that_is_gone_at_once_loses_and_doubles_nothing(
    world: Any, mongodb_uri: str, redis_url: str, name: str, method: str, after: str, max_runs: int | None
) -> None:
    job = world.job(world.every(10), max_runs=max_runs)
    uri = f"{mongodb_uri.rstrip('/')}/{world.database.name}"
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, uri, redis_url, world.at(20).isoformat(), name, method, after],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (9, b""), ended.stderr.decode()
    world.recover(range(21, 100))
    expected = list(range(10, 100, 10))[:max_runs]
    assert world.found(job) == dict.fromkeys(expected, "success")
    assert_all_is_well(world, job)


def test_the_process_used_above_survives_when_nothing_ends_it(
    world: Any, mongodb_uri: str, redis_url: str
) -> None:
    job = world.job(world.every(10))
    uri = f"{mongodb_uri.rstrip('/')}/{world.database.name}"
    arguments = [
        uri,
        redis_url,
        (world.t0 + timedelta(seconds=20)).isoformat(),
        "source",
        "no_such_method",
        "before",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments], capture_output=True, timeout=60, check=True
    )
    assert json.loads(ended.stdout) == "survived"
    assert world.found(job) == {10: "queued", 20: "queued"}
