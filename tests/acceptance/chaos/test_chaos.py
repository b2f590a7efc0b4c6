"""A short chaos run with a fixed seed; `make chaos` is the long one."""

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from webhookcron.embedded.redis_server import find_redis_server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(330)]

SEED = 7
SECONDS = 18
FAULTS = 14
JOBS = 60
LONGEST_SECONDS = 300
"""It takes about a minute; what was lost twice waits longer for its next look."""


def test_nothing_is_lost_or_doubled_whatever_is_killed_stopped_flushed_or_edited(tmp_path: Path) -> None:
    if find_redis_server() is None:
        pytest.skip("no Redis-protocol server is installed")
    command = [sys.executable, str(Path(__file__).parent)]
    command += ["--seed", str(SEED), "--seconds", str(SECONDS), "--faults", str(FAULTS), "--jobs", str(JOBS)]

    printed = tmp_path / "printed"
    with printed.open("w") as file:
        try:
            code = subprocess.run(
                command, stdout=file, stderr=file, timeout=LONGEST_SECONDS, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    text = printed.read_text()

    assert code == 0, f"{'it did not end' if code is None else f'exit code {code}'}:\n{text}"
    figures = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", text, re.MULTILINE))
    assert int(figures["faults"]) >= FAULTS
    assert int(figures["fire times expected"]) > 0
    assert figures["**lost**"] == figures["**doubled executions**"] == "**0**"


def test_a_run_whose_processes_cannot_start_ends_at_once_and_tells_why(
    chaos_module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    if find_redis_server() is None:
        pytest.skip("no Redis-protocol server is installed")
    machines = chaos_module("machine")
    machine = machines.Machine(tmp_path, chaos_module("clocks").WrongClocks(tmp_path), random.Random(1))
    process = machine._add("api", [sys.executable, "-c", "raise SystemExit('no such setting')"], {})
    process.start()

    with pytest.raises(
        machines.MachineFailed, match=r"api-1 ended at its start with code 1.*no such setting"
    ):
        machine._await("it is ready", lambda: False)


def test_a_process_that_ends_again_and_again_ends_the_run(
    chaos_module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    machines, faults = chaos_module("machine"), chaos_module("faults")
    machine = machines.Machine(tmp_path, chaos_module("clocks").WrongClocks(tmp_path), random.Random(1))
    machine._add("ticker", [sys.executable, "-c", "raise SystemExit(9)"], {}).start()
    chaos = faults.Chaos(machine, [], 1, print)

    def look_again_and_again() -> None:
        while True:
            chaos.step()

    with pytest.raises(machines.MachineFailed, match="ticker-1 ended by itself with code 9"):
        look_again_and_again()
    assert len(chaos.findings) == 3


def test_processes_get_nothing_of_the_environment_that_is_not_theirs(
    chaos_module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/nowhere")
    monkeypatch.setenv("WEBHOOKCRON_TIMEZONE", "Nowhere/Land")

    environment = chaos_module("machine").clean_environment()

    assert "PATH" in environment
    assert not {"PROMETHEUS_MULTIPROC_DIR", "WEBHOOKCRON_TIMEZONE"} & environment.keys()
