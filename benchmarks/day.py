"""`python -m benchmarks.day`: a day of a job that fires every second, against the embedded store, in a minute.

Executions are created, claimed, recorded with an attempt, counted and rolled up as the platform does it, with the time
passed in. Prints the size of the data file and the memory of the store for each simulated hour: both must level off
once the store holds as many finished executions as it keeps.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from bson import ObjectId

from webhookcron.core.executions import Execution, ExecutionStatus, Trigger, schedule_execution_id
from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.delivery.claimer import Claim
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.prepared import PreparedJob, PreparedJobs
from webhookcron.delivery.results import CallResult, record_of
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Phases
from webhookcron.storage import client as mongo
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.storage.jobs import JobStore
from webhookcron.storage.rollups import RollupStore

GROUP = 60
RETENTION = timedelta(days=30)
HEADERS = (
    ("Content-Type", "application/json"),
    ("Date", "Sun, 01 Mar 2026 12:00:00 GMT"),
    ("Server", "example"),
)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.day", description=__doc__)
    parser.add_argument("--executions", type=int, default=86_400)
    parser.add_argument("--kept", type=int, default=50_000, help="finished executions that the store keeps")
    parser.add_argument("--every", type=int, default=3_600, help="executions between two rows")
    parser.add_argument("--json", action="store_true", help="one JSON object per row")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wcb-") as name:
        directory = Path(name)
        command = [
            sys.executable,
            "-m",
            "webhookcron.embedded.mongo_server",
            "--data-file",
            str(directory / "store"),
        ]
        command += ["--socket", str(directory / "m.sock"), "--max-finished-executions", str(options.kept)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as store:
            assert store.stdout is not None
            try:
                uri = json.loads(store.stdout.readline())["uri"].rstrip("/") + "/day"
                process = psutil.Process(store.pid)
                for done, documents in _run(uri, options.executions, options.every):
                    size = sum(
                        file.stat().st_size for file in directory.iterdir() if file.name.startswith("store")
                    )
                    row = {
                        "executions": done,
                        "documents": documents,
                        "file_mb": round(size / 1e6, 2),
                        "rss_mb": round(process.memory_info().rss / 1e6, 1),
                    }
                    print(
                        json.dumps(row) if options.json else "  ".join(f"{k}={v}" for k, v in row.items()),
                        flush=True,
                    )
            finally:
                store.terminate()


def _run(uri: str, executions: int, every: int) -> Iterator[tuple[int, int]]:
    with mongo.connect(uri) as client:
        database = mongo.database_of(client)
        ensure_indexes(database)
        jobs, log = JobStore(database, SecretBox(["benchmark benchmark"])), ExecutionStore(database)
        rollups = RollupStore(database)
        counter = OutcomeCounter(jobs, log, rollups)
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=executions)
        job = _job(begin)
        jobs.create(job)
        prepared = PreparedJobs(jobs).get({job.id: job.version})[job.id]
        dice = random.Random(1)
        for start in range(0, executions, GROUP):
            moments = [begin + timedelta(seconds=start + second) for second in range(GROUP)]
            _group(job, prepared, moments, log, counter, dice)
            rollups.mark_all_seen(moments[-1] + timedelta(seconds=5))
            if start % (GROUP * 10) == 0:
                rollups.merge(now=moments[-1] + timedelta(seconds=5), retention=RETENTION)
            if (start + GROUP) % every < GROUP:
                yield start + GROUP, database["executions"].count_documents({})


def _group(
    job: Job,
    prepared: PreparedJob,
    moments: list[datetime],
    log: ExecutionStore,
    counter: OutcomeCounter,
    dice: random.Random,
) -> None:
    made = [_execution(job, moment) for moment in moments]
    log.insert(made)
    ids, token, now = [execution.id for execution in made], dice.randbytes(6).hex(), moments[-1]
    log.claim(ids, token, now=now, lease_until=now + timedelta(seconds=45))
    records = [
        record_of(
            CallResult(Claim(execution, prepared, token, now), _request(job), _result(dice), now, now),
            count_token=token,
            retention=RETENTION,
            dice=dice,
        )
        for execution in log.claimed(ids, token)
    ]
    log.apply([record.update for record in records])
    counter.count_group([record.final for record in records if record.final is not None], token)


def _job(now: datetime) -> Job:
    schedule = Schedule(
        type=ScheduleType.INTERVAL, interval=IntervalUnit.SECOND, interval_value=1, anchor_at=now
    )
    return Job(
        id=str(ObjectId()),
        owner_id="benchmark",
        name="every second",
        schedule=schedule,
        request=RequestSpec(url="https://example.com/hook", signing=False),
        created_at=now,
        updated_at=now,
        handled_through=now,
        schedule_since=now,
    )


def _execution(job: Job, moment: datetime) -> Execution:
    return Execution(
        id=schedule_execution_id(job.id, moment),
        job_id=job.id,
        owner_id=job.owner_id,
        job_name=job.name,
        host=job.host,
        trigger=Trigger.SCHEDULE,
        status=ExecutionStatus.QUEUED,
        scheduled_at=moment,
        queued_at=moment,
        check_at=moment + timedelta(seconds=30),
    )


def _request(job: Job) -> HttpRequest:
    return HttpRequest(method="POST", url=job.request.url, headers=HEADERS, timeout_ms=30_000)


def _result(dice: random.Random) -> HttpResult:
    body: dict[str, Any] = {"ok": True, "note": "x" * dice.randrange(400)}
    return HttpResult(
        status=200, headers=HEADERS, body=json.dumps(body).encode(), phases=Phases(total=dice.uniform(5, 300))
    )


if __name__ == "__main__":
    main()
