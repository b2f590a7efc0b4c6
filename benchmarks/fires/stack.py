"""The platform under measurement: stores, tickers and workers as processes, and what each of them costs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests
from bson import ObjectId

from benchmarks.fires.processes import ByRole
from webhookcron.config import load_settings
from webhookcron.core.executions import from_ms, to_ms
from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import RequestSpec, SigningSecret
from webhookcron.core.schedules import Schedule
from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command
from webhookcron.storage.api_keys import generate_key
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.ticks.mirroring import mirror_entries
from webhookcron.wiring.database import ensure_admin_key, ensure_indexes
from webhookcron.wiring.platform import Platform, connect

_REGISTERED_AT_ONCE = 500
_REGISTERED_SIDE_BY_SIDE = 3

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class StackOptions:
    """What to run: `mongodb_uri` and `redis_url` None bring embedded stores."""

    tickers: int = 1
    workers: int = 1
    mongodb_uri: str | None = None
    redis_url: str | None = None
    kept_executions: int = 50_000
    worker_concurrency: int = 1000
    max_per_host: int = 250
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further settings."""


@dataclass
class Stack(ByRole):
    """A running platform."""

    platform: Platform
    environment: dict[str, str]

    @contextmanager
    def api(self) -> Iterator[tuple[str, str]]:
        """An API process; its URL and an admin key."""
        key = generate_key()
        ensure_admin_key(self.platform.settings, key)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-P", "-m", "webhookcron", "api", "--port", str(port), "--workers", "1"]
        child = subprocess.Popen(command, env=self.environment)
        self.processes["api"] = [psutil.Process(child.pid)]
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while not _answers(f"{url}/health/live"):
                if time.monotonic() > deadline:
                    raise SystemExit("the API did not start")
                time.sleep(0.1)
            self.processes["api"] += psutil.Process(child.pid).children()
            yield url, key
        finally:
            del self.processes["api"]
            child.terminate()
            child.wait(20)

    def is_recorded(self) -> bool:
        """Whether each execution is recorded and counted, so that nothing is left for the sweep to look at."""
        return not self.platform.database["executions"].count_documents({"checkAt": {"$type": "date"}})

    def now(self) -> datetime:
        """Platform time, cut to milliseconds."""
        return from_ms(to_ms(self.platform.clock.read()))

    def register(
        self, schedules: Sequence[Schedule], url: str | Sequence[str], *, handled_through: datetime
    ) -> list[Job]:
        """Store and mirror a job for each schedule; none of its fire times up to `handled_through` fires."""
        urls = [url] * len(schedules) if isinstance(url, str) else url
        asked = list(enumerate(zip(schedules, urls, strict=True)))
        parts = [
            asked[start : start + _REGISTERED_AT_ONCE] for start in range(0, len(asked), _REGISTERED_AT_ONCE)
        ]
        # While the store works on one part, the next one is made ready.
        with ThreadPoolExecutor(_REGISTERED_SIDE_BY_SIDE) as pool:
            registered = list(pool.map(lambda part: self._register_part(part, handled_through), parts))
        return [job for part in registered for job in part]

    def _register_part(
        self, part: Sequence[tuple[int, tuple[Schedule, str]]], handled_through: datetime
    ) -> list[Job]:
        # Each part has a time of its own: jobs that seem to have waited for long are mirrored by the tickers.
        now = self.now()
        secrets = (SigningSecret(SIGNING_SECRET),)
        jobs = [
            Job(
                id=str(ObjectId()),
                owner_id="admin",
                name=f"benchmark job {number}",
                schedule=schedule,
                request=RequestSpec(url=url, signing_secrets=secrets),
                created_at=now,
                updated_at=now,
                handled_through=handled_through,
                schedule_since=handled_through,
            )
            for number, (schedule, url) in part
        ]
        self.platform.jobs.create_many(jobs)
        entries, _over, _corrupt = mirror_entries(tick_job_of(job) for job in jobs)
        self.platform.source.put(entries)
        self.platform.jobs.mirrored([(job.id, job.version) for job in jobs])
        return jobs

    def forget_jobs(self) -> None:
        """Empty the platform between two workloads."""
        self.platform.database["jobs"].drop()
        self.platform.database["executions"].drop()
        ensure_indexes(self.platform.settings)
        for ids in list(self.platform.source.job_ids()):
            self.platform.source.remove([(job_id, 2**52) for job_id in ids])


