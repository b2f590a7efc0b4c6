"""The directory in which the server processes of the API share their metrics.

Apart from what counts: the official client must not be imported before the variable is set.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from webhookcron.core.errors import WebhookcronError

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class NotShareable(WebhookcronError):
    """The directory that PROMETHEUS_MULTIPROC_DIR names cannot be used; the message is one line that says why."""


@contextmanager
def shared_between_processes() -> Iterator[None]:
    """Let processes forked within share their metrics; before anything of the official client is made.

    A directory that the user named is theirs to empty, as the client's documentation asks; it is made when it is not
    there. Raises NotShareable.
    """
    if os.environ.get(DIRECTORY_VARIABLE):
        prepare_named_directory()
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


def prepare_named_directory() -> bool:
    """Make the directory that the environment names, if it names one that is not there; whether it names one.

    The official client would end with a traceback of its own. Raises NotShareable.
    """
    name = os.environ.get(DIRECTORY_VARIABLE)
    if not name:
        return False
    try:
        os.makedirs(name, mode=0o700, exist_ok=True)
    except OSError as error:
        raise NotShareable(
            f"{DIRECTORY_VARIABLE} must name a directory that can be written to, or be unset; {name}: "
            f"{os.strerror(error.errno or 0)}"
        ) from None
    if not os.access(name, os.W_OK | os.X_OK):
        raise NotShareable(
            f"{DIRECTORY_VARIABLE} must name a directory that can be written to, or be unset; {name} cannot be"
        )
    return True
