"""The directory in which the server processes of the API share their metrics.

Apart from what counts: the official client must not be imported before the variable is set.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_between_processes() -> Iterator[None]:
    """Let processes forked within share their metrics; before anything of the official client is made.

    A directory that the user named is theirs to empty, as the client's documentation asks.
    """
    if os.environ.get(DIRECTORY_VARIABLE):
        yield
        return
    directory = tempfile.mkdtemp(prefix="webhookcron-metrics-")
    os.environ[DIRECTORY_VARIABLE] = directory
    maker = os.getpid()
    try:
        yield
    finally:
        # Forked processes that end leave this block, too.
        if os.getpid() == maker:
            shutil.rmtree(directory, ignore_errors=True)
            del os.environ[DIRECTORY_VARIABLE]
