"""Wrong clocks: processes that believe it is some minutes earlier or later than it is.

A few lines of C, loaded before the C library, move what `clock_gettime(CLOCK_REALTIME)`, `gettimeofday` and `time`
answer. The monotonic clock stays, as it does on a machine whose wall clock is off.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    const char *text = getenv("CLOCK_OFFSET_SECONDS");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (result) *result = precise.tv_sec;
    return precise.tv_sec;
}
"""


class WrongClocks:
    """Environments in which the wall clock is off; without a C compiler (or off Linux) there are none."""

    def __init__(self, directory: Path) -> None:
        self._library: Path | None = None
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or not sys.platform.startswith("linux"):
            return
        source, library = directory / "clock.c", directory / "clock.so"
        source.write_text(_SOURCE)
        made = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"],
            capture_output=True,
            check=False,
        )
        if made.returncode == 0:
            self._library = library
            self._check()

    @property
    def available(self) -> bool:
        """Whether clocks can be made wrong here."""
        return self._library is not None

    def environment(self, seconds: int) -> dict[str, str]:
        """What to add to a process's environment to move its wall clock by `seconds`; empty when not available."""
        if self._library is None:
            return {}
        return {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_SECONDS": str(seconds)}

    def _check(self) -> None:
        """A clock that is not moved after all would make every result meaningless."""
        asked = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, **self.environment(3600)},
            capture_output=True,
            text=True,
            check=True,
        )
        if abs(float(asked.stdout) - time.time() - 3600) > 60:
            raise RuntimeError("the clocks of the processes could not be moved")
