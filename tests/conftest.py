"""Services for tests: each test process starts its own Redis and its own MongoDB-protocol store.

`MONGODB_TEST_URI` (without database) puts a real MongoDB in the store's place. A service that cannot be had skips
the test at a desk and fails it where `CI` is set.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import settings
from pymongo import MongoClient
from pymongo.database import Database

from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command

START_SECONDS = 20.0

# How long an example takes says more about the machine than about the code.
settings.register_profile("webhookcron", deadline=None)
settings.load_profile("webhookcron")


@pytest.fixture(autouse=True)
def environment_is_left_alone() -> Iterator[None]:
    """Fails the test that changes the environment for those after it and for every process that they start."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    names = {name for name, _ in before.items() ^ after.items()} - {"PYTEST_CURRENT_TEST"}
    if names:
        os.environ.clear()
        os.environ.update(before)
        pytest.fail(f"the test left changes in the environment: {', '.join(sorted(names))}", pytrace=False)


def unavailable(reason: str) -> None:
    """Skip at a desk, fail where everything is supposed to be installed."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def services_dir() -> Iterator[Path]:
    """A directory with a path short enough for unix sockets."""
    directory = Path(tempfile.mkdtemp(prefix="wc-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def stop(process: "subprocess.Popen[Any]") -> None:
    """End a service and close its pipes."""
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@pytest.fixture(scope="session")
def redis_url(services_dir: Path) -> Iterator[str]:
    """The URL of a Redis-protocol server that belongs to this test process alone."""
    binary = find_redis_server()
    if binary is None:
        unavailable(MISSING_MESSAGE)
        return
    data_dir = services_dir / "redis"
    data_dir.mkdir()
    socket = services_dir / "r.sock"
    command = redis_server_command(binary, data_dir=data_dir, socket=socket, port=None)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with redis.Redis(unix_socket_path=str(socket)) as client:
            _await_redis(client, process)
        yield f"unix://{socket}"
    finally:
        stop(process)


def _await_redis(client: "redis.Redis", process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
            return
        except redis.RedisError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@pytest.fixture
def redis_client(redis_url: str) -> Iterator["redis.Redis"]:
    """A client of the test process's own server, emptied."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture(scope="session")
def mongodb_uri(services_dir: Path) -> Iterator[str]:
    """The URI, without database, of the store under test: a real MongoDB when MONGODB_TEST_URI names one."""
    given = os.environ.get("MONGODB_TEST_URI")
    if given:
        yield given
        return
    command = [sys.executable, "-m", "webhookcron.embedded.mongo_server"]
    command += ["--data-file", str(services_dir / "store.sqlite3"), "--socket", str(services_dir / "m.sock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the embedded store did not start (exit code {process.wait()})", pytrace=False)
        yield json.loads(line)["uri"]
    finally:
        stop(process)


@pytest.fixture
def mongo_database(mongodb_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database of its own, dropped afterwards; moments come back aware."""
    client: MongoClient[dict[str, Any]] = MongoClient(
        mongodb_uri, tz_aware=True, serverSelectionTimeoutMS=5000
    )
    name = f"test_{secrets.token_hex(6)}"
    try:
        yield client[name]
        client.drop_database(name)
    finally:
        client.close()
