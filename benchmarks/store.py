"""Figures of the MongoDB-protocol store under the platform's own load: `python benchmarks/store.py [--json FILE]`.

Starts an embedded store of its own, fills it with finished executions, and measures what a fire costs it: inserts,
claims, outcomes, counters, lookups and lists. With `--uri` it measures a running server instead, in a database of
its own that it drops afterwards; CPU and memory are then not known.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import MongoClient, ReturnDocument, UpdateOne
from pymongo.database import Database

from webhookcron.storage.indexes import ensure_indexes

Document = dict[str, Any]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
JOBS = 500
OWNERS = 5
BATCH = 100
BODY = '{"ok": true, "received": "2026-01-01T00:00:00.000Z", "items": [1, 2, 3]}'


@dataclass(frozen=True)
class Figure:
    """One workload: operations (documents) a second, and milliseconds of the server's CPU for each."""

    name: str
    operations: int
    per_second: float
    cpu_ms: float | None


class ServerMeter:
    """CPU time and memory of the server process, where the system tells (Linux)."""

    def __init__(self, pid: int | None) -> None:
        self._stat = Path(f"/proc/{pid}/stat") if pid is not None else None
        if self._stat is not None and not self._stat.exists():
            self._stat = None

    def cpu_seconds(self) -> float | None:
        """CPU seconds used so far."""
        if self._stat is None:
            return None
        fields = self._stat.read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def await_rest(self) -> None:
        """Wait until the server has done what it left for quiet moments; ten seconds at most."""
        if self._stat is None:
            return
        deadline, last, since = time.monotonic() + 10, self.cpu_seconds(), time.monotonic()
        while time.monotonic() - since < 0.3 and time.monotonic() < deadline:
            time.sleep(0.05)
            used = self.cpu_seconds()
            if used != last:
                last, since = used, time.monotonic()

    def rss_bytes(self) -> int | None:
        """Resident memory."""
        if self._stat is None:
            return None
        pages = int(self._stat.with_name("statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def own_server() -> Iterator[tuple[str, int]]:
    """An embedded store on a fresh data file: its URI and process id."""
    with tempfile.TemporaryDirectory(prefix="wc-bench-") as directory:
        command = [
            sys.executable,
            "-m",
            "webhookcron.embedded.mongo_server",
            "--max-finished-executions",
            "0",
        ]
        command += ["--data-file", f"{directory}/store.sqlite3", "--socket", f"{directory}/m.sock"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["uri"], process.pid
        finally:
            process.terminate()
            process.wait()


def queued_execution(number: int) -> Document:
    """An execution as the ticker inserts it."""
    job = number % JOBS
    at = EPOCH + timedelta(seconds=number)
    return {
        "_id": f"{job:024x}-{int(at.timestamp() * 1000)}-{number}",
        "jobId": f"{job:024x}",
        "ownerId": f"{job % OWNERS:024x}",
        "jobName": f"Weekly report of customer {job}",
        "host": "hooks.example.com",
        "trigger": "schedule",
        "status": "queued",
        "scheduledAt": at,
        "queuedAt": at + timedelta(milliseconds=12),
        "attemptCount": 0,
        "pushes": 1,
        "checkAt": at + timedelta(seconds=30),
    }


def outcome(at: datetime) -> Document:
    """The change that records a successful attempt."""
    return {
        "$set": {
            "status": "success",
            "startedAt": at,
            "completedAt": at + timedelta(milliseconds=80),
            "durationMs": 80.4,
            "attemptCount": 1,
            "responseStatus": 200,
            "expireAt": at + timedelta(days=30),
            "counted": False,
            "countToken": "c4c8a1f0e2d94b36",
        },
        "$push": {
            "attempts": {
                "number": 1,
                "startedAt": at,
                "durationMs": 80.4,
                "phases": {"name": 1.2, "connect": 3.4, "tls": 20.1, "firstByte": 50.2, "total": 80.4},
                "requestMethod": "POST",
                "requestUrl": "https://hooks.example.com/in/report",
                "responseStatus": 200,
                "responseHeaders": [["content-type", "application/json"], ["server", "nginx"]],
                "responseBody": BODY,
            }
        },
        "$unset": {"claim": ""},
    }


def finished_execution(number: int) -> Document:
    """A typical document of the log: finished after one attempt, counted."""
    document = queued_execution(number)
    at = document["scheduledAt"]
    change = outcome(at)
    del document["checkAt"], change["$set"]["counted"], change["$set"]["countToken"]
    return {**document, **change["$set"], "claimedAt": at, "attempts": [change["$push"]["attempts"]]}


class Bench:
    """The workloads over one database that holds `size` finished executions."""

    def __init__(self, database: Database[Document], meter: ServerMeter, size: int, seconds: float) -> None:
        self._executions = database["executions"]
        self._jobs = database["jobs"]
        self._meter = meter
        self._seconds = seconds
        self._size = size
        self._next = size
        self._random = random.Random(1)
        self.figures: list[Figure] = []

    def fill(self) -> int | None:
        """Insert the executions and jobs; bytes of server memory for each execution."""
        before = self._meter.rss_bytes()
        for start in range(0, self._size, 1000):
            numbers = range(start, min(start + 1000, self._size))
            self._executions.insert_many([finished_execution(number) for number in numbers], ordered=False)
        after = self._meter.rss_bytes()
        self._jobs.insert_many([self._job(number) for number in range(JOBS)])
        return None if before is None or after is None else (after - before) // self._size

    @staticmethod
    def _job(number: int) -> Document:
        return {
            "_id": f"{number:024x}",
            "ownerId": f"{number % OWNERS:024x}",
            "name": f"Weekly report of customer {number}",
            "status": "active",
            "createdAt": EPOCH,
            "updatedAt": EPOCH,
            "searchTerms": ["weekly", "report", "customer", str(number)],
            "totalRuns": 0,
            "successfulRuns": 0,
            "failedRuns": 0,
            "consecutiveFailures": 0,
            "version": 1,
        }

    def _measure(self, name: str, per_call: int, call: Callable[[], object]) -> None:
        call()
        self._meter.await_rest()
        cpu = self._meter.cpu_seconds()
        start = time.perf_counter()
        calls = 0
        while time.perf_counter() - start < self._seconds:
            call()
            calls += 1
        elapsed = time.perf_counter() - start
        # What it left for later is part of what it costs.
        self._meter.await_rest()
        cpu_after = self._meter.cpu_seconds()
        operations = calls * per_call
        used = None if cpu is None or cpu_after is None else (cpu_after - cpu) * 1000 / operations
        figure = Figure(name, operations, operations / elapsed, used)
        self.figures.append(figure)
        shown = "" if used is None else f"{used:10.4f} ms CPU"
        print(f"{name:44} {figure.per_second:10,.0f}/s {shown}", flush=True)

    def _new_ids(self, count: int) -> list[str]:
        """Insert fresh queued executions and give their ids."""
        documents = [queued_execution(self._next + offset) for offset in range(count)]
        self._next += count
        self._executions.insert_many(documents, ordered=False)
        return [document["_id"] for document in documents]

    def _some_ids(self, count: int) -> list[str]:
        return [queued_execution(self._random.randrange(self._size))["_id"] for _ in range(count)]

    def run(self) -> None:
        """All workloads, one after another."""
        executions = self._executions
        self._measure("insert, one", 1, lambda: self._new_ids(1))
        self._measure("insert, 100 a command", BATCH, lambda: self._new_ids(BATCH))
        self._measure("find by _id", 1, lambda: executions.find_one({"_id": self._some_ids(1)[0]}))
        self._measure(
            "find by $in of 100 _ids, without attempts",
            BATCH,
            lambda: list(executions.find({"_id": {"$in": self._some_ids(BATCH)}}, {"attempts": 0})),
        )
        self._claims()
        self._outcomes()
        self._measure("counters, $inc in bulk of 100", BATCH, self._count)
        self._measure(
            "list, 20 newest of an owner by index",
            1,
            lambda: list(
                executions.find({"ownerId": f"{1:024x}"}).sort([("scheduledAt", -1), ("_id", -1)]).limit(20)
            ),
        )
        self._measure(
            "sweep, 100 due by checkAt",
            1,
            lambda: list(
                executions.find({"checkAt": {"$lte": EPOCH + timedelta(days=3650)}}, {"attempts": 0})
                .sort("checkAt", 1)
                .limit(100)
            ),
        )

    def _claims(self) -> None:
        ids = iter(self._new_ids(self._enough(4000)))
        self._measure(
            "guarded update, one (findAndModify)",
            1,
            lambda: self._executions.find_one_and_update(
                {"_id": next(ids, None), "status": "queued"},
                {"$set": {"status": "running", "claim": "a", "checkAt": EPOCH, "claimedAt": EPOCH}},
                return_document=ReturnDocument.AFTER,
            ),
        )
        batches = iter(self._batches(self._enough(20_000)))
        self._measure(
            "claim, update_many by $in of 100",
            BATCH,
            lambda: self._executions.update_many(
                {"_id": {"$in": next(batches)}, "status": "queued"},
                {
                    "$set": {"status": "running", "claim": "a", "checkAt": EPOCH, "claimedAt": EPOCH},
                    "$unset": {"reason": ""},
                },
            ),
        )

    def _outcomes(self) -> None:
        total = self._enough(12_000)
        batches = self._batches(total)
        for ids in batches:
            self._executions.update_many(
                {"_id": {"$in": ids}}, {"$set": {"status": "running", "claim": "a", "claimedAt": EPOCH}}
            )
        remaining = iter(batches)

        def record() -> None:
            at = EPOCH + timedelta(seconds=self._random.randrange(10**6))
            result = self._executions.bulk_write(
                [
                    UpdateOne({"_id": identity, "status": "running", "claim": "a"}, outcome(at))
                    for identity in next(remaining)
                ],
                ordered=False,
            )
            assert result.modified_count == BATCH

        self._measure("guarded update, bulk of 100 (outcome)", BATCH, record)

    def _enough(self, per_second: int) -> int:
        """Documents that last for a workload at most this fast."""
        return int(per_second * (self._seconds + 1) * 3) // BATCH * BATCH

    def _batches(self, total: int) -> list[list[str]]:
        return [self._new_ids(BATCH) for _ in range(total // BATCH)]

    def _count(self) -> None:
        self._jobs.bulk_write(
            [
                UpdateOne(
                    {"_id": f"{self._random.randrange(JOBS):024x}"},
                    {
                        "$inc": {"totalRuns": 1, "successfulRuns": 1},
                        "$set": {"lastStatus": "success", "consecutiveFailures": 0},
                        "$max": {"lastRunAt": EPOCH + timedelta(seconds=self._random.randrange(10**6))},
                    },
                )
                for _ in range(BATCH)
            ],
            ordered=False,
        )


def main() -> None:
    """Read the options, run, print, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--size", type=int, default=50_000, help="finished executions held (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="per workload (default %(default)s)")
    parser.add_argument("--uri", help="measure this server instead of an own embedded store")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    if arguments.uri:
        _run(arguments, arguments.uri, None)
    else:
        with own_server() as (uri, pid):
            _run(arguments, uri, pid)


def _run(arguments: argparse.Namespace, uri: str, pid: int | None) -> None:
    name = f"bench_{secrets.token_hex(4)}"
    client: MongoClient[Document] = MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=5000)
    with client:
        meter = ServerMeter(pid)
        ensure_indexes(client[name])
        bench = Bench(client[name], meter, arguments.size, arguments.seconds)
        try:
            per_document = bench.fill()
            if per_document is not None:
                print(f"{'memory per execution':44} {per_document:10,} bytes")
            rss = meter.rss_bytes()
            if rss is not None:
                print(f"{'server memory, filled':44} {rss / 2**20:10,.0f} MiB")
            bench.run()
        finally:
            client.drop_database(name)
    if arguments.json is not None:
        report = {
            "size": arguments.size,
            "bytesPerExecution": per_document,
            "rssBytes": rss,
            "figures": [asdict(figure) for figure in bench.figures],
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
