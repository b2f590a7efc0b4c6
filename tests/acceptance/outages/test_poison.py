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
def poisoned(site: Any, long_receiver: Any, eventually: Callable[..., Any]) -> str:
    """A job that fires, and is about to be poisoned."""
    job_id = str(site.create_job(name="Poisoned", cronExpression=EVERY_SECOND, webhookUrl=long_receiver.url))
    eventually(lambda: site.successes_after(job_id, BEFORE), within=20, what="a first call")
    return job_id


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


@pytest.mark.parametrize(
    "item",
    [
        pytest.param("\x00garbage", id="no JSON"),
        pytest.param("[]", id="no message"),
        pytest.param("{}", id="an empty message"),
        pytest.param("null", id="null"),
        pytest.param(message("no.such.task", call_of([])), id="an unknown task"),
        pytest.param(message("webhookcron.deliver", b"\x80\x04."), id="a body that is no JSON"),
        pytest.param(
            message("webhookcron.deliver", b"\x80\x04.", content_type="application/x-python-serialize"),
            id="a pickle",
        ),
        pytest.param(message("webhookcron.deliver", call_of("not a list")), id="no list of ids"),
        pytest.param(message("webhookcron.deliver", call_of([1, None, {}, "unknown:1"])), id="no ids"),
    ],
)
def test_what_is_no_message_of_ours_is_taken_out_of_the_queue_and_logged(
    site: Any, redis_behind: Any, eventually: Callable[..., Any], item: str
) -> None:
    queue = f"{site.environment['WEBHOOKCRON_KEY_PREFIX']}.deliver"
    logged = len(site.complaints("worker"))

    redis_behind.rpush(queue, item)

    eventually(lambda: redis_behind.llen(queue) == 0, within=20, what="it is taken")
    eventually(lambda: len(site.complaints("worker")) > logged, within=20, what="it is logged")


@pytest.mark.parametrize(
    "change",
    [
        {"$set": {"scheduleType": "moonlight"}},
        {"$set": {"cronExpression": "every now and then"}},
        {"$set": {"timezone": "Atlantis/Poseidonis"}},
        {"$set": {"handledThrough": "yesterday"}},
        {"$set": {"misfireGraceMs": {"not": "a number"}}},
        {"$unset": {"host": ""}},
    ],
    ids=lambda change: next(iter(next(iter(change.values())))),
)
def test_a_corrupt_job_document_is_set_aside(
    site: Any, poisoned: str, eventually: Callable[..., Any], change: dict[str, Any]
) -> None:
    logged = len(site.complaints("ticker"))

    # A new version, as tools that edit documents leave it: no ticker goes on with what it read before.
    site.database["jobs"].update_one({"_id": poisoned}, {**change, "$inc": {"version": 1}})

    eventually(
        lambda: any(poisoned in json.dumps(line) for line in site.complaints("ticker")[logged:]),
        within=20,
        what="it is logged",
    )
    site.database["jobs"].delete_one({"_id": poisoned})


@pytest.mark.parametrize("entry", ["", "garbage", "1", "1:", "x:1795000000000", "1:99999999999999999999"])
def test_an_unparsable_mirror_entry_is_read_anew_from_mongodb(
    site: Any, poisoned: str, redis_behind: Any, eventually: Callable[..., Any], entry: str
) -> None:
    prefix = site.environment["WEBHOOKCRON_KEY_PREFIX"]

    redis_behind.hset(f"{prefix}:{{0}}:jobs", poisoned, entry)
    poisoned_at = datetime.now(UTC)

    eventually(
        lambda: len(site.successes_after(poisoned, poisoned_at)) >= 2, within=20, what="it fires again"
    )
    assert site.request("DELETE", f"/api/cron/{poisoned}").status_code == 204


@pytest.mark.parametrize(
    "change",
    [{"status": "undecided"}, {"scheduledAt": "soon"}, {"attemptCount": "many"}, {"jobId": 7}],
    ids=str,
)
def test_a_corrupt_execution_is_set_aside(
    site: Any, healthy: str, eventually: Callable[..., Any], change: dict[str, Any]
) -> None:
    executions = site.database["executions"]
    now = datetime.now(UTC)
    execution_id = f"{healthy}:m:{next(iter(change))}"
    executions.insert_one(
        {
            "_id": execution_id,
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
            **change,
        }
    )

    eventually(
        lambda: executions.find_one({"_id": execution_id})["checkAt"] > now + timedelta(minutes=1),
        within=20,
        what="it is put off",
    )
    assert any(execution_id in json.dumps(line) for line in site.complaints("ticker"))
    executions.delete_one({"_id": execution_id})
