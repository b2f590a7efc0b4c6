"""Executions in MongoDB: one of each, claimed by one, recorded by its holder, read by pages that hold still."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymongo.errors import BulkWriteError

from webhookcron.core.errors import CorruptDocument, NotFinal, NotFound, StoreUnavailable
from webhookcron.core.executions import AttemptError, Execution, ExecutionStatus, Reason, Trigger
from webhookcron.core.fires import DueRun
from webhookcron.storage.executions import ExecutionStore, GuardedUpdate


@pytest.fixture
def execution_at(world: Any) -> Callable[..., Execution]:
    """A queued execution of job `j` for a fire time, some seconds after the start."""

    def make(seconds: float, **fields: Any) -> Execution:
        moment = world.at(seconds)
        values: dict[str, Any] = {
            "id": f"j:{seconds}",
            "job_id": "j",
            "owner_id": "ann",
            "job_name": "report",
            "host": "example.com",
            "trigger": Trigger.SCHEDULE,
            "status": ExecutionStatus.QUEUED,
            "scheduled_at": moment,
            "queued_at": moment,
            "check_at": moment + timedelta(seconds=30),
        }
        return Execution(**(values | fields))

    return make


@pytest.fixture
def final_at(execution_at: Callable[..., Execution]) -> Callable[..., Execution]:
    def make(seconds: float, **fields: Any) -> Execution:
        return execution_at(
            seconds, status=ExecutionStatus.SKIPPED, check_at=None, reason="misfire", **fields
        )

    return make


# --- creating


def test_an_execution_comes_back_as_it_was_stored(world: Any, execution_at: Any) -> None:
    execution = execution_at(60, reason="waiting", replay_of="j:1")
    world.executions.insert([execution])
    assert world.executions.get(execution.id, owner_id="ann") == execution
    with pytest.raises(NotFound):
        world.executions.get(execution.id, owner_id="bob")


def test_a_due_run_is_stored_as_a_queued_execution_of_its_job(world: Any) -> None:
    job = world.jobs.tick_jobs([world.job().id]).popitem()[1]
    run = DueRun(f"{job.id}:1", job, world.at(60), world.at(61), world.at(91))
    assert world.executions.insert([run]).created == {run.id}
    assert world.executions.get(run.id, owner_id=job.owner_id) == Execution(
        id=run.id,
        job_id=job.id,
        owner_id=job.owner_id,
        job_name=job.name,
        host=job.host,
        trigger=Trigger.SCHEDULE,
        status=ExecutionStatus.QUEUED,
        scheduled_at=world.at(60),
        queued_at=world.at(61),
        check_at=world.at(91),
    )


def test_what_is_there_already_is_present_but_not_created(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(1)])
    inserted = world.executions.insert([execution_at(1, job_name="late"), execution_at(2)])
    assert inserted.present == {"j:1", "j:2"}
    assert inserted.created == {"j:2"}
    assert world.executions.get("j:1", owner_id=None).job_name == "report", "the first one stays"


def test_many_executions_are_stored_in_slices(world: Any, execution_at: Any) -> None:
    executions = [execution_at(n) for n in range(1_203)]
    assert len(world.executions.insert(executions).created) == 1_203
    again = world.executions.insert(executions)
    assert (len(again.present), len(again.created)) == (1_203, 0)


def test_of_many_that_insert_the_same_one_creates_it(
    world: Any, execution_at: Any, in_threads: Callable[..., list[Any]]
) -> None:
    for n in range(10):
        results = in_threads(lambda _t, n=n: world.executions.insert([execution_at(n)]), range(6))
        assert sum(bool(result.created) for result in results) == 1
        assert all(result.present for result in results)


def test_the_record_of_missed_fire_times_grows_and_never_shrinks(world: Any, final_at: Any) -> None:
    for count, until in ((10, 100), (30, 300), (20, 200)):
        summary = final_at(60, id="j:60:s", skipped_count=count, skipped_until=world.at(until))
        assert world.executions.insert([summary]).present == {"j:60:s"}
    stored = world.executions.get("j:60:s", owner_id=None)
    assert (stored.skipped_count, stored.skipped_until) == (30, world.at(300))


class OneBatch:
    """A collection whose unordered insert fails in a given way."""

    def __init__(self, details: dict[str, Any]) -> None:
        self._details = details

    def __getitem__(self, _name: str) -> OneBatch:
        return self

    def with_options(self, **_options: Any) -> OneBatch:
        return self

    def insert_many(self, *_args: Any, **_options: Any) -> None:
        raise BulkWriteError(self._details)

    bulk_write = insert_many


def failed(id_: str, code: int, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "code": code, "errmsg": "no", "op": {"_id": id_}, **fields}


def test_only_a_duplicate_id_means_present(execution_at: Any) -> None:
    errors = [
        failed("j:1", 11000, keyPattern={"_id": 1}),
        failed("j:2", 11000, keyPattern={"other": 1}),
        failed("j:3", 121),
        failed("j:4", 11000),
    ]
    store = ExecutionStore(OneBatch({"writeErrors": errors, "writeConcernErrors": []}))  # type: ignore[arg-type]
    inserted = store.insert([execution_at(n) for n in range(1, 6)])
    assert inserted.present == {"j:1", "j:4", "j:5"}
    assert inserted.created == {"j:5"}


@pytest.mark.parametrize(
    "details",
    [
        {
            "writeErrors": [],
            "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}],
        },
        {"writeErrors": [failed("j:1", 10107)], "writeConcernErrors": []},
    ],
)
def test_writes_that_were_not_acknowledged_are_an_outage(details: dict[str, Any]) -> None:
    store = ExecutionStore(OneBatch(details))  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable):
        store.apply([GuardedUpdate("j:1", {}, {"$set": {"a": 1}})])


def test_inserts_that_were_not_acknowledged_are_an_outage(execution_at: Any) -> None:
    details = {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "no majority"}]}
    with pytest.raises(StoreUnavailable):
        ExecutionStore(OneBatch(details)).insert([execution_at(1)])  # type: ignore[arg-type]


def test_what_the_schedule_made_is_told_from_what_was_missed_or_asked_for(
    world: Any, execution_at: Any, final_at: Any
) -> None:
    world.executions.insert(
        [
            execution_at(60),
            final_at(120),
            final_at(180, id="limit"),
            execution_at(240, trigger=Trigger.BACKFILL),
            execution_at(300),
            execution_at(420),
            execution_at(300, id="k:300", job_id="k"),
        ]
    )
    world.database["executions"].update_one(
        {"_id": "j:300"}, {"$set": {"status": "skipped", "reason": "paused"}}
    )
    made = world.executions.made_by_schedule("j", world.at(60), world.at(360))
    assert made == [world.at(60), world.at(300)]


# --- claiming


def test_a_claim_takes_what_is_queued_and_nothing_else(world: Any, execution_at: Any, final_at: Any) -> None:
    world.executions.insert([execution_at(1, reason="waiting"), final_at(2)])
    world.executions.claim(["j:1", "j:2", "j:3"], "token", now=world.at(5), lease_until=world.at(50))
    [claimed] = world.executions.claimed(["j:1", "j:2", "j:3"], "token")
    assert (claimed.id, claimed.scheduled_at, claimed.attempt_count) == ("j:1", world.at(1), 0)
    [stored] = world.executions.get_many(["j:1"])
    assert (stored.status, stored.claim) == (ExecutionStatus.RUNNING, "token")
    assert (stored.check_at, stored.reason) == (world.at(50), None)


def test_a_lone_claim_does_both_in_one(world: Any, execution_at: Any, final_at: Any) -> None:
    world.executions.insert([execution_at(1), final_at(2)])
    until = world.at(50)
    [claimed] = world.executions.claim_one("j:1", "token", now=world.at(5), lease_until=until)
    assert claimed == world.executions.claimed(["j:1"], "token")[0]
    for execution_id in ("j:1", "j:2", "j:3"):
        assert world.executions.claim_one(execution_id, "other", now=world.at(6), lease_until=until) == []
    stored = world.executions.get("j:1", owner_id=None)
    assert (stored.status, stored.claim, stored.check_at) == (ExecutionStatus.RUNNING, "token", until)


def test_a_claimed_execution_tells_what_earlier_attempts_left(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(1), execution_at(2)])
    earlier = {
        "startedAt": world.at(3),
        "attemptCount": 2,
        "lostCount": 1,
        "interrupted": True,
        "error": {"kind": "connect", "message": "refused"},
        "attempts": [{"number": 1}],
    }
    world.database["executions"].update_one({"_id": "j:1"}, {"$set": earlier})
    world.executions.claim(["j:1", "j:2"], "token", now=world.at(5), lease_until=world.at(50))
    first, second = sorted(world.executions.claimed(["j:1", "j:2"], "token"))
    assert (first.started_at, first.attempt_count, first.lost_count) == (world.at(3), 2, 1)
    assert (first.interrupted, first.error) == (True, AttemptError(kind="connect", message="refused"))
    assert (second.started_at, second.interrupted, second.error) == (None, False, None)


@pytest.mark.parametrize(
    "damage", [{"scheduledAt": "noon"}, {"trigger": "whim"}, {"host": 7}, {"attemptCount": -1}]
)
def test_a_claimed_document_that_cannot_be_read_is_left_out(
    world: Any, execution_at: Any, damage: dict[str, Any]
) -> None:
    world.executions.insert([execution_at(1), execution_at(2)])
    world.database["executions"].update_one({"_id": "j:1"}, {"$set": damage})
    world.executions.claim(["j:1", "j:2"], "token", now=world.at(5), lease_until=world.at(50))
    assert [claimed.id for claimed in world.executions.claimed(["j:1", "j:2"], "token")] == ["j:2"]


def test_a_claim_repeated_with_its_token_finds_what_it_took(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(1)])
    for _ in range(2):
        world.executions.claim(["j:1"], "token", now=world.at(5), lease_until=world.at(50))
    assert len(world.executions.claimed(["j:1"], "token")) == 1
    world.executions.claim(["j:1"], "other", now=world.at(5), lease_until=world.at(50))
    assert world.executions.claimed(["j:1"], "other") == []


def test_of_many_claims_one_wins_each_execution(
    world: Any, execution_at: Any, in_threads: Callable[..., list[Any]]
) -> None:
    ids = [f"j:{n}" for n in range(40)]
    world.executions.insert([execution_at(n) for n in range(40)])

    def claim(token: str) -> list[str]:
        world.executions.claim(ids, token, now=world.at(50), lease_until=world.at(95))
        return [execution.id for execution in world.executions.claimed(ids, token)]

    won = in_threads(claim, [f"token-{n}" for n in range(6)])
    assert sorted(execution_id for ids_ in won for execution_id in ids_) == sorted(ids)


CLAIMING_PROCESS = """
import json, sys
from datetime import datetime
from webhookcron.storage import client
from webhookcron.storage.executions import ExecutionStore

