"""Search, filters and orders of lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.storage.execution_logs import ExecutionLogs, LogFilter
from webhookcron.storage.executions import ExecutionStore

START = datetime(2030, 1, 1, tzinfo=UTC)


def names(caller: Any, query: str = "") -> list[str]:
    response = caller("GET", f"/api/cron?sort=name&{query}")
    assert response.status_code == 200, response.get_json()
    return [job["name"] for job in response.get_json()["items"]]


@pytest.fixture
def jobs(caller: Any) -> None:
    caller.created(name="Weekly report", tags=["reports", "eu"], description="Sends Umsätze", key="weekly")
    caller.created(
        name="Daily report", tags=["reports"], webhookUrl="https://hooks.example.org/x", isActive=False
    )
    caller.created(name="Clean up", tags=["ops", "eu"], interval="hour", intervalValue=1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Clean up", "Daily report", "Weekly report"]),
        ("search=rep", ["Daily report", "Weekly report"]),
        ("search=WEEK+rep", ["Weekly report"]),
        ("search=ums%C3%A4", ["Weekly report"]),
        ("search=eport", []),
        ("search=.*", ["Clean up", "Daily report", "Weekly report"]),
        ("search=eu", ["Clean up", "Weekly report"]),
        ("tag=reports", ["Daily report", "Weekly report"]),
        ("tags=ops,reports", ["Clean up", "Daily report", "Weekly report"]),
        ("allTags=reports,eu", ["Weekly report"]),
        ("tag=eu&search=clean", ["Clean up"]),
        ("host=hooks.EXAMPLE.org", ["Daily report"]),
        ("scheduleType=interval", ["Clean up"]),
        ("isActive=false", ["Daily report"]),
        ("status=active&isActive=false", []),
        ("key=weekly", ["Weekly report"]),
        ("lastStatus=success", []),
        ("ownerId=nobody", []),
    ],
)
def test_jobs_are_found(caller: Any, jobs: None, query: str, expected: list[str]) -> None:
    assert names(caller, query) == expected


def test_orders_of_several_fields(caller: Any) -> None:
    for name, key in (("b", "1"), ("a", "2"), ("b", "3")):
        caller.created(name=name, key=key)
    listed = caller("GET", "/api/cron?sort=-name,createdAt").get_json()["items"]
    assert [job["key"] for job in listed] == ["1", "3", "2"]


def test_admins_and_viewers_list_everyones_or_one_owners(caller: Any, new_caller: Any, jobs: None) -> None:
    owner = caller("GET", "/api/cron").get_json()["items"][0]["ownerId"]
    new_caller().created(name="theirs")
    for role in ("admin", "viewer"):
        seer = new_caller(role)
        assert names(seer) == ["Clean up", "Daily report", "Weekly report", "theirs"]
        assert len(names(seer, f"ownerId={owner}")) == 3


def test_jobs_of_removed_accounts_are_still_seen(caller: Any, new_caller: Any, platform: Any) -> None:
    caller.created()
    platform.database["users"].update_many({}, {"$set": {"deletedAt": START}})
    assert new_caller("admin")("GET", "/api/cron").get_json()["total"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"signingSecrets": [{"sealed": "not ours"}]},
        {"sealedHeaders": "not ours", "headers": [["Authorization", None]]},
        {"auth": {"type": "basic", "username": "u", "sealed": "not ours"}},
    ],
)
def test_a_secret_that_cannot_be_read_spoils_no_list(caller: Any, platform: Any, damage: Any) -> None:
    job, _ = caller.created(name="a"), caller.created(name="b")
    platform.database["jobs"].update_one({"_id": job["id"]}, {"$set": damage})
    assert names(caller) == ["a", "b"]
    assert caller("GET", f"/api/cron/{job['id']}").status_code == 500


def test_a_document_that_cannot_be_read_is_left_out_of_lists(caller: Any, platform: Any) -> None:
    job, _ = caller.created(name="a"), caller.created(name="b")
    platform.database["jobs"].update_one({"_id": job["id"]}, {"$set": {"maxRetries": "many"}})
    assert names(caller) == ["b"]


def test_lists_show_secrets_as_the_single_job_does(caller: Any) -> None:
    auth = {"type": "basic", "username": "u", "password": "p"}
    job = caller.created(headers={"Cookie": "x", "X-Team": "y"}, auth=auth)
    listed = caller("GET", "/api/cron").get_json()["items"][0]
    single = caller("GET", f"/api/cron/{job['id']}").get_json()
    assert listed == single
    assert (listed["headers"]["Cookie"], listed["auth"]["password"]) == ("***", "***")


# --- executions


@pytest.fixture
def logs(platform: Any) -> ExecutionStore:
    return platform.executions


def execution(number: int, owner: str = "ann", **fields: Any) -> Execution:
    job = ("a" if owner == "ann" else "b") * 24
    values: dict[str, Any] = {
        "id": f"{job}:{number}",
        "job_id": job,
        "owner_id": owner,
        "job_name": "n",
        "host": "example.com",
        "trigger": Trigger.SCHEDULE,
        "status": ExecutionStatus.SUCCESS,
        "scheduled_at": START + timedelta(seconds=number),
        "queued_at": START,
    }
    return Execution(**(values | fields))


def numbers(executions: list[Execution]) -> list[int]:
    return [int(execution.id.partition(":")[2]) for execution in executions]


def walked(logs: ExecutionLogs, which: LogFilter, *, limit: int, looked_at: int = 10) -> list[list[int]]:
    """The numbers of every step to the end."""
    steps, after = [], None
    while True:
        step = logs.step(which, after=after, limit=limit, looked_at=looked_at)
        steps.append(numbers(step.items))
        after = step.next
        if after is None:
            return steps


def test_a_step_looks_at_no_more_than_it_may(logs: ExecutionStore) -> None:
    rare = {3: "rare", 27: "rare"}
    logs.insert([execution(n, host=rare.get(n, "example.com")) for n in range(29)])
    steps = walked(logs, LogFilter(owner_ids=("ann",), host="rare"), limit=5)
    assert steps == [[27], [], [3]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_steps_find_everything_once_whatever_their_size(logs: ExecutionStore, limit: int) -> None:
    logs.insert(
        [
            execution(
                n,
                owner="ann" if n % 3 else "bob",
                # Several at the same moment.
                scheduled_at=START + timedelta(seconds=n // 4),
                host="rare" if n % 2 else "example.com",
            )
            for n in range(40)
        ]
    )
    both = ("ann", "bob")
    everything = [n for step in walked(logs, LogFilter(owner_ids=both), limit=limit) for n in step]
    assert sorted(everything) == list(range(40))
    some = [n for step in walked(logs, LogFilter(owner_ids=both, host="rare"), limit=limit) for n in step]
    assert sorted(some) == list(range(1, 40, 2))


def test_many_owners_are_walked_in_groups(logs: ExecutionStore, monkeypatch: Any) -> None:
    monkeypatch.setattr("webhookcron.storage.execution_logs.MOST_WALKS", 2)
    owners = tuple(f"o{n}" for n in range(7))
    logs.insert([execution(n, owner=owners[n % 7], host="rare" if n % 5 == 0 else "h") for n in range(60)])
    steps = walked(logs, LogFilter(owner_ids=owners), limit=9)
    assert [n for step in steps for n in step] == list(range(59, -1, -1))
    some = [
        n
        for step in walked(logs, LogFilter(owner_ids=owners, host="rare"), limit=4, looked_at=3)
        for n in step
    ]
    assert some == list(range(55, -1, -5))


@pytest.fixture
def log(new_caller: Any, logs: ExecutionStore) -> Any:
    """Ann, with a log."""
    ann = new_caller(user_id="ann")
    error = {"kind": "connect", "message": "Connection refused (by example.com)"}
    logs.insert(
        [
            execution(0),
            execution(1, trigger=Trigger.MANUAL),
            execution(2, host="hooks.example.org"),
            execution(3, status=ExecutionStatus.FAILED),
            execution(4, owner="bob"),
        ]
    )
    collection = logs._collection
    collection.update_one({"_id": f"{'a' * 24}:3"}, {"$set": {"error": error}})
    collection.update_one({"_id": f"{'a' * 24}:2"}, {"$set": {"durationMs": 1500}})
    return ann


DAY = "from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1, 0]),
        ("trigger=manual", [1]),
        ("host=hooks.example.org", [2]),
        ("minDurationMs=1500", [2]),
        ("minDurationMs=1501", []),
        (f"error=REFUSED+(by&{DAY}", [3]),
        (f"error=.*&{DAY}", []),
        (f"error=refused&jobId={'a' * 24}", [3]),
        ("status=failed,timeout", [3]),
        ("from=2030-01-01T00:00:01Z&to=2030-01-01T00:00:03Z", [2, 1]),
        ("ownerId=bob", []),
        (f"jobId={'b' * 24}", []),
    ],
)
def test_executions_are_found(log: Any, query: str, expected: list[int]) -> None:
    response = log("GET", f"/api/execution-logs?{query}")
    assert response.status_code == 200, response.get_json()
    assert [int(item["id"].partition(":")[2]) for item in response.get_json()["items"]] == expected


@pytest.mark.parametrize("text", ["ù_ü", r"a\b(c)[d]{e}^f$g.h*i+j?k|l-m/n", "line 1", "100 %", "#~`'"])
def test_any_text_is_searched_as_it_stands(log: Any, logs: ExecutionStore, text: str) -> None:
    error = {"kind": "connect", "message": f"before {text} after"}
    logs._collection.update_one({"_id": f"{'a' * 24}:0"}, {"$set": {"error": error}})
    parameters = {"jobId": "a" * 24, "error": text}
    (found,) = log("GET", "/api/execution-logs", query_string=parameters).get_json()["items"]
    assert found["error"] == error


@pytest.mark.parametrize("query", ["error=x", "error=x&from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:01Z"])
def test_text_is_not_searched_in_everything(log: Any, query: str) -> None:
    response = log("GET", f"/api/execution-logs?{query}")
    assert response.status_code == 422
    assert "error" in response.get_json()["errors"]["query"]


def test_admins_see_everyones_log_in_one_order(log: Any, new_caller: Any) -> None:
    new_caller(user_id="bob")
    admin = new_caller("admin")
    found = admin("GET", "/api/execution-logs").get_json()["items"]
    assert [int(item["id"].partition(":")[2]) for item in found] == [4, 3, 2, 1, 0]
    (one,) = admin("GET", "/api/execution-logs?ownerId=bob").get_json()["items"]
    assert one["ownerId"] == "bob"


# --- removing


def test_finished_executions_that_match_are_removed(log: Any) -> None:
    response = log("DELETE", "/api/execution-logs?to=2030-01-01T00:00:03Z&host=example.com")
    assert response.get_json() == {"deleted": 2, "kept": 0, "more": False}
    left = log("GET", "/api/execution-logs").get_json()["items"]
    assert [int(item["id"].partition(":")[2]) for item in left] == [3, 2]


def test_what_could_be_made_again_stays(log: Any, logs: ExecutionStore, platform: Any) -> None:
    job = log.created()
    future = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    logs.insert(
        [
            execution(10, id=f"{job['id']}:10", job_id=job["id"], scheduled_at=future),
            execution(11, id=f"{job['id']}:11", job_id=job["id"], scheduled_at=future - timedelta(days=9)),
            execution(
                12,
                id=f"{job['id']}:12",
                job_id=job["id"],
                status=ExecutionStatus.RUNNING,
                scheduled_at=future - timedelta(days=9),
            ),
        ]
    )
    response = log("DELETE", f"/api/execution-logs?jobId={job['id']}")
    assert response.get_json() == {"deleted": 1, "kept": 2, "more": False}


def test_not_everything_is_removed_by_a_slip(log: Any) -> None:
    response = log("DELETE", "/api/execution-logs")
    assert response.status_code == 422
    assert len(log("GET", "/api/execution-logs").get_json()["items"]) == 4
