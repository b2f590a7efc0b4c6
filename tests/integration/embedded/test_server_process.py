"""The embedded server as a process: its start, its stop, its data file, its bound. Not for a real MongoDB."""

import json
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from webhookcron.embedded.mongo_server import MAX_SOCKET_PATH_BYTES

DAY = datetime(2026, 1, 1, tzinfo=UTC)
MakeServer = Callable[..., Any]


def run_to_end(command: list[str]) -> tuple[int, list[str]]:
    """Exit code and stderr lines of a server that is to refuse the start."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def test_it_says_that_it_is_the_embedded_store(make_server: MakeServer) -> None:
    server = make_server("--max-finished-executions", "7").start()
    with server.client() as client:
        for command in ("buildInfo", "serverStatus"):
            status = client.admin.command(command)
            assert status["webhookcronEmbedded"] is True
            assert status["maxFinishedExecutions"] == 7
        hello = client.admin.command("hello")
    assert not {"setName", "logicalSessionTimeoutMinutes", "topologyVersion"} & set(hello)


def test_its_socket_is_for_its_user_only_and_goes_with_it(make_server: MakeServer) -> None:
    server = make_server().start()
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
    assert server.end() == 0
    assert not server.socket.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_on_a_free_port_and_stops_on_a_signal(make_server: MakeServer, number: int) -> None:
    server = make_server("--port", "0").start()
    assert server.uri.startswith("mongodb://127.0.0.1:")
    with server.client() as client:
        client.db.things.insert_one({"_id": 1})
        assert server.end(number) == 0
    assert stat.S_IMODE(server.data_file.stat().st_mode) == 0o600


def test_a_second_server_on_the_same_file_is_refused(make_server: MakeServer, short_dir: Path) -> None:
    first = make_server().start()
    code, lines = run_to_end(make_server("--port", "0").command())
    assert code == 3
    assert len(lines) == 1
    assert "in use by another server" in lines[0]
    with first.client() as client:
        assert client.admin.command("ping")["ok"] == 1.0


def test_the_socket_of_a_killed_server_is_replaced(make_server: MakeServer) -> None:
    server = make_server().start()
    server.end(signal.SIGKILL)
    assert server.socket.exists()
    with server.start().client() as client:
        assert client.admin.command("ping")["ok"] == 1.0


def test_it_refuses_a_path_that_is_no_socket(make_server: MakeServer) -> None:
    server = make_server()
    server.socket.write_text("precious")
    code, lines = run_to_end(server.command())
    assert (code, len(lines)) == (1, 1)
    assert server.socket.read_text() == "precious"


def test_it_refuses_a_socket_path_too_long_for_the_system(make_server: MakeServer) -> None:
    server = make_server()
    server.socket = server.socket.with_name("x" * MAX_SOCKET_PATH_BYTES)
    code, lines = run_to_end(server.command())
    assert (code, len(lines)) == (1, 1)
    assert "use --host and --port" in lines[0]


def test_it_refuses_a_host_that_is_not_loopback(make_server: MakeServer) -> None:
    code, lines = run_to_end(make_server("--port", "0", "--host", "0.0.0.0").command())
    assert code == 2
    assert "loopback" in lines[-1]


def test_it_refuses_a_data_file_in_a_directory_that_is_not_there(make_server: MakeServer) -> None:
    server = make_server()
    server.data_file = server.data_file.parent / "missing" / "store.sqlite3"
    code, lines = run_to_end(server.command())
    assert (code, len(lines)) == (1, 1)
    assert str(server.data_file) in lines[0]


@pytest.mark.parametrize("content", [b"not a database " * 1000, b"SQLite format 3\0" + b"damaged!" * 600])
def test_it_refuses_a_file_that_is_no_data_file(make_server: MakeServer, content: bytes) -> None:
    server = make_server()
    server.data_file.write_bytes(content)
    code, lines = run_to_end(server.command())
    assert (code, len(lines)) == (1, 1)
    assert server.data_file.read_bytes() == content


def test_it_refuses_a_data_file_with_a_damaged_document(make_server: MakeServer) -> None:
    server = make_server().start()
    with server.client() as client:
        client.db.things.insert_one({"_id": 1})
    server.end()
    connection = sqlite3.connect(server.data_file)
    connection.execute("UPDATE documents SET body = x'0500'")
    connection.commit()
    connection.close()
    code, lines = run_to_end(server.command())
    assert (code, len(lines)) == (1, 1)
    assert str(server.data_file) in lines[0]


def test_a_restart_keeps_documents_indexes_and_drops(make_server: MakeServer) -> None:
    server = make_server().start()
    with server.client() as client:
        client.db.things.create_index([("a", 1)], unique=True, partialFilterExpression={"a": {"$gt": 1}})
        client.db.things.insert_many([{"_id": n, "a": n} for n in range(5)])
        client.db.things.update_one({"_id": 3}, {"$set": {"a": 30}})
        client.db.things.delete_one({"_id": 4})
        client.db.gone.insert_one({"_id": 1})
        client.db.gone.drop()
        before = (list(client.db.things.find()), client.db.things.index_information())
    server.end()
    with server.start().client() as client:
        assert (list(client.db.things.find()), client.db.things.index_information()) == before
        assert client.db.list_collection_names() == ["things"]
        with pytest.raises(OperationFailure):
            client.db.things.insert_one({"_id": 9, "a": 30})


def test_no_acknowledged_write_is_lost_over_kills(make_server: MakeServer) -> None:
    server = make_server()
    acknowledged: set[str] = set()
    changed: set[str] = set()
    for life in range(5):
        server.start()
        goal = len(acknowledged) + 150
        with server.client(selection_ms=200) as client, ThreadPoolExecutor(4) as pool:
            writers = [
                pool.submit(write_until_it_dies, client, life, n, acknowledged, changed) for n in range(4)
            ]
            eventually(lambda goal=goal: len(acknowledged) >= goal)  # type: ignore[misc]
            server.end(signal.SIGKILL)
            for writer in writers:
                writer.result()
    server.start()
    with server.client() as client:
        stored = {document["_id"]: document for document in client.db.things.find()}
    assert acknowledged <= set(stored)
    assert {key for key in changed if stored[key].get("changed")} == changed


def write_until_it_dies(
    client: MongoClient[dict[str, Any]], life: int, writer: int, acknowledged: set[str], changed: set[str]
) -> None:
    """Insert and change documents one after another, noting each acknowledgement, until the server is gone."""
    things = client.db.things
    for number in range(100_000):
        key = f"{life}-{writer}-{number}"
        try:
            things.insert_one({"_id": key})
            acknowledged.add(key)
            if things.update_one({"_id": key}, {"$set": {"changed": True}}).modified_count:
                changed.add(key)
        except AutoReconnect:
            return


CLAIMER = """
import sys
from pymongo import MongoClient
client = MongoClient(sys.argv[1])
claimed = []
while True:
    found = client.db.queue.find_one_and_update(
        {"status": "queued"}, {"$set": {"status": "running", "by": sys.argv[2]}}, sort=[("_id", 1)]
    )
    if found is None:
        break
    claimed.append(found["_id"])
