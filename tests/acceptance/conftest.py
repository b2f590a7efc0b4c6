"""The whole platform as its users run it: `webhookcron up` as a process, and a receiver for its calls."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server

START_SECONDS = 60.0
STOP_SECONDS = 60.0
REQUEST_SECONDS = 60.0
"""As patient as the rest: a busy machine is no failure of a test that is about something else."""

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float, what: str) -> T:
    """The first true value of `look`, asked again and again; fails the test when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s: {what}")
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that the receiver got."""

    arrived_at: float
    """Unix time in seconds."""
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    peer_port: int
    """The caller's port: tells which process called."""

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


class Receiver(ThreadingHTTPServer):
    """A real receiver on a free port. `status` and `delay_seconds` may be changed at any moment."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ReceiverHandler)
        self.status = 200
        self.delay_seconds = 0.0
        self.body = b"thanks"
        self.calls: list[Call] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: callers are killed on purpose."""


class _ReceiverHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def _answer(self) -> None:
        arrived_at = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.calls.append(
            Call(
                arrived_at=arrived_at,
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
                peer_port=self.client_address[1],
            )
        )
        if self.server.delay_seconds:
            time.sleep(self.server.delay_seconds)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `calls`."""


@dataclass
class RunningPlatform:
    """A `webhookcron up` with its data directory; `stop` and `start` keep the data."""

    directory: Path
    options: tuple[str, ...]
    environ: Mapping[str, str]
    data_directory_name: str = "data"
    process: "subprocess.Popen[bytes] | None" = None
    _ready: dict[str, Any] = field(default_factory=dict)

    @property
    def ready_file(self) -> Path:
        return self.directory / "ready.json"

    @property
    def log_file(self) -> Path:
        return self.directory / "log"

    @property
    def data_directory(self) -> Path:
        return self.directory / self.data_directory_name

    @property
    def url(self) -> str:
        return str(self._ready["url"])

    @property
    def redis_url(self) -> str:
        return str(self._ready["redisUrl"])

    @property
    def mongodb_uri(self) -> str:
        return str(self._ready["mongodbUri"])

    @property
    def admin_key(self) -> str:
        return (self.data_directory / "admin.key").read_text().strip()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        """Everything printed so far, over all starts."""
        return self.log_file.read_text(errors="replace")

    def pids(self, role: str) -> list[int]:
        """The process ids that play `role` at this moment: store, redis, api, ticker or worker."""
        self._ready = json.loads(self.ready_file.read_text())
        return list(self._ready["children"].get(role, []))

    def all_pids(self) -> list[int]:
        """Every child's process id."""
        self.pids("api")
        return [pid for pids in self._ready["children"].values() for pid in pids]

    def start(self) -> None:
        """Start it and return once it is ready."""
        command = [sys.executable, "-m", "webhookcron", "up", "--port", "0"]
        command += [
            "--data-dir",
            str(self.data_directory),
            "--ready-file",
            str(self.ready_file),
            *self.options,
        ]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Tests trigger more often than people do.
                env={**os.environ, "WEBHOOKCRON_RATE_LIMIT_TRIGGER": "off", **self.environ},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the platform did not start:\n{self.log()}", pytrace=False)
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            self._ready = json.loads(self.ready_file.read_text())
        except FileNotFoundError:
            return False
        # One that was killed leaves its file behind.
        return bool(self._ready["pid"] == self.pid)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop, as Ctrl-C does; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """An API call with the admin key."""
        headers = {"Authorization": f"Bearer {self.admin_key}", **more.pop("headers", {})}
        return requests.request(method, f"{self.url}{path}", headers=headers, timeout=REQUEST_SECONDS, **more)

    def create_job(self, **definition: Any) -> dict[str, Any]:
        """A new cron job, as the API answers it."""
        response = self.request("POST", "/api/cron", json=definition)
        assert response.status_code == 201, response.text
        return dict(response.json())

    def executions_of(self, job_id: str) -> list[dict[str, Any]]:
        """All executions of a job, page by page."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            parameters = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            response = self.request("GET", f"/api/execution-logs/job/{job_id}", params=parameters)
            assert response.status_code == 200, response.text
            page = response.json()
            found += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return found


@pytest.fixture
def start_receiver() -> Iterator[Callable[[], Receiver]]:
    """`start_receiver()` starts one more receiver that answers 200 at once until told otherwise."""
    with ExitStack() as stack:

        def start() -> Receiver:
            server = stack.enter_context(Receiver())
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def receiver(start_receiver: Callable[[], Receiver]) -> Receiver:
    """A receiver that answers 200 at once until told otherwise."""
    return start_receiver()


@contextmanager
def platforms() -> Iterator[Callable[..., RunningPlatform]]:
    """Starts platforms with the given options of `up`, each in a new directory; all are ended at the end."""
    if find_redis_server() is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING_MESSAGE, pytrace=False)
        pytest.skip(MISSING_MESSAGE)
    started: list[RunningPlatform] = []

    def start(
        *options: str, environ: Mapping[str, str] | None = None, data_directory_name: str = "data"
    ) -> RunningPlatform:
        # Short, so that the stores' sockets fit into it.
        directory = Path(tempfile.mkdtemp(prefix="wc-"))
        platform = RunningPlatform(directory, options, environ or {}, data_directory_name)
        started.append(platform)
        platform.start()
        return platform

    try:
        yield start
    finally:
        for platform in started:
            if platform.process is not None and platform.process.poll() is None:
                platform.process.terminate()
                try:
                    platform.process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    platform.process.kill()
                    platform.process.wait()
            shutil.rmtree(platform.directory, ignore_errors=True)


@pytest.fixture
def start_platform() -> Iterator[Callable[..., RunningPlatform]]:
    """`start_platform(*options, environ=…)` starts a platform of the test's own."""
    with platforms() as start:
        yield start


@pytest.fixture(name="platforms", scope="session")
def platforms_fixture() -> Callable[..., Any]:
    """`with platforms() as start`: for fixtures of folders that share a platform."""
    return platforms


@pytest.fixture(scope="module")
def shared_platform() -> Iterator[RunningPlatform]:
    """One platform for all tests of a module that leave it running."""
    with platforms() as start:
        yield start()


@pytest.fixture
def platform(start_platform: Callable[..., RunningPlatform]) -> RunningPlatform:
    """One platform with a ticker and a worker."""
    return start_platform()


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    """`eventually(look, within=seconds, what=text)`: polls until `look` is true."""
    return eventually


def _holder_of_port(port: int, candidates: list[int]) -> int:
    """Which of the processes `candidates` has a TCP connection from local `port` (proc(5): /proc/net/tcp)."""
    inodes = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if int(fields[1].rpartition(":")[2], 16) == port
    }
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for pid in candidates:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(descriptor) in sockets:
                    return pid
            except FileNotFoundError:
                continue
    pytest.fail(f"none of {candidates} has a connection from port {port}")


@pytest.fixture
def holder_of_port() -> Callable[[int, list[int]], int]:
    """`holder_of_port(port, pids)`: which of the processes has a TCP connection from that local port (Linux)."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("needs /proc/net/tcp, which this system does not have")
    return _holder_of_port
