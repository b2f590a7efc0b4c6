"""A short chaos run with a fixed seed; `make chaos` is the long one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from webhookcron.embedded.redis_server import find_redis_server

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(360)]

SEED = 7
SECONDS = 26
FAULTS = 10
JOBS = 80


def test_nothing_is_lost_or_doubled_whatever_is_killed_stopped_flushed_or_edited() -> None:
    if find_redis_server() is None:
        pytest.skip("no Redis-protocol server is installed")
    command = [sys.executable, str(Path(__file__).parent)]
    command += ["--seed", str(SEED), "--seconds", str(SECONDS), "--faults", str(FAULTS), "--jobs", str(JOBS)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    figures = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", done.stdout, re.MULTILINE))
    assert int(figures["faults"]) >= FAULTS
    assert int(figures["fire times expected"]) > 0
    assert figures["**lost**"] == figures["**doubled executions**"] == "**0**"