@contextmanager
def running(options: StackOptions) -> Iterator[Stack]:
    """A platform, up and ready; all of it is gone afterwards."""
    children: list[subprocess.Popen[Any]] = []
    processes: dict[str, list[psutil.Process]] = {}

    def start(role: str, command: Sequence[str], **options_: Any) -> subprocess.Popen[Any]:
        child = subprocess.Popen(list(command), **options_)
        children.append(child)
        processes.setdefault(role, []).append(psutil.Process(child.pid))
        return child

    with tempfile.TemporaryDirectory(prefix="wcb-") as name:
        directory = Path(name)
        environment = dict(os.environ)
        try:
            environment["MONGODB_URI"] = options.mongodb_uri or _start_store(start, directory, options)
            environment["REDIS_URL"] = options.redis_url or _start_redis(start, directory)
            environment["WEBHOOKCRON_SECRET_KEY"] = "benchmark benchmark"
            environment["WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"] = "127.0.0.0/8"
            environment["WEBHOOKCRON_WORKER_CONCURRENCY"] = str(options.worker_concurrency)
            environment["WEBHOOKCRON_MAX_PER_HOST"] = str(options.max_per_host)
            environment["WEBHOOKCRON_LOG_LEVEL"] = "warning"
            environment["WEBHOOKCRON_DRAIN_SECONDS"] = "1"
            environment.update(options.environment)
            platform = connect(load_settings(environment, role="api"), part="benchmark")
            _await(platform)
            ensure_indexes(platform.settings)
            for role, count in (("ticker", options.tickers), ("worker", options.workers)):
                for _ in range(count):
                    start(role, [sys.executable, "-P", "-m", "webhookcron", role], env=environment)
            _await_parts(platform, options)
            yield Stack(processes, platform, environment)
            platform.close()
        finally:
            # Workers write what they have before the stores go.
            for child in reversed(children):
                child.terminate()
                try:
                    child.wait(40)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
                if child.stdout is not None:
                    child.stdout.close()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def _start_store(start: Any, directory: Path, options: StackOptions) -> str:
    command = [
        sys.executable,
        "-m",
        "webhookcron.embedded.mongo_server",
        "--data-file",
        str(directory / "store"),
    ]
    command += ["--socket", str(directory / "m.sock")]
    command += ["--max-finished-executions", str(options.kept_executions)]
    child = start("store", command, stdout=subprocess.PIPE, text=True)
    return str(json.loads(child.stdout.readline())["uri"]).rstrip("/") + "/benchmark"


def _start_redis(start: Any, directory: Path) -> str:
    binary = find_redis_server()
    if binary is None:
        raise SystemExit(MISSING_MESSAGE)
    socket = directory / "r.sock"
    command = redis_server_command(binary, data_dir=directory, socket=socket, port=None)
    start("redis", [str(part) for part in command], stdout=subprocess.DEVNULL)
    return f"unix://{socket}"


def _await(platform: Platform) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            platform.clock.read()
            platform.mongo_client.admin.command("ping")
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _await_parts(platform: Platform, options: StackOptions) -> None:
    """Wait until all tickers and workers have told that they are there; on a busy machine they take their time."""
    deadline = time.monotonic() + 120
    while True:
        seen = [instance.role for instance in platform.instances.seen()]
        if seen.count("ticker") >= options.tickers and seen.count("worker") >= options.workers:
            break
        if time.monotonic() > deadline:
            raise SystemExit("the tickers and workers did not start within two minutes")
        time.sleep(0.1)
    # From there it is a moment until they have their connections and wait for work.
    time.sleep(2.0)


class Receiver:
    """The receiver process, and its CPU time."""

    def __init__(self, delay_seconds: float = 0.0, hanging_hosts: int = 0) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fires.receiver", str(delay_seconds), str(hanging_hosts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process = psutil.Process(self._child.pid)
        assert self._child.stdout is not None
        self.port = json.loads(self._child.stdout.readline())["port"]
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def cpu_seconds(self) -> float:
        """CPU seconds used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def ask(self, **command: Any) -> dict[str, Any]:
        """The answer to a command."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()
        answer: dict[str, Any] = json.loads(self._child.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(5)
        if self._child.stdout is not None:
            self._child.stdout.close()


def await_received(
    receiver: Receiver, window: tuple[datetime, datetime], expected: int, patience: timedelta
) -> dict[str, Any]:
    """The report of a window once all of it has arrived, or when nothing more came for `patience`."""
    last, since = -1, time.monotonic()
    while True:
        report = receiver.ask(do="report", from_ms=to_ms(window[0]), to_ms=to_ms(window[1]))
        if report["received"] >= expected:
            return report
        if report["received"] != last:
            last, since = report["received"], time.monotonic()
        elif time.monotonic() - since > patience.total_seconds():
            return report
        time.sleep(0.05)
