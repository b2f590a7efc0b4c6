"""The directory in which `up` keeps everything: one platform at a time, and nobody else's business."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from webhookcron.core.errors import WebhookcronError

LEFTOVER_SECONDS = 10.0
"""How long to wait for the children of a platform that was killed: they end by themselves within a second."""

MAX_SOCKET_PATH_BYTES = 100
"""sun_path holds 108 bytes on Linux and 104 on macOS (unix(7), unix(4)), the ending zero included."""


class DirectoryUnusable(WebhookcronError):
    """The data directory cannot be made, or not written to."""


class DirectoryInUse(WebhookcronError):
    """Another `up` works in the data directory."""


class DataDirectory:
    """A data directory held by this process until `close`.

    The lock is inherited by the children that get `lock_fd`: it is free again only when the last of them is gone,
    so two generations never write the same files.
    """

    def __init__(self, path: Path) -> None:
        """Make the directory when missing, and take it. Raises `DirectoryUnusable` or `DirectoryInUse`."""
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.runtime.mkdir(mode=0o700, exist_ok=True)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DirectoryUnusable(
                f"cannot use the data directory {self.path}: {os.strerror(error.errno or 0)}; "
                "choose a writable one with --data-dir"
            ) from None
        try:
            self._lock()
            self._check_writable()
        except BaseException:
            os.close(self.lock_fd)
            raise

    @property
    def runtime(self) -> Path:
        """Where the sockets are; what it holds means nothing after the stop."""
        return self.path / "run"

    @property
    def secret_key_file(self) -> Path:
        return self.path / "secret.key"

    @property
    def admin_key_file(self) -> Path:
        return self.path / "admin.key"

    @property
    def admin_password_file(self) -> Path:
        return self.path / "admin.password"

    def socket_path(self, name: str) -> Path | None:
        """Where a socket called `name` may be; None when the directory's path is too long for sockets.

        What an earlier run left there is removed.
        """
        path = self.runtime / name
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            return None
        path.unlink(missing_ok=True)
        return path

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.lock_fd)

    def __enter__(self) -> DataDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        until = time.monotonic() + LEFTOVER_SECONDS
        while True:
            try:
                fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise DirectoryUnusable(
                        f"cannot lock the data directory {self.path}: {os.strerror(error.errno or 0)}; "
                        "choose one on a local file system with --data-dir"
                    ) from None
            else:
                break
            holder = self._holder()
            if (holder is not None and _is_alive(holder)) or time.monotonic() > until:
                raise DirectoryInUse(
                    f"another `webhookcron up` (process {holder or 'unknown'}) uses the data directory {self.path}; "
                    "stop it, or choose another directory with --data-dir"
                )
            time.sleep(0.05)
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, f"{os.getpid()}\n".encode(), 0)

    def _holder(self) -> int | None:
        text = os.pread(self.lock_fd, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def _check_writable(self) -> None:
        trial = self.runtime / "trial"
        try:
            trial.write_bytes(b"")
            trial.unlink()
        except OSError as error:
            raise DirectoryUnusable(
                f"cannot write to the data directory {self.path}: {os.strerror(error.errno or 0)}; "
                "choose a writable one with --data-dir"
            ) from None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
