"""Wrong clocks: processes that believe it is some minutes earlier or later than it is.

A few lines of C, loaded before the C library, move what `clock_gettime(CLOCK_REALTIME)`, `gettimeofday` and `time`
answer. The monotonic clock stays, as it does on a machine whose wall clock is off. The offset is fixed at the start of
a process, or stands in a file that is mapped into it and may change at any moment: then the clock jumps.
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
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static long fixed;
static volatile long *changing = &fixed;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CLOCK_OFFSET_SECONDS"), *file = getenv("CLOCK_OFFSET_FILE");
    if (text) fixed = atol(text);
    if (file) {
        int descriptor = open(file, O_RDONLY);
        void *page = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, descriptor, 0);
        if (page != MAP_FAILED) changing = page;
    }
}

static long offset(void) {
    return *changing;
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

    def changing(self, file: Path) -> dict[str, str]:
        """As `environment`, for a clock that `jump` moves."""
        self.jump(file, 0)
        return (
            {}
            if self._library is None
            else {"LD_PRELOAD": str(self._library), "CLOCK_OFFSET_FILE": str(file)}
        )

    @staticmethod
    def jump(file: Path, seconds: int) -> None:
        """From now on the clocks of `file` are off by `seconds`."""
        # In place: the file is mapped, and a new one would not be.
        with file.open("r+b" if file.exists() else "wb") as mapped:
            mapped.write(seconds.to_bytes(8, sys.byteorder, signed=True))

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
