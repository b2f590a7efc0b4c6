"""`webhookcron up` as a process: how it refuses, starts, restarts what dies, stops, and leaves nothing behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from pymongo import MongoClient

pytestmark = pytest.mark.acceptance

ROLES = {"store", "redis", "api", "ticker", "worker"}


def up(*options: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Runs `up` to its end; for starts that are refused."""
    return subprocess.run(
        [sys.executable, "-m", "webhookcron", "up", *options],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up("--port", str(port), "--data-dir", str(tmp_path / "data"))

    assert done.returncode == 3
    assert done.stdout == ""
    assert (
        done.stderr
        == f"error: port {port} on 127.0.0.1 is in use; choose another with --port (0 = any free one)\n"
    )


def test_an_unusable_data_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = up("--port", "0", "--data-dir", str(tmp_path / "file" / "data"))

    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: cannot use the data directory {tmp_path}/file/data: Not a directory; "
    )
    assert done.stderr.count("\n") == 1


def test_a_store_that_cannot_start_stops_everything_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_text("this is no database, however one looks at it" * 100)

    done = up("--port", "0", "--data-dir", str(tmp_path))

    assert done.returncode == 1
    assert done.stderr.startswith("error: store ended with exit code ")
    assert done.stderr.count("\n") == 1


def test_a_second_up_on_the_same_directory_is_one_clear_line(shared_platform: Any) -> None:
    done = up("--port", "0", "--data-dir", str(shared_platform.data_directory))

    assert done.returncode == 3
    assert done.stderr == (
        f"error: another `webhookcron up` (process {shared_platform.pid}) uses the data directory "
        f"{shared_platform.data_directory}; stop it, or choose another directory with --data-dir\n"
    )
    assert requests.get(f"{shared_platform.url}/health/ready", timeout=60).status_code == 200


def test_the_first_start_makes_a_key_that_the_api_takes(shared_platform: Any) -> None:
    assert f"export WEBHOOKCRON_API_KEY={shared_platform.admin_key}\n" in shared_platform.log()
    assert shared_platform.request("GET", "/api/cron").status_code == 200
    for name in ("admin.key", "secret.key", "lock"):
        assert stat.S_IMODE((shared_platform.data_directory / name).stat().st_mode) == 0o600, name


def test_the_banner_says_what_one_needs_to_know(shared_platform: Any) -> None:
    log = shared_platform.log()

    assert f"webhookcron runs at {shared_platform.url}\n" in log
    assert f"{shared_platform.url}/api-docs" in log
    assert str(shared_platform.data_directory) in log
    assert "at most 50,000 finished executions" in log
    assert "loopback targets are allowed because the API is bound to loopback" in log
    assert "\x1b" not in log, "no colours in a file"


