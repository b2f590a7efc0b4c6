"""The embedded store of a job that fires every second stops growing: in its file and in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
KEPT = 2_000


@pytest.mark.timeout(240)
def test_size_and_memory_level_off() -> None:
    command = [sys.executable, "-m", "benchmarks.day", "--json"]
    command += ["--executions", "9000", "--kept", str(KEPT), "--every", "1500"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=220, check=True)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    full = [row for row in rows if row["executions"] >= 2 * KEPT]
    assert len(full) >= 3
    assert all(row["documents"] <= KEPT for row in full)
    assert full[-1]["file_mb"] <= full[0]["file_mb"] * 1.1
    assert full[-1]["rss_mb"] <= full[0]["rss_mb"] * 1.1
