"""The embedded store of a job that fires every second stops growing: in its file and in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
KEPT = 2_000

FILES_MB = 45
"""Documents of 3 MB, a write-ahead log of up to 16 MB, and two logs of requests of up to 9 MB, with room to spare."""


@pytest.mark.timeout(240)
def test_size_and_memory_level_off() -> None:
    command = [sys.executable, "-m", "benchmarks.day", "--json"]
    command += ["--executions", "24000", "--kept", str(KEPT), "--every", "4000"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=220, check=True)
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    full = [row for row in rows if row["executions"] >= 4 * KEPT]
    assert len(full) >= 3
    assert all(row["documents"] <= KEPT for row in full)
    assert all(row["file_mb"] <= FILES_MB for row in full)
    assert full[-1]["rss_mb"] <= full[0]["rss_mb"] * 1.1
