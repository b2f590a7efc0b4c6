"""The platform under chaos: stores, API, tickers and workers as processes that are killed, stopped and started again.

All processes are started by one thread that lives as long as the machine: each is tethered to it, so that none
outlives the driver, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
import requests
from clocks import WrongClocks
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from webhookcron.embedded import tether
from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command

DATABASE = "chaos"
LARGEST_CLOCK_OFFSET_SECONDS = 900
DRAIN_SECONDS = 4
START_SECONDS = 60.0
"""Ten processes that start at a time on a busy machine are all ready by then."""
STORES = ("store", "redis")
PARTS = ("api", "ticker", "worker")
LOG_TAIL_BYTES = 1500
HANDED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""All that the processes get of the driver's own environment: whatever else stands there is none of their business."""


class MachineFailed(Exception):
    """The run cannot go on: something that no fault explains keeps a process from doing its part."""


@dataclass
class Process:
    """One process and all it forks; the same command on the same address at every start."""

    role: str
    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None
    busy: bool = False
    """A fault is under way on it; whoever set this starts or resumes it."""
    started_at: float = 0.0
    """Of the monotonic clock."""

    @property
    def running(self) -> bool:
        """Whether it lives (a stopped one does)."""
        return self.child is not None and self.child.poll() is None

    def start(self) -> None:
        """Start it, in a process group of its own."""
        # Its child is killed when the driver dies.
        command = [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), *self.command]
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.started_at = time.monotonic()

    @property
    def end_of_log(self) -> str:
        """What it printed last."""
        text = self.log.read_bytes()[-LOG_TAIL_BYTES:] if self.log.exists() else b""
        return text.decode(errors="replace")

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the process and all it forked."""
        assert self.child is not None
        os.killpg(self.child.pid, number)

    def kill(self) -> None:
        """End it with SIGKILL, forks included."""
        if self.child is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal_all(signal.SIGKILL)
            self.child.wait()

    def terminate(self) -> None:
        """Ask it to stop, as a service manager does."""
        assert self.child is not None
        self.child.send_signal(signal.SIGTERM)


@dataclass
class Machine:
    """Everything that runs, by role."""

    directory: Path
    clocks: WrongClocks
    dice: random.Random
    processes: dict[str, list[Process]] = field(default_factory=dict)
    api_urls: list[str] = field(default_factory=list)
    key: str = ""
    mongo: MongoClient[dict[str, Any]] = field(init=False)
    redis: redis.Redis = field(init=False)
    receiver_url: str = ""
    offsets: list[int] = field(default_factory=list)
    """The clock offsets that processes were started with, in seconds."""

    @property
    def calls_file(self) -> Path:
        """What the receiver noted."""
        return self.directory / "calls.jsonl"

    @property
    def database(self) -> Any:
        """The platform's database, asked directly."""
        return self.mongo[DATABASE]

    def all(self) -> list[Process]:
        """Every process, the receiver among them."""
        return [process for processes in self.processes.values() for process in processes]

    @property
    def busy_names(self) -> list[str]:
        """The processes that suffer a fault."""
        return [process.name for process in self.all() if process.busy]

    def start(self, *, apis: int, tickers: int, workers: int) -> None:
        """Start stores, receiver and parts; returns when all are ready. Raises MachineFailed as soon as one ends."""
        store_socket, redis_socket = self.directory / "m.sock", self.directory / "r.sock"
        mongodb_uri = f"mongodb://{quote(str(store_socket), safe='')}"
        binary = find_redis_server()
        if binary is None:
            raise SystemExit(MISSING_MESSAGE)
        (self.directory / "redis").mkdir()
        redis_command = redis_server_command(
            binary, data_dir=self.directory / "redis", socket=redis_socket, port=None
        )
        store_command = [sys.executable, "-m", "webhookcron.embedded.mongo_server"]
        store_command += ["--data-file", str(self.directory / "store.sqlite"), "--socket", str(store_socket)]
        store_command += ["--max-finished-executions", "0"]
        environment = clean_environment()
        self._add("store", store_command, environment)
        self._add("redis", redis_command, environment)
        for process in self.all():
            process.start()
        self.mongo = MongoClient(mongodb_uri, tz_aware=True, timeoutMS=2000, serverSelectionTimeoutMS=2000)
        self.redis = redis.Redis(unix_socket_path=str(redis_socket), socket_timeout=5)
        self._await("the stores answer", self._stores_answer)

        environment |= {
            "MONGODB_URI": f"{mongodb_uri}/{DATABASE}",
            "REDIS_URL": f"unix://{redis_socket}",
            "WEBHOOKCRON_SECRET_KEY": "the secret key of chaos",
            "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS": "127.0.0.0/8",
            "WEBHOOKCRON_RATE_LIMIT": "off",
            "WEBHOOKCRON_RATE_LIMIT_TRIGGER": "off",
            "WEBHOOKCRON_MAX_PER_HOST": "200",
            "WEBHOOKCRON_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "WEBHOOKCRON_LOG_FORMAT": "json",
        }
        self._make_key(environment)
        self._start_receiver(environment)
        for _ in range(apis):
            port = _free_port()
            self.api_urls.append(f"http://127.0.0.1:{port}")
            command = [*_part("api"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
            self._add("api", command, environment)
        for role, count in (("ticker", tickers), ("worker", workers)):
            for _ in range(count):
                self._add(role, _part(role), environment)
        for role in PARTS:
            for process in self.processes[role]:
                self.start_again(process)
        self._await("API, tickers and workers are ready", lambda: self._parts_are_ready(tickers, workers))

    def start_again(self, process: Process) -> None:
        """Start a process, its clock off by some minutes more or less than before."""
        if process.role in PARTS:
            offset = self.dice.randint(-LARGEST_CLOCK_OFFSET_SECONDS, LARGEST_CLOCK_OFFSET_SECONDS)
            process.environment |= self.clocks.environment(offset)
            if self.clocks.available:
                self.offsets.append(offset)
        process.start()

    def stop(self) -> None:
        """End everything."""
        for processes in reversed(self.processes.values()):
            for process in processes:
                process.kill()
        if hasattr(self, "mongo"):
            self.mongo.close()
            self.redis.close()

    def _add(self, role: str, command: list[str], environment: dict[str, str]) -> Process:
        name = f"{role}-{len(self.processes.get(role, [])) + 1}"
        process = Process(role, name, command, dict(environment), self.directory / f"{name}.log")
        self.processes.setdefault(role, []).append(process)
        return process

    def _await(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            for process in self.all():
                if process.child is not None and not process.running:
                    raise MachineFailed(
                        f"{process.name} ended at its start with code {process.child.returncode}, before "
                        f"{what}; its log ends: {process.end_of_log}"
                    )
            if time.monotonic() > deadline:
                logs = "\n".join(f"{process.name}: {process.end_of_log}" for process in self.all())
                raise MachineFailed(f"within {START_SECONDS:g} s it did not come to pass that {what}\n{logs}")
            time.sleep(0.05)

    def _stores_answer(self) -> bool:
        try:
            self.redis.ping()
            self.mongo.admin.command("ping")
        except (redis.RedisError, PyMongoError):
            return False
        return True

    def _parts_are_ready(self, tickers: int, workers: int) -> bool:
        roles: list[str] = []
        for url in self.api_urls:
            try:
                answer = requests.get(
                    f"{url}/api/stats/system", headers={"Authorization": f"Bearer {self.key}"}, timeout=5
                )
            except requests.RequestException:
                return False
            if answer.status_code != 200:
                return False
            roles = [instance["role"] for instance in answer.json()["instances"] or ()]
        return roles.count("ticker") >= tickers and roles.count("worker") >= workers

    def _make_key(self, environment: dict[str, str]) -> None:
        file = self.directory / "admin.key"
        command = [*_part("admin-key"), "--output", str(file)]
        try:
            subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True, timeout=START_SECONDS
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise MachineFailed(f"{error}: {error.stderr}") from None
        self.key = file.read_text().strip()

    def _start_receiver(self, environment: dict[str, str]) -> None:
        command = [sys.executable, str(Path(__file__).with_name("receiver.py")), str(self.calls_file)]
        process = self._add("receiver", command, environment)
        process.start()
        self._await("the receiver prints its port", lambda: process.log.read_text().endswith("\n"))
        printed = process.log.read_text()
        self.receiver_url = f"http://127.0.0.1:{int(printed)}"

    def log_lines(self, role: str) -> list[dict[str, Any]]:
        """What the processes of a role logged as JSON."""
        lines: list[dict[str, Any]] = []
        for process in self.processes[role]:
            for text in process.log.read_text(errors="replace").splitlines():
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict):
                    lines.append(line)
        return lines


def clean_environment() -> dict[str, str]:
    """What a process needs of the driver's environment, and no more."""
    return {name: os.environ[name] for name in HANDED_ON if name in os.environ}


def _part(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", "webhookcron", name]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
