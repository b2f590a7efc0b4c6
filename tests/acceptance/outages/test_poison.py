"""What nobody can read is set aside with a reason in the log, and everything else goes on."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

EVERY_SECOND = "* * * * * *"


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Any]) -> Any:
    return start_site()


@pytest.fixture(scope="module")
def healthy(site: Any, long_receiver: Any) -> str:
    """A job that nobody poisons."""
    return str(site.create_job(name="Healthy", cronExpression=EVERY_SECOND, webhookUrl=long_receiver.url))


@pytest.fixture(autouse=True)
def everything_else_goes_on(site: Any, healthy: str, eventually: Callable[..., Any]) -> Iterator[None]:
    yield
    poisoned_at = datetime.now(UTC)
    eventually(
        lambda: len(site.successes_after(healthy, poisoned_at)) >= 2,
        within=20,
        what="the healthy job fires on",
    )
    assert site.dead() == []


@pytest.fixture
def firing_jobs(site: Any, long_receiver: Any, eventually: Callable[..., Any]) -> Callable[[int], list[str]]:
    """`firing_jobs(count)`: jobs that fire, and are about to be poisoned."""

    def make(count: int) -> list[str]:
        definition = {"cronExpression": EVERY_SECOND, "webhookUrl": long_receiver.url}
        jobs = [site.create_job(name=f"Poisoned {number}", **definition) for number in range(count)]
        for job_id in jobs:
            eventually(
                lambda job_id=job_id: site.successes_after(job_id, BEFORE), within=20, what="a first call"
            )
        return jobs

    return make


@pytest.fixture
def redis_behind(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


BEFORE = datetime(2000, 1, 1, tzinfo=UTC)


def message(task: str, body: bytes, *, content_type: str = "application/json") -> str:
    """A Celery message (protocol 2) as it lies in a Redis list."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": "1", "root_id": "1", "retries": 0},
            "properties": {
                "correlation_id": "1",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "x"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "1",
            },
        }
    )


def call_of(ids: Any) -> bytes:
    return json.dumps(
        [[ids], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    ).encode()


NO_MESSAGES = {
    "no JSON": "\x00garbage",
    "a list": "[]",
    "an empty object": "{}",
    "null": "null",
    "an unknown task": message("no.such.task", call_of([])),
    "a body that is no JSON": message("webhookcron.deliver", b"\x80\x04."),
    "a pickle": message("webhookcron.deliver", b"\x80\x04.", content_type="application/x-python-serialize"),
    "no list of ids": message("webhookcron.deliver", call_of("not a list")),
    "no ids": message("webhookcron.deliver", call_of([1, None, {}, "unknown:1"])),
}


def test_what_is_no_message_of_ours_is_taken_out_of_the_queue_and_logged(
    site: Any, redis_behind: Any, eventually: Callable[..., Any]
) -> None:
    queue = f"{site.environment['WEBHOOKCRON_KEY_PREFIX']}.deliver"
    for what, item in NO_MESSAGES.items():
        logged = len(site.complaints("worker"))

        redis_behind.rpush(queue, item)

        eventually(lambda: redis_behind.llen(queue) == 0, within=20, what=f"{what} is taken")
        eventually(
            lambda logged=logged: len(site.complaints("worker")) > logged, within=20, what=f"{what} is logged"
        )


CORRUPTIONS: list[dict[str, Any]] = [
    {"$set": {"scheduleType": "moonlight"}},
    {"$set": {"cronExpression": "every now and then"}},
    {"$set": {"timezone": "Atlantis/Poseidonis"}},
    {"$set": {"handledThrough": "yesterday"}},
    {"$set": {"misfireGraceMs": {"not": "a number"}}},
    {"$unset": {"host": ""}},
]


def test_corrupt_job_documents_are_set_aside(
    site: Any, firing_jobs: Callable[[int], list[str]], eventually: Callable[..., Any]
) -> None:
    jobs = site.database["jobs"]
    poisoned = dict(zip(firing_jobs(len(CORRUPTIONS)), CORRUPTIONS, strict=True))

    for job_id, corruption in poisoned.items():
        jobs.update_one({"_id": job_id}, corruption)
        # As a change of the job leaves it: a new version that is to be mirrored.
        jobs.update_one({"_id": job_id}, {"$set": {"mirrorDue": datetime.now(UTC)}, "$inc": {"version": 1}})

    for job_id, corruption in poisoned.items():
        eventually(
            lambda job_id=job_id: any(job_id in json.dumps(line) for line in site.complaints("ticker")),
            within=20,
            what=f"{corruption} is logged",
        )
    jobs.delete_many({"_id": {"$in": list(poisoned)}})


ENTRIES = ("", "garbage", "1", "1:", "x:1795000000000", "1:99999999999999999999")


def test_unparsable_mirror_entries_are_read_anew_from_mongodb(
    site: Any,
    firing_jobs: Callable[[int], list[str]],
    redis_behind: Any,
    eventually: Callable[..., Any],
) -> None:
    prefix = site.environment["WEBHOOKCRON_KEY_PREFIX"]
    poisoned = dict(zip(firing_jobs(len(ENTRIES)), ENTRIES, strict=True))

    redis_behind.hset(f"{prefix}:{{0}}:jobs", mapping=poisoned)
    poisoned_at = datetime.now(UTC)

    for job_id, entry in poisoned.items():
        eventually(
            lambda job_id=job_id: site.successes_after(job_id, poisoned_at),
            within=20,
            what=f"the job of {entry!r} fires again",
        )
        assert site.request("DELETE", f"/api/cron/{job_id}").status_code == 204


def test_impossible_scores_do_not_keep_others_from_firing(
    site: Any, firing_jobs: Callable[[int], list[str]], redis_behind: Any
) -> None:
    due = f"{site.environment['WEBHOOKCRON_KEY_PREFIX']}:{{0}}:due"
    jobs = firing_jobs(4)

    redis_behind.zadd(due, dict(zip(jobs, (float("inf"), float("-inf"), 1e300, 8.64e15), strict=True)))

    assert site.request("GET", "/health/ready").status_code == 200
    for job_id in jobs:
        assert site.request("DELETE", f"/api/cron/{job_id}").status_code == 204


CORRUPT_EXECUTIONS: list[dict[str, Any]] = [
    {"status": "undecided"},
    {"scheduledAt": "soon"},
    {"attemptCount": "many"},
    {"jobId": 7},
]


def test_corrupt_executions_are_set_aside(site: Any, healthy: str, eventually: Callable[..., Any]) -> None:
    executions = site.database["executions"]
    now = datetime.now(UTC)
    whole = {
        "jobId": healthy,
        "ownerId": "admin",
        "jobName": "Healthy",
        "host": "127.0.0.1",
        "trigger": "manual",
        "status": "queued",
        "scheduledAt": now,
        "queuedAt": now,
        "attemptCount": 0,
        "pushes": 1,
        "checkAt": now,
    }
    poison = {f"{healthy}:m:{number}": {**whole, **c} for number, c in enumerate(CORRUPT_EXECUTIONS)}
    executions.insert_many([{"_id": execution_id, **document} for execution_id, document in poison.items()])

    later = now + timedelta(minutes=1)
    waiting = {"_id": {"$in": list(poison)}, "checkAt": {"$gt": later}}
    eventually(lambda: executions.count_documents(waiting) == len(poison), within=20, what="they are put off")
    logged = json.dumps(site.complaints("ticker"))
    assert [execution_id for execution_id in poison if execution_id not in logged] == []
    executions.delete_many({"_id": {"$in": list(poison)}})
