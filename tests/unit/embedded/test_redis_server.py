"""Finding a Redis-protocol server and its command line."""

from pathlib import Path

import pytest

from webhookcron.embedded import redis_server
from webhookcron.embedded.redis_server import find_redis_server, redis_server_command


def program(directory: Path, name: str) -> Path:
    """An executable file."""
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_it_prefers_valkey_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "redis-server")
    valkey = program(tmp_path, "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == valkey


def test_it_takes_redis_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = program(tmp_path, "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == redis


def test_it_says_none_when_there_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "_bundled_binary", lambda: None)
    assert find_redis_server() is None


def options(command: list[str]) -> dict[str, str]:
    """The options of a command line, without their dashes."""
    return {name.removeprefix("--"): value for name, value in zip(command[1::2], command[2::2], strict=True)}


def test_a_socket_server_is_private_durable_and_never_evicts(tmp_path: Path) -> None:
    socket = Path("/tmp/r.sock")
    command = redis_server_command(Path("/bin/valkey-server"), data_dir=tmp_path, socket=socket, port=None)
    assert command[0] == "/bin/valkey-server"
    assert options(command) == {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": str(tmp_path),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }


def test_a_port_server_listens_on_loopback_only(tmp_path: Path) -> None:
    found = options(redis_server_command(Path("/r"), data_dir=tmp_path, socket=None, port=7001))
    assert (found["port"], found["bind"], found["protected-mode"]) == ("7001", "127.0.0.1", "yes")
    assert "unixsocket" not in found


@pytest.mark.parametrize(
    ("socket", "port"), [(None, None), (Path("/tmp/r.sock"), 7001), (Path("/" + "x" * 100), None)]
)
def test_it_wants_exactly_one_place_that_the_system_can_listen_on(
    tmp_path: Path, socket: Path | None, port: int | None
) -> None:
    with pytest.raises(ValueError):
        redis_server_command(Path("/r"), data_dir=tmp_path, socket=socket, port=port)
