"""Roll-ups under kill -9: every finished execution is in exactly one hour, whoever died in between."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

JOBS = 30
KILLS = 6


def test_what_was_rolled_up_is_what_was_executed(
    start_platform: Callable[..., Any], receiver: Any, eventually: Callable[..., Any]
) -> None:
    platform = start_platform("--workers", "2", "--tickers", "2")
    for number in range(JOBS):
        url = receiver.url if number % 3 else "http://127.0.0.1:1/refused"
        platform.create_job(
            name=f"job {number}", cronExpression="* * * * * *", webhookUrl=url, maxRetries=0, timeoutMs=2_000
        )
    dice = random.Random(1)
    for _ in range(KILLS):
        seen = len(receiver.calls)
        eventually(lambda seen=seen: len(receiver.calls) > seen + JOBS, within=40, what="calls go on")
        role = dice.choice(["worker", "ticker"])
        os.kill(dice.choice(platform.pids(role)), signal.SIGKILL)
    for job in platform.request("GET", "/api/cron", params={"limit": 100}).json()["items"]:
        assert platform.request("POST", f"/api/cron/{job['id']}/pause").status_code in (200, 409)

    with MongoClient[dict[str, Any]](platform.mongodb_uri) as client:
        database = client.get_default_database()

        def settled() -> bool:
            unfinished = database["executions"].count_documents({"checkAt": {"$type": "date"}})
            waiting = database["rollupParts"].count_documents({"addedAt": {"$type": "date"}})
            merging = database["rollupMerges"].count_documents({})
            return not unfinished and not waiting and not merging

        eventually(settled, within=120, what="all executions are final, counted and rolled up")
        executed: Counter[tuple[str, str]] = Counter(
            (execution["jobId"], execution["status"]) for execution in database["executions"].find()
        )
        rolled_up: Counter[tuple[str, str]] = Counter()
        of_owners: Counter[str] = Counter()
        for hour in database["rollups"].find():
            for status, count in hour["counts"].items():
                if hour["jobId"] is None:
                    of_owners[status] += count
                else:
                    rolled_up[hour["jobId"], status] += count
    assert executed.total() > JOBS * KILLS
    assert rolled_up == executed
    by_status: Counter[str] = Counter()
    for (_, status), count in executed.items():
        by_status[status] += count
    assert of_owners == by_status
