"""Small files with secrets: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def read_secret_file(path: Path) -> str | None:
    """The content of `path` without surrounding blanks; None when there is no such file, or nothing in it.

    Raises OSError when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def write_secret_file(path: Path, content: str) -> None:
    """Write `content` and a line feed to `path`, mode 0600, replacing what was there in one step.

    After it returns the content survives a loss of power. Raises OSError; what was there before then stays.
    """
    # mkstemp creates the file 0600, so there is no moment at which others could read it.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{content}\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
