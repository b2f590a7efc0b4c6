"""API, tickers and workers as processes, with proxies between them and their stores that delay, stall and cut."""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from pymongo import MongoClient

from webhookcron.embedded import tether

ANSWER_SECONDS = 3.0
"""What an API call may take at most, whatever is away."""


class Mode(StrEnum):
    """What a proxy does with its connections."""

    PASS = "pass"
    REFUSE = "refuse"
    """Connections are cut, and new ones are refused: the server is down."""
    STALL = "stall"
    """Connections stand and new ones are taken, but not a byte comes through: the server, or the way to it, hangs."""
    SLOW = "slow"
    """Every packet comes late."""


class Proxy:
    """Stands between clients on a TCP port of loopback and a server on a unix socket."""

    DELAY_SECONDS = 0.15

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self._loop = asyncio.new_event_loop()
        self._mode = Mode.PASS
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._do(self._listen())

    def become(self, mode: Mode) -> None:
        """Change what happens from now on, to connections that stand as well."""
        self._do(self._become(mode))

    def cut(self) -> None:
        """Break all connections once."""
        self._do(self._cut())

    def close(self) -> None:
        """End it."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _become(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.STALL:
            self._flows.clear()
        else:
            self._flows.set()
        if mode is Mode.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
            await self._cut()
        elif mode is not Mode.REFUSE and self._server is None:
            await self._listen()

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _close(self) -> None:
        self._flows.set()
        if self._server is not None:
            self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._flows.wait()
            there, back = await asyncio.open_unix_connection(self._server_socket)
            self._writers.add(back)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._copy(reader, back))
                    group.create_task(self._copy(there, writer))
            finally:
                self._writers.discard(back)
                back.transport.abort()
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flows.wait()
            if self._mode is Mode.SLOW:
                await asyncio.sleep(self.DELAY_SECONDS)
            writer.write(data)
            await writer.drain()
        raise ConnectionAbortedError


@dataclass
class Site:
    """The platform behind proxies."""

    directory: Path
    environment: dict[str, str]
    mongodb: Proxy
    redis: Proxy
    api_redis: Proxy
    """The API has a way to Redis of its own."""
    database: Any
    """The platform's database, asked directly."""
    port: int
    key: str = ""
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, role: str, number: int = 1) -> None:
        """Start `role` (api, ticker, worker); on the same address as before."""
        environment = dict(self.environment)
        command = [sys.executable, "-P", "-m", "webhookcron", role]
        if role == "api":
            command += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
            environment["REDIS_URL"] = f"redis://127.0.0.1:{self.api_redis.port}/0"
        tethered = [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), *command]
        with self.log_file(role, number).open("ab") as log:
            self.processes[f"{role}-{number}"] = subprocess.Popen(
                tethered,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def log_file(self, role: str, number: int) -> Path:
        """Where a process logs."""
        return self.directory / f"{role}-{number}.log"

    def log(self) -> str:
        """What all processes logged."""
        return "".join(file.read_text(errors="replace") for file in sorted(self.directory.glob("*.log")))

    def kill(self, name: str) -> None:
        """SIGKILL, forks included."""
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def dead(self) -> list[str]:
        """Which processes have ended."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def cpu_seconds(self) -> dict[str, float]:
        """What each process has used, with the processes it forked."""
        used: dict[str, float] = {}
        for name, process in self.processes.items():
            parent = psutil.Process(process.pid)
            used[name] = sum(
                sum(member.cpu_times()[:2]) for member in (parent, *parent.children(recursive=True))
            )
        return used

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """An API call; one that takes longer than it may is an error."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers=headers,
            timeout=more.pop("timeout", ANSWER_SECONDS),
            **more,
        )

    def create_job(self, **definition: Any) -> str:
        """A new job; its id."""
        response = self.request("POST", "/api/cron", json=definition)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def executions(self, job_id: str) -> list[dict[str, Any]]:
        """The job's executions as they are stored, by fire time."""
        return list(self.database["executions"].find({"jobId": job_id}).sort("scheduledAt", 1))

    def successes_after(self, job_id: str, moment: datetime) -> list[dict[str, Any]]:
        """The job's executions of fire times after `moment` that succeeded."""
        return [e for e in self.executions(job_id) if e["status"] == "success" and e["scheduledAt"] > moment]

    def complaints(self, role: str) -> list[dict[str, Any]]:
        """The warnings and errors that the processes of a role logged."""
        texts = (file.read_text(errors="replace") for file in sorted(self.directory.glob(f"{role}-*.log")))
        lines = (_json(line) for text in texts for line in text.splitlines())
        return [line for line in lines if line.get("level") in ("warning", "error", "critical")]


