"""The README's quick start, run as it stands there (ports and paths apart)."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.acceptance

README = (Path(__file__).parents[2] / "README.md").read_text()
QUICK_START = README.partition("\n## Quick start\n")[2].partition("\n## ")[0]


def run(block: str, platform: Any, target: str) -> str:
    """What the shell lines print, run against this platform and target."""
    for there, here in {
        "http://127.0.0.1:8000": platform.url,
        "http://127.0.0.1:9000/": target,
        ".webhookcron/admin.key": str(platform.data_directory / "admin.key"),
    }.items():
        block = block.replace(there, here)
    environ = {**os.environ, "WEBHOOKCRON_API_KEY": platform.admin_key}
    done = subprocess.run(["sh", "-ec", block], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_its_lines_make_a_job_that_fires_and_is_logged(
    shared_platform: Any, receiver: Any, eventually: Callable[..., Any]
) -> None:
    if shutil.which("curl") is None:
        if os.environ.get("CI"):
            pytest.fail("curl is missing", pytrace=False)
        pytest.skip("curl is missing: the README's lines cannot be run")
    create, look = (
        block for block in re.findall(r"```sh\n(.*?)```", QUICK_START, re.DOTALL) if "curl" in block
    )

    job = json.loads(run(create, shared_platform, receiver.url))
    eventually(lambda: len(receiver.calls) >= 3, within=30, what="three calls")

    def logged() -> bool:
        items = json.loads(run(look, shared_platform, receiver.url))["items"]
        return any(item["jobId"] == job["id"] and item["status"] == "success" for item in items)

    eventually(logged, within=30, what="a delivered execution is shown")
    assert {call.body for call in receiver.calls} == {b'{"hello":"world"}'}
