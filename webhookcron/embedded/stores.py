"""The stores that `up` brings along: where they are, and how they are run as children."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from webhookcron.core.errors import WebhookcronError
from webhookcron.embedded.data_directory import DataDirectory
from webhookcron.embedded.listening import free_loopback_port
from webhookcron.embedded.probes import redis_answers
from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command
from webhookcron.embedded.store import DEFAULT_MAX_FINISHED_EXECUTIONS
from webhookcron.embedded.supervisor import ChildSpec

DATABASE = "webhookcron"

LOADING_SECONDS = 120.0
"""The longest time for a store to read its data back at the start."""

STOP_SECONDS = 15.0


class StoreMissing(WebhookcronError):
    """A server that the data directory needs is not installed."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedStore:
    """One store: the child that runs it and the URI by which the others reach it."""

    uri: str
    spec: ChildSpec
    title: str
    """What it is, for people."""


def embedded_redis(directory: DataDirectory, environ: Mapping[str, str]) -> EmbeddedStore:
    """The Redis-protocol server. Raises `StoreMissing` when no server is installed."""
    binary = find_redis_server()
    if binary is None:
        raise StoreMissing(f"{MISSING_MESSAGE}; or set REDIS_URL")
    data = _subdirectory(directory, "redis")
    socket = directory.socket_path("redis.sock")
    port = None if socket is not None else free_loopback_port()

    async def answers() -> bool:
        return await redis_answers(socket=socket, port=port)

    return EmbeddedStore(
        uri=f"unix://{quote(str(socket))}?db=0" if socket is not None else f"redis://127.0.0.1:{port}/0",
        spec=ChildSpec(
            name="redis",
            role="redis",
            command=[
                *redis_server_command(binary, data_dir=data, socket=socket, port=port),
                # What it tells at its start is long, and of no use to those who never asked for a Redis.
                *("--loglevel", "warning"),
            ],
            environ=environ,
            ready_probe=answers,
            start_seconds=LOADING_SECONDS,
            stop_seconds=STOP_SECONDS,
            pass_fds=(directory.lock_fd,),
        ),
        title=f"embedded Redis ({binary.name})",
    )


def embedded_store(directory: DataDirectory, environ: Mapping[str, str]) -> EmbeddedStore:
    """The MongoDB-protocol store: `mongod` where it is installed, else the project's own server.

    A directory stays with the one that it was begun with: the other could not see its data. Raises `StoreMissing`.
    """
    own_file = directory.path / "store.sqlite"
    mongod_data = directory.path / "mongod"
    mongod = shutil.which("mongod", path=environ.get("PATH"))
    if mongod_data.exists() and mongod is None:
        raise StoreMissing(
            f"{directory.path} was begun with mongod, which is not on PATH now; "
            "install it again, or choose another directory with --data-dir"
        )
    if mongod is not None and not own_file.exists():
        return _mongod(directory, environ, mongod)
    return _own_server(directory, environ, own_file)


def _own_server(directory: DataDirectory, environ: Mapping[str, str], file: Path) -> EmbeddedStore:
    socket = directory.socket_path("store.sock")
    command = [sys.executable, "-m", "webhookcron.embedded.mongo_server", "--data-file", str(file)]
    if socket is not None:
        command += ["--socket", str(socket)]
        uri = f"mongodb://{quote(str(socket), safe='')}/{DATABASE}"
    else:
        port = free_loopback_port()
        command += ["--host", "127.0.0.1", "--port", str(port)]
        uri = f"mongodb://127.0.0.1:{port}/{DATABASE}"
    return EmbeddedStore(
        uri=uri,
        spec=_store_spec(directory, environ, command, _json_line_with("ready", True)),
        title=(
            f"embedded store, keeps at most {DEFAULT_MAX_FINISHED_EXECUTIONS:,} finished executions, "
            "oldest removed first"
        ),
    )


def _mongod(directory: DataDirectory, environ: Mapping[str, str], binary: str) -> EmbeddedStore:
    data = _subdirectory(directory, "mongod")
    port = free_loopback_port()
    command = [binary, "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    return EmbeddedStore(
        uri=f"mongodb://127.0.0.1:{port}/{DATABASE}",
        spec=_store_spec(directory, environ, command, _json_line_with("msg", "Waiting for connections")),
        title=f"mongod ({binary})",
    )


def _store_spec(
    directory: DataDirectory,
    environ: Mapping[str, str],
    command: list[str],
    ready_line: Callable[[str], bool],
) -> ChildSpec:
    return ChildSpec(
        name="store",
        role="store",
        command=command,
        environ=environ,
        ready_line=ready_line,
        start_seconds=LOADING_SECONDS,
        stop_seconds=STOP_SECONDS,
        pass_fds=(directory.lock_fd,),
    )


def _subdirectory(directory: DataDirectory, name: str) -> Path:
    path = directory.path / name
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _json_line_with(name: str, value: object) -> Callable[[str], bool]:
    """Recognizes a line that is a JSON object with `name` = `value`."""

    def matches(line: str) -> bool:
        try:
            document = json.loads(line)
        except ValueError:
            return False
        return isinstance(document, dict) and document.get(name) == value

    return matches
