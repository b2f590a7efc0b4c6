"""Node and the packages of the peers: `npm ci` from the lock file here, when they are not there yet."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.fires.report import say

DIRECTORY = Path(__file__).parent
OLDEST_NODE = (20, 18, 1)
"""What undici 7 asks for."""


def node_command() -> str:
    """The path of `node`, its packages installed. Raises SystemExit that says what is missing."""
    node = shutil.which("node")
    if node is None:
        raise SystemExit("the peers need Node 20.18.1 or newer: no `node` is on PATH")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if version_of(told) < OLDEST_NODE:
        raise SystemExit(f"the peers need Node 20.18.1 or newer: {node} is {told.strip()}")
    _install()
    return node


def version_of(told: str) -> tuple[int, ...]:
    """`v20.20.2` as (20, 20, 2). Raises SystemExit when it is no version."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)\S*", told.strip())
    if match is None:
        raise SystemExit(f"`node --version` said {told.strip()[:100]!r}, which is no version")
    return tuple(int(part) for part in match.groups())


def _install() -> None:
    lock, installed = DIRECTORY / "package-lock.json", DIRECTORY / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("the packages of the peers are not installed, and no `npm` is on PATH")
    say("peers: npm ci …")
    ended = subprocess.run([npm, "ci"], cwd=DIRECTORY, capture_output=True, text=True, timeout=300)
    if ended.returncode:
        raise SystemExit(f"the packages of the peers could not be installed:\n{ended.stderr.strip()[-2000:]}")