uri, token, moment, *ids = sys.argv[1:]
connection = client.connect(uri)
store = ExecutionStore(client.database_of(connection))
now = datetime.fromisoformat(moment)
won = []
for id in ids:
    store.claim([id], token, now=now, lease_until=now)
    won += [execution.id for execution in store.claimed([id], token)]
print(json.dumps(won))
connection.close()
"""


def test_of_many_processes_one_wins_each_execution(world: Any, execution_at: Any, mongodb_uri: str) -> None:
    ids = [f"j:{n}" for n in range(60)]
    world.executions.insert([execution_at(n) for n in range(60)])
    uri = f"{mongodb_uri.rstrip('/')}/{world.database.name}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMING_PROCESS, uri, f"token-{n}", world.at(99).isoformat(), *ids],
            stdout=subprocess.PIPE,
        )
        for n in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert sorted(won for output in outputs for won in json.loads(output)) == sorted(ids)


def test_a_lease_is_extended_for_its_holder_only(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(1)])
    world.executions.claim(["j:1"], "token", now=world.at(5), lease_until=world.at(50))
    world.executions.extend(["j:1"], "other", world.at(500))
    assert world.executions.get("j:1", owner_id=None).check_at == world.at(50)
    world.executions.extend(["j:1"], "token", world.at(90))
    assert world.executions.get("j:1", owner_id=None).check_at == world.at(90)


# --- recording


def test_a_change_happens_only_while_its_guard_holds(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(1), execution_at(2)])
    changes = [
        GuardedUpdate(f"j:{n}", {"status": status}, {"$set": {"reason": "changed"}})
        for n, status in ((1, "queued"), (2, "running"), (3, "queued"))
    ]
    assert world.executions.apply(changes) == 1
    assert world.executions.get("j:1", owner_id=None).reason == "changed"
    assert world.executions.get("j:2", owner_id=None).reason is None


def test_outcomes_wait_to_be_counted_as_a_group(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(n) for n in (1, 2, 3)])
    outcome = {"status": "success", "counted": False, "countToken": "t", "checkAt": world.at(20)}
    world.executions.apply([GuardedUpdate(f"j:{n}", {}, {"$set": outcome}) for n in (1, 2)])
    assert world.executions.with_outcome(["j:1", "j:3"], "t") == {"j:1"}
    assert {e.id for e in world.executions.outcome_group(world.at(20), "t")} == {"j:1", "j:2"}
    world.executions.mark_counted(["j:1", "j:2", "j:3"])
    assert world.executions.outcome_group(world.at(20), "t") == []
    first, third = (world.executions.get(f"j:{n}", owner_id=None) for n in (1, 3))
    assert (first.counted, first.check_at, first.count_token) == (True, None, None)
    assert third.check_at is not None, "it is not final, so its checkAt stays"


# --- looking


def test_what_is_to_be_checked_comes_in_order_and_bounded(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(n) for n in (30, 10, 20)])
    assert [e.id for e in world.executions.to_check(world.at(55), 10)] == ["j:10", "j:20"]
    assert [e.id for e in world.executions.to_check(world.at(60), 1)] == ["j:10"]


@pytest.mark.parametrize(
    "corruption",
    [
        {"$unset": {"jobId": ""}},
        {"$set": {"status": "odd"}},
        {"$set": {"scheduledAt": "noon"}},
        {"$set": {"attempts": 3}},
    ],
)
def test_an_execution_that_cannot_be_read_is_set_aside(
    world: Any, execution_at: Any, corruption: dict[str, Any]
) -> None:
    world.executions.insert([execution_at(10), execution_at(20)])
    world.database["executions"].update_one({"_id": "j:10"}, corruption)
    if "attempts" in str(corruption):
        with pytest.raises(CorruptDocument):
            world.executions.get("j:10", owner_id=None)
        return
    assert [e.id for e in world.executions.to_check(world.at(60), 10)] == ["j:20"]
    assert world.database["executions"].count_documents({"checkAt": {"$lte": world.at(60)}}) == 1, (
        "not the next time"
    )
    assert [e.id for e in world.executions.list(owner_id="ann", limit=10) if e.id == "j:10"] == []


def pages(world: Any, **query: Any) -> list[str]:
    seen: list[str] = []
    after = None
    while True:
        page = world.executions.list(owner_id="ann", after=after, limit=3, **query)
        if not page:
            return seen
        seen += [execution.id for execution in page]
        after = (page[-1].scheduled_at, page[-1].id)


def test_pages_hold_each_execution_once_the_latest_first(world: Any, execution_at: Any) -> None:
    ties = [execution_at(40, id=f"j:40:{n}") for n in range(5)]
    world.executions.insert([*(execution_at(n) for n in range(0, 100, 10)), *ties])
    found = pages(world)
    assert len(found) == len(set(found)) == 15
    moments = [world.executions.get(i, owner_id=None).scheduled_at for i in found]
    assert moments == sorted(moments, reverse=True)
    assert pages(world, scheduled_from=world.at(30), scheduled_to=world.at(50)) == [
        "j:40:4", "j:40:3", "j:40:2", "j:40:1", "j:40:0", "j:40", "j:30",
    ]  # fmt: skip


def test_new_executions_do_not_shift_later_pages(world: Any, execution_at: Any) -> None:
    world.executions.insert([execution_at(n) for n in range(6)])
    first = world.executions.list(owner_id="ann", limit=3)
    world.executions.insert([execution_at(n) for n in range(10, 16)])
    second = world.executions.list(owner_id="ann", limit=3, after=(first[-1].scheduled_at, first[-1].id))
    assert [e.id for e in (*first, *second)] == ["j:5", "j:4", "j:3", "j:2", "j:1", "j:0"]


def test_a_list_is_narrowed_by_status_trigger_and_job(world: Any, execution_at: Any, final_at: Any) -> None:
    world.executions.insert([execution_at(1), final_at(2), execution_at(3, trigger=Trigger.MANUAL)])
    world.executions.insert([execution_at(4, id="k:4", job_id="k")])
    assert pages(world, statuses=("skipped",)) == ["j:2"]
    assert pages(world, statuses=("skipped", "queued"), job_id="j") == ["j:3", "j:2", "j:1"]
    assert pages(world, triggers=("manual",)) == ["j:3"]


# --- ending from outside


def test_cancelling_ends_what_waits_and_leaves_what_runs(
    world: Any, execution_at: Any, final_at: Any
) -> None:
    world.executions.insert([execution_at(n) for n in (1, 2, 3)] + [final_at(4), execution_at(5, job_id="k")])
    world.executions.claim(["j:2"], "t", now=world.at(5), lease_until=world.at(50))
    world.executions.apply(
        [GuardedUpdate("j:3", {}, {"$set": {"status": "retrying", "nextAttemptAt": world.at(9)}})]
    )
    ended = world.executions.cancel("j", Reason.DELETED, now=world.at(6), expire_at=world.at(600))
    assert ended == 2
    statuses = {e.id: (e.status.value, e.reason) for e in world.executions.list(owner_id="ann", limit=10)}
    assert statuses["j:1"] == statuses["j:3"] == ("cancelled", "deleted")
    assert (statuses["j:2"][0], statuses["j:4"][0], statuses["j:5"][0]) == ("running", "skipped", "queued")
    third = world.executions.get("j:3", owner_id=None)
    assert (third.next_attempt_at, third.expire_at) == (None, world.at(600))
    # The sweep puts it into the roll-ups.
    assert (third.counted, third.check_at) == (False, world.at(6))


def test_only_what_waits_can_be_cancelled(world: Any, execution_at: Any, final_at: Any) -> None:
    world.executions.insert([execution_at(1), final_at(2)])
    now = {"now": world.at(6), "expire_at": world.at(600)}
    assert world.executions.cancel_one("j:1", Reason.CANCELLED, **now)
    assert not world.executions.cancel_one("j:1", Reason.CANCELLED, **now)
    assert not world.executions.cancel_one("j:2", Reason.CANCELLED, **now)


@pytest.mark.parametrize(
    ("status", "cursor_seconds", "deleted"),
    [
        (ExecutionStatus.SUCCESS, 10, True),
        (ExecutionStatus.SUCCESS, 9, False),
        (ExecutionStatus.SUCCESS, None, True),
        (ExecutionStatus.QUEUED, 10, False),
        (ExecutionStatus.RETRYING, None, False),
    ],
)
def test_only_what_is_final_and_cannot_be_made_again_is_deleted(
    world: Any, execution_at: Any, status: ExecutionStatus, cursor_seconds: int | None, deleted: bool
) -> None:
    world.executions.insert([replace(execution_at(10), status=status)])
    cursor = None if cursor_seconds is None else world.at(cursor_seconds)
    if deleted:
        world.executions.delete("j:10", owner_id="ann", handled_through=cursor)
    else:
        with pytest.raises(NotFinal):
            world.executions.delete("j:10", owner_id="ann", handled_through=cursor)
    assert bool(world.executions.present(["j:10"])) is not deleted


def test_deleting_a_log_leaves_what_is_under_way(world: Any, execution_at: Any, final_at: Any) -> None:
    world.executions.insert([execution_at(1), final_at(2), final_at(3)])
    assert world.executions.delete_final("j") == 2
    assert world.executions.present(["j:1", "j:2", "j:3"]) == {"j:1"}
    assert world.executions.any_under_way("j")
    assert not world.executions.any_under_way("k")
