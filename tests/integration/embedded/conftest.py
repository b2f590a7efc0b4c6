"""Embedded servers of a test's own, started and killed as it likes."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

Client = MongoClient[dict[str, Any]]


class Server:
    """An embedded server process over one data file, which outlives it."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.data_file = directory / "store.sqlite3"
        self.socket = directory / "m.sock"
        self.options = options
        self.process: subprocess.Popen[str] | None = None
        self.uri = ""

    def command(self) -> list[str]:
        """The command line."""
        listen = () if "--port" in self.options else ("--socket", str(self.socket))
        return [
            *(sys.executable, "-m", "webhookcron.embedded.mongo_server"),
            *("--data-file", str(self.data_file)),
            *listen,
            *self.options,
        ]

    def start(self) -> "Server":
        """Start and wait for the ready line."""
        self.process = subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        assert line["ready"] is True
        self.uri = line["uri"]
        return self

    def client(self, selection_ms: int = 5000) -> Client:
        """A client; the caller closes it."""
        return MongoClient(self.uri, tz_aware=True, serverSelectionTimeoutMS=selection_ms)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end; the exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory with a path short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="wc-") as directory:
        yield Path(directory)


@pytest.fixture
def make_server(short_dir: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers (not started) over one data file; whatever still runs is ended."""
    made: list[Server] = []

    def make(*options: str) -> Server:
        made.append(Server(short_dir, *options))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None:
            server.end()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    """One running server for all tests of a module; it must end well."""
    with tempfile.TemporaryDirectory(prefix="wc-") as directory:
        server = Server(Path(directory)).start()
        yield server
        assert server.end() == 0
