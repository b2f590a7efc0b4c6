import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from webhookcron.embedded import stores
from webhookcron.embedded.data_directory import DataDirectory
from webhookcron.embedded.stores import StoreMissing, embedded_redis, embedded_store


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    with DataDirectory(tmp_path) as held:
        yield held


@pytest.fixture
def path_with_mongod(tmp_path_factory: pytest.TempPathFactory) -> str:
    binaries = tmp_path_factory.mktemp("bin")
    mongod = binaries / "mongod"
    mongod.write_text("#!/bin/sh\n")
    mongod.chmod(0o755)
    return str(binaries)


def test_without_mongod_the_own_server_is_run_on_a_socket(directory: DataDirectory) -> None:
    store = embedded_store(directory, {"PATH": ""})

    assert "webhookcron.embedded.mongo_server" in store.spec.command
    assert unquote(store.uri) == f"mongodb://{directory.runtime / 'store.sock'}/webhookcron"
    assert "50,000 finished executions" in store.title


def test_mongod_on_path_is_preferred(directory: DataDirectory, path_with_mongod: str) -> None:
    store = embedded_store(directory, {"PATH": path_with_mongod})

    assert store.spec.command[0] == f"{path_with_mongod}/mongod"
    assert store.uri.startswith("mongodb://127.0.0.1:")


def test_a_directory_begun_with_the_own_server_stays_with_it(
    directory: DataDirectory, path_with_mongod: str
) -> None:
    (directory.path / "store.sqlite").write_bytes(b"")

    store = embedded_store(directory, {"PATH": path_with_mongod})

    assert "webhookcron.embedded.mongo_server" in store.spec.command


def test_a_directory_begun_with_mongod_is_refused_without_it(directory: DataDirectory) -> None:
    (directory.path / "mongod").mkdir()

    with pytest.raises(StoreMissing, match="was begun with mongod, which is not on PATH now"):
        embedded_store(directory, {"PATH": ""})


@pytest.mark.parametrize(
    ("line", "ready"),
    [
        ('{"ready": true, "uri": "mongodb://x"}', True),
        ('{"ready": false}', False),
        ("[true]", False),
        ("started", False),
    ],
)
def test_the_own_server_is_ready_when_it_says_so(directory: DataDirectory, line: str, ready: bool) -> None:
    ready_line: Callable[[str], bool] | None = embedded_store(directory, {"PATH": ""}).spec.ready_line

    assert ready_line is not None
    assert ready_line(line) is ready


def test_redis_is_run_on_a_socket_and_keeps_the_directory_locked(directory: DataDirectory) -> None:
    redis = embedded_redis(directory, dict(os.environ))

    assert redis.uri == f"unix://{directory.runtime / 'redis.sock'}?db=0"
    assert directory.lock_fd in redis.spec.pass_fds


def test_a_path_too_long_for_sockets_means_ports_on_loopback(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / ("x" * 100)) as directory:
        assert embedded_store(directory, {"PATH": ""}).uri.startswith("mongodb://127.0.0.1:")
        assert embedded_redis(directory, {}).uri.startswith("redis://127.0.0.1:")


def test_a_missing_redis_is_one_line_with_what_to_do(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "find_redis_server", lambda: None)

    with pytest.raises(StoreMissing, match=r"apt-get install redis-server.*or set REDIS_URL"):
        embedded_redis(directory, {})