client.close()
print(*claimed)
"""


def test_several_processes_never_claim_the_same_document(make_server: MakeServer) -> None:
    server = make_server().start()
    with server.client() as client:
        client.db.queue.create_index([("status", 1), ("_id", 1)])
        client.db.queue.insert_many([{"_id": n, "status": "queued"} for n in range(300)])
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, server.uri, str(n)], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    claimed = [int(word) for claimer in claimers for word in claimer.communicate(timeout=60)[0].split()]
    assert sorted(claimed) == list(range(300))


def test_documents_past_their_time_go(make_server: MakeServer) -> None:
    server = make_server().start()
    now = datetime.now(UTC)
    with server.client() as client:
        things = client.db.things
        things.create_index("expireAt", expireAfterSeconds=0)
        things.create_index("usedAt", expireAfterSeconds=3600)
        things.insert_many(
            [
                {"_id": "past", "expireAt": now - timedelta(seconds=1)},
                {"_id": "future", "expireAt": now + timedelta(hours=1)},
                {"_id": "never"},
                {"_id": "text", "expireAt": "2020"},
                {"_id": "unused", "usedAt": now - timedelta(hours=2)},
                {"_id": "used", "usedAt": now - timedelta(minutes=2)},
            ]
        )
        eventually(lambda: things.count_documents({}) == 4)
        assert sorted(things.distinct("_id")) == ["future", "never", "text", "used"]


def test_the_oldest_finished_executions_go_when_there_are_too_many(make_server: MakeServer) -> None:
    server = make_server("--max-finished-executions", "100").start()
    with server.client() as client:
        executions = client.db.executions
        executions.insert_many([{"_id": f"open{n}", "completedAt": None} for n in range(50)])
        client.db.other.insert_many([{"completedAt": DAY} for _ in range(300)])
        for start in range(0, 1000, 50):
            batch = [{"_id": n, "completedAt": DAY + timedelta(seconds=n)} for n in range(start, start + 50)]
            executions.insert_many(batch[::-1])
            assert executions.count_documents({"completedAt": {"$type": "date"}}) <= 100
        kept = sorted(executions.distinct("_id", {"completedAt": {"$type": "date"}}))
        assert 50 <= len(kept) <= 100
        assert kept == list(range(1000 - len(kept), 1000))
        assert executions.count_documents({"completedAt": None}) == 50
        assert client.db.other.count_documents({}) == 300
        executions.update_many({"completedAt": None}, {"$set": {"completedAt": DAY + timedelta(days=1)}})
        assert executions.count_documents({"completedAt": DAY + timedelta(days=1)}) == 50
        left = sorted(str(document["_id"]) for document in executions.find())
    server.end(signal.SIGKILL)
    with server.start().client() as client:
        assert sorted(str(document["_id"]) for document in client.db.executions.find()) == left


def test_the_data_file_shrinks_when_documents_go(make_server: MakeServer) -> None:
    server = make_server().start()
    with server.client() as client:
        client.db.things.insert_many([{"_id": n, "text": "x" * 10_000} for n in range(2000)])
        client.db.things.delete_many({})
    server.end()
    big = server.data_file.stat().st_size
    server.start()
    eventually(lambda: server.data_file.stat().st_size < big / 2)


def test_a_write_that_cannot_be_kept_is_refused_and_undone(make_server: MakeServer) -> None:
    server = make_server()
    limited = ["bash", "-c", 'ulimit -f 2000; exec "$@"', "limited", *server.command()]
    process = subprocess.Popen(limited, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        server.uri = json.loads(process.stdout.readline())["uri"]
        with server.client() as client:
            client.db.things.insert_one({"_id": "small"})
            with pytest.raises(OperationFailure) as caught:
                client.db.things.insert_one({"_id": "big", "text": "x" * 8_000_000})
            assert caught.value.code in (96, 14031)
            assert client.db.things.distinct("_id") == ["small"]
            client.db.things.insert_one({"_id": "after"})
            assert client.db.things.distinct("_id") == ["after", "small"]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
    with server.start().client() as client:
        assert client.db.things.distinct("_id") == ["after", "small"]