def test_every_part_runs_in_a_session_of_its_own(shared_platform: Any) -> None:
    pids = shared_platform.all_pids()

    assert len(pids) == 5
    assert {os.getsid(pid) for pid in pids} == set(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_in_order_and_leaves_nothing(platform: Any, number: signal.Signals) -> None:
    pids = platform.all_pids()

    assert platform.stop(number) == 0

    assert not [pid for pid in pids if is_running(pid)]
    assert not platform.ready_file.exists()
    assert list((platform.data_directory / "run").iterdir()) == []
    stops = [line.partition("stopping ")[2] for line in platform.log().splitlines() if "| stopping " in line]
    assert stops == ["api", "ticker", "worker", "redis", "store"]
    assert "killing" not in platform.log()


def test_nothing_outlives_an_up_that_was_killed(platform: Any, eventually: Callable[..., Any]) -> None:
    pids = platform.all_pids()
    workers_of_api = [
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if any(f"PPid:\t{pid}\n" in (entry / "status").read_text() for pid in platform.pids("api"))
    ]

    os.kill(platform.pid, signal.SIGKILL)
    platform.process.wait()

    assert workers_of_api or sys.platform != "linux"
    eventually(
        lambda: not [pid for pid in pids + workers_of_api if is_running(pid)],
        within=20,
        what="all children end",
    )


def test_after_a_kill_it_starts_again_at_once_with_all_data(platform: Any) -> None:
    job = platform.create_job(name="Kept", cronExpression="0 0 1 1 *", webhookUrl="http://127.0.0.1:9/")
    key = platform.admin_key
    os.kill(platform.pid, signal.SIGKILL)
    platform.process.wait()

    platform.start()

    assert platform.admin_key == key
    assert platform.request("GET", f"/api/cron/{job['id']}").json()["name"] == "Kept"
    assert 'export WEBHOOKCRON_API_KEY="$(cat ' in platform.log()


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_part_that_dies_is_started_again(
    shared_platform: Any, eventually: Callable[..., Any], role: str
) -> None:
    (before,) = shared_platform.pids(role)

    os.kill(before, signal.SIGKILL)

    eventually(
        lambda: shared_platform.pids(role) not in ([before], []), within=30, what=f"another {role} runs"
    )

    def works() -> bool:
        try:
            return bool(shared_platform.request("GET", "/api/cron").status_code == 200)
        except requests.RequestException:
            return False

    eventually(works, within=30, what="the API answers")
    assert f"{role} was ended by SIGKILL; it is restarted in 0.5 s" in shared_platform.log()


def test_as_many_tickers_and_workers_run_as_asked_for(start_platform: Callable[..., Any]) -> None:
    platform = start_platform("--tickers", "2", "--workers", "3")

    assert {role: len(platform.pids(role)) for role in ROLES} == {
        "store": 1,
        "redis": 1,
        "api": 1,
        "ticker": 2,
        "worker": 3,
    }


def test_the_stores_can_be_reached_by_the_uris_of_the_ready_file(shared_platform: Any) -> None:
    with redis.Redis.from_url(shared_platform.redis_url) as client:
        assert client.ping()
    with MongoClient(shared_platform.mongodb_uri) as mongo:
        assert mongo.get_default_database().name == "webhookcron"
        assert mongo.get_default_database()["users"].find_one({"_id": "admin"}) is not None


def test_a_path_too_long_for_sockets_is_served_on_loopback_ports(start_platform: Callable[..., Any]) -> None:
    platform = start_platform(data_directory_name="d" * 100)

    assert platform.redis_url.startswith("redis://127.0.0.1:")
    assert platform.mongodb_uri.startswith("mongodb://127.0.0.1:")
    assert platform.request("GET", "/api/cron").status_code == 200


def test_json_logs_stay_json_behind_the_name(start_platform: Callable[..., Any]) -> None:
    platform = start_platform(environ={"WEBHOOKCRON_LOG_FORMAT": "json"})

    lines = [line.partition("| ")[2] for line in platform.log().splitlines() if line.startswith("api ")]
    assert lines
    assert all(line.startswith('{"at": ') for line in lines)


def test_a_stop_lets_a_call_under_way_end(
    platform: Any, receiver: Any, eventually: Callable[..., Any]
) -> None:
    receiver.delay_seconds = 2.0
    job = platform.create_job(name="Slow", delayMs=0, webhookUrl=receiver.url)
    eventually(lambda: receiver.calls, within=30, what="the call is under way")

    assert platform.stop(signal.SIGINT) == 0
    platform.start()

    (execution,) = platform.executions_of(job["id"])
    assert (execution["status"], execution["attemptCount"]) == ("success", 1)
    assert len(receiver.calls) == 1


def test_a_second_ctrl_c_does_not_wait_for_a_call_under_way(
    platform: Any, receiver: Any, eventually: Callable[..., Any]
) -> None:
    receiver.delay_seconds = 60.0
    platform.create_job(name="Very slow", delayMs=0, timeoutMs=120_000, webhookUrl=receiver.url)
    eventually(lambda: receiver.calls, within=30, what="the call is under way")
    pids = platform.all_pids()

    platform.process.send_signal(signal.SIGINT)
    eventually(lambda: "stopping worker" in platform.log(), within=30, what="the worker is asked to stop")
    assert platform.stop(signal.SIGINT) == 0

    assert "killing worker" in platform.log()
    assert not [pid for pid in pids if is_running(pid)]