@pytest.fixture(scope="module")
def start_site(
    mongodb_uri: str, redis_url: str, services_dir: Path, unshared_redis: None
) -> Iterator[Callable[..., Site]]:
    """`start_site(tickers=…, workers=…)` starts a platform of the module's own."""
    if not mongodb_uri.startswith("mongodb://%2F"):
        pytest.skip("the proxies stand before the embedded store")
    with ExitStack() as stack:

        def start(*, tickers: int = 1, workers: int = 1) -> Site:
            return _start(stack, services_dir, mongodb_uri, tickers, workers)

        yield start


@pytest.fixture(scope="module")
def unshared_redis(redis_url: str) -> None:
    """The test process's Redis, empty: other modules may have left something."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


def _start(stack: ExitStack, services_dir: Path, mongodb_uri: str, tickers: int, workers: int) -> Site:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wc-outage-")))
    name = f"outage_{secrets.token_hex(6)}"
    client: MongoClient[dict[str, Any]] = MongoClient(mongodb_uri, tz_aware=True)
    stack.callback(client.close)
    stack.callback(client.drop_database, name)
    proxies = [Proxy(services_dir / "m.sock"), Proxy(services_dir / "r.sock"), Proxy(services_dir / "r.sock")]
    for proxy in proxies:
        stack.callback(proxy.close)
    own = {key: value for key, value in os.environ.items() if not key.startswith("WEBHOOKCRON_")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = Site(
        directory=directory,
        environment=own
        | {
            "MONGODB_URI": f"mongodb://127.0.0.1:{proxies[0].port}/{name}",
            "REDIS_URL": f"redis://127.0.0.1:{proxies[1].port}/0",
            "WEBHOOKCRON_SECRET_KEY": "the secret key of outages",
            "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS": "127.0.0.0/8",
            "WEBHOOKCRON_RATE_LIMIT": "off",
            "WEBHOOKCRON_RATE_LIMIT_TRIGGER": "off",
            "WEBHOOKCRON_KEY_PREFIX": name,
            "WEBHOOKCRON_LOG_FORMAT": "json",
        },
        mongodb=proxies[0],
        redis=proxies[1],
        api_redis=proxies[2],
        database=client[name],
        port=port,
    )
    key_file = directory / "admin.key"
    command = [sys.executable, "-P", "-m", "webhookcron", "admin-key", "--output", str(key_file)]
    subprocess.run(command, env=site.environment, check=True, capture_output=True)
    site.key = key_file.read_text().strip()
    stack.callback(lambda: [site.kill(name) for name in site.processes])
    site.start("api")
    for role, count in (("ticker", tickers), ("worker", workers)):
        for number in range(count):
            site.start(role, number + 1)
    deadline = time.monotonic() + 60
    while not _ready(site):
        if time.monotonic() > deadline or site.dead():
            pytest.fail(f"the platform did not start:\n{site.log()}", pytrace=False)
        time.sleep(0.05)
    return site


def _ready(site: Site) -> bool:
    try:
        ready = site.request("GET", "/health/ready").status_code == 200
    except requests.RequestException:
        # Whatever is slow about a start is no concern of these tests.
        return False
    started = [line.get("action") for line in map(_json, site.log().splitlines())]
    parts = sum(not name.startswith("api") for name in site.processes)
    return ready and sum(action in ("ticker.started", "worker.started") for action in started) == parts


def _json(line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


class LongReceiver(ThreadingHTTPServer):
    """A receiver for all tests of a module; answers 200 after `delay_seconds`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.delay_seconds = 0.0
        self.webhook_ids: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: callers are killed on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LongReceiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.webhook_ids.append(self.headers["webhook-id"])
        time.sleep(self.server.delay_seconds)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at what was called."""


@pytest.fixture(scope="module")
def long_receiver() -> Iterator[LongReceiver]:
    """A receiver that lives as long as the module's platform."""
    with LongReceiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def modes() -> type[Mode]:
    """What a proxy can do."""
    return Mode
