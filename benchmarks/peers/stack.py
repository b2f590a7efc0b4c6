"""A peer under measurement: a Redis of its own and its Node processes, and what each of them costs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from benchmarks.fires.processes import ByRole
from benchmarks.fires.stack import SIGNING_SECRET
from benchmarks.peers.answers import answer_of
from benchmarks.peers.node import DIRECTORY
from webhookcron.core.executions import from_ms, to_ms
from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command

CLOSING_SECONDS = 20


@dataclass(frozen=True)
class PeerOptions:
    """What to run. `script` is one of the .mjs programs here; the roles are those of its processes.

    A worker runs `concurrency` jobs at once, over at most `connections_per_host` connections.
    """

    script: str
    roles: tuple[str, ...]
    concurrency: int
    connections_per_host: int


@dataclass
class NodeProcess:
    """A Node program that takes commands."""

    child: subprocess.Popen[str]

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """The answer to a command. Raises PeerFailed when there is none or it failed."""
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self.child.stdin.flush()
        return self.answer(do)

    def answer(self, command: str) -> dict[str, Any]:
        """The next answer. Raises PeerFailed."""
        assert self.child.stdout is not None
        return answer_of(self.child.stdout.readline(), command)


@dataclass
class Peer(ByRole):
    """A running peer."""

    nodes: list[NodeProcess]

    def now(self) -> datetime:
        """This machine's time, cut to milliseconds."""
        return from_ms(to_ms(datetime.now(UTC)))

    def register(self, jobs: int, url: str, *, first: datetime, every_ms: int, spread_ms: int) -> None:
        """Register `jobs` jobs due every `every_ms`, the first times spread over `spread_ms` from `first`.

        Raises SystemExit when `first` is over by then: their fire times would be others.
        """
        self.nodes[0].ask(
            "register", jobs=jobs, url=url, firstAtMs=to_ms(first), everyMs=every_ms, spreadMs=spread_ms
        )
        if self.now() >= first:
            raise SystemExit(f"the peer needed too long to register {jobs} jobs")

    def failures(self) -> tuple[int, str | None]:
        """How many calls failed or other errors there were, and the words of one of them."""
        answers = [node.ask("failures") for node in self.nodes]
        return sum(answer["count"] for answer in answers), next(
            (answer["first"] for answer in answers if answer["first"]), None
        )

    def is_idle(self) -> bool:
        """Whether no job runs or waits for a worker."""
        return not self.nodes[0].ask("unfinished")["jobs"]

    def forget_jobs(self) -> None:
        """Empty the peer between two workloads."""
        for node in self.nodes:
            node.ask("pause")
        self.nodes[0].ask("empty")
        for node in self.nodes:
            node.ask("resume")


@contextmanager
def running(node: str, options: PeerOptions) -> Iterator[Peer]:
    """A peer, up and ready; all of it is gone afterwards. `node` is the path of the program."""
    binary = find_redis_server()
    if binary is None:
        raise SystemExit(MISSING_MESSAGE)
    children: list[subprocess.Popen[Any]] = []
    with tempfile.TemporaryDirectory(prefix="wcp-") as name:
        directory = Path(name)
        socket = directory / "r.sock"
        try:
            command = redis_server_command(binary, data_dir=directory, socket=socket, port=None)
            children.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            _await_redis(socket)
            given = {
                "socket": str(socket),
                "concurrency": options.concurrency,
                "connectionsPerHost": options.connections_per_host,
                "signingSecret": SIGNING_SECRET,
            }
            nodes: list[NodeProcess] = []
            processes: dict[str, list[psutil.Process]] = {}
            for role in options.roles:
                child = subprocess.Popen(
                    [node, str(DIRECTORY / options.script), json.dumps(given | {"role": role})],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    # Both Node and its packages are faster in production.
                    env={**os.environ, "NODE_ENV": "production"},
                )
                children.append(child)
                nodes.append(NodeProcess(child))
                processes.setdefault(role, []).append(psutil.Process(child.pid))
            for started in nodes:
                started.answer("start")
            yield Peer({**processes, "redis": [psutil.Process(children[0].pid)]}, nodes)
        finally:
            for child in reversed(children):
                _end(child)


def _await_redis(socket: Path) -> None:
    client = Redis(
        unix_socket_path=str(socket),
        retry=Retry(ConstantBackoff(0.05), 200, supported_errors=(RedisConnectionError,)),
    )
    client.ping()
    client.close()


def _end(child: subprocess.Popen[Any]) -> None:
    """A Node program ends when its commands do; Redis when it is told so."""
    if child.stdin is not None:
        child.stdin.close()
    else:
        child.terminate()
    try:
        child.wait(CLOSING_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
