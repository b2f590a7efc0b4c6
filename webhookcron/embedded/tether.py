"""Run a command that never outlives the process that started it, not even when that one is killed with SIGKILL.

    python -I -S tether.py PARENT_PID COMMAND ARGUMENT…

Run as a file, and with the standard library alone, so that it starts within a few milliseconds. The command must
lead a process group of its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

PR_SET_PDEATHSIG = 1
"""linux/prctl.h; see prctl(2), PR_SET_PDEATHSIG: kept over execve(2)."""

WATCH_SECONDS = 0.5
"""How often the parent is looked for where the kernel cannot tell of its death."""


def main(arguments: list[str]) -> int:
    """Become the command (Linux), or run it and watch the parent; returns the command's exit code."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        become(parent, command)
    return run_and_watch(parent, command)


def become(parent: int, command: list[str]) -> None:
    """Replace this process by `command`, which the kernel kills when `parent` dies."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the call above; then nobody would ever send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)


def run_and_watch(parent: int, command: list[str]) -> int:
    """Run `command` in this process group, and kill the whole group once `parent` is gone.

    Signals that ask for an end are handed on. Returns the exit code, 128 + number after a signal.
    """
    child: subprocess.Popen[bytes] | None = None
    pending: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        if child is None:
            pending.append(number)
        else:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, hand_on)
    child = subprocess.Popen(command, close_fds=False)
    for early in pending:
        child.send_signal(early)
    while True:
        try:
            code = child.wait(timeout=WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                os.killpg(os.getpgrp(), signal.SIGKILL)
        else:
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
