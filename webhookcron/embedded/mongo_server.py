"""The embedded MongoDB-protocol server: `python -m webhookcron.embedded.mongo_server --data-file PATH …`.

Prints one JSON line `{"ready": true, "uri": "mongodb://…"}` when it serves, and ends with 0 on SIGTERM or SIGINT,
3 when the data file is in use by another server, 1 for any other trouble at the start (one line on stderr).
"""

import argparse
import asyncio
import contextlib
import gc
import ipaddress
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from webhookcron.embedded.connections import Connection, Hub
from webhookcron.embedded.errors import CommandError, StoreUnavailable
from webhookcron.embedded.store import DEFAULT_MAX_FINISHED_EXECUTIONS, Store

logger = logging.getLogger(__name__)

MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107 bytes in a socket address, macOS 103; drivers and this server stay below both."""

TTL_SWEEP_SECONDS = 1.0
CURSOR_SWEEP_SECONDS = 10.0
SPACE_SWEEP_SECONDS = 1.0
_BACKLOG = 512
_GC_THRESHOLDS = (50_000, 1_000, 1_000)
"""Documents are no cycles and die when the last reference to them goes: looking through all of them again and again
would find nothing, and halt every request meanwhile."""


def listening_socket(path: Path) -> socket.socket:
    """A listening unix socket that only this user may connect to; replaces the socket of a dead server.

    The caller holds the data file's lock, so a socket found at the path has no living server of that file.
    Raises StoreUnavailable for a path that is too long, taken by something else, or not writable.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise StoreUnavailable(
            f"the socket path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes; use --host and --port"
        )
    if path.exists() and not path.is_socket():
        raise StoreUnavailable(f"{path} exists and is no socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            if _answers(path):
                raise StoreUnavailable(f"another server listens on {path}")
            path.unlink()
        previous = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(previous)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise StoreUnavailable(f"cannot listen on {path}: {error.strerror}") from error
    except StoreUnavailable:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def listening_port(host: str, port: int) -> socket.socket:
    """A listening TCP socket; raises StoreUnavailable when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StoreUnavailable(f"cannot listen on {host}:{port}: {error.strerror}") from error


def uri_of(listener: socket.socket) -> str:
    """The connection string of a listening socket, without a database."""
    if listener.family == socket.AF_UNIX:
        return f"mongodb://{quote(listener.getsockname(), safe='')}"
    host, port = listener.getsockname()[:2]
    return f"mongodb://[{host}]:{port}" if ":" in host else f"mongodb://{host}:{port}"


async def serve(store: Store, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; prints the ready line once requests are answered."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hub = Hub(store)
    if listener.family == socket.AF_UNIX:
        server = await loop.create_unix_server(lambda: Connection(hub), sock=listener, backlog=_BACKLOG)
    else:
        server = await loop.create_server(lambda: Connection(hub), sock=listener, backlog=_BACKLOG)
    duties = [
        asyncio.create_task(_every(TTL_SWEEP_SECONDS, lambda: _sweep(hub))),
        asyncio.create_task(_every(CURSOR_SWEEP_SECONDS, hub.close_idle_cursors)),
        asyncio.create_task(_every(SPACE_SWEEP_SECONDS, store.give_back_space)),
    ]
    print(json.dumps({"ready": True, "uri": uri_of(listener)}), flush=True)
    await stop.wait()
    server.close()
    for duty in duties:
        duty.cancel()
    await asyncio.gather(*duties, return_exceptions=True)
    hub.commit()
    for connection in list(hub.connections):
        connection.close()


async def _every(seconds: float, duty: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            duty()
        except Exception:
            logger.exception("a background duty failed")


def _sweep(hub: Hub) -> None:
    if hub.store.sweep_expired(datetime.now(UTC).replace(tzinfo=None)):
        hub.commit()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m webhookcron.embedded.mongo_server",
        description="Embedded store of webhookcron: a small MongoDB-protocol server over one data file.",
    )
    parser.add_argument("--data-file", type=Path, required=True, help="SQLite file that keeps the documents")
    parser.add_argument("--socket", type=Path, help="unix socket to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument("--port", type=int, help="TCP port to listen on; 0 takes a free one")
    parser.add_argument(
        "--max-finished-executions",
        type=int,
        default=DEFAULT_MAX_FINISHED_EXECUTIONS,
        help="finished executions kept, oldest removed first; 0 keeps all (default %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if (arguments.socket is None) == (arguments.port is None):
        parser.error("give either --socket or --port")
    if arguments.socket is None and not _is_loopback(arguments.host):
        parser.error("--host must be a loopback address: the server knows no passwords")
    if arguments.max_finished_executions < 0:
        parser.error("--max-finished-executions must be 0 or more")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the server; the exit code."""
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        store = Store(arguments.data_file, arguments.max_finished_executions)
    except StoreUnavailable as error:
        print(f"embedded store: {error}", file=sys.stderr)
        return error.exit_code
    gc.collect()
    # What was loaded stays for long: later collections need not walk through it.
    gc.freeze()
    bound: Path | None = None
    try:
        if arguments.socket is not None:
            listener = listening_socket(arguments.socket)
            bound = arguments.socket
        else:
            listener = listening_port(arguments.host, arguments.port)
        with contextlib.closing(listener):
            asyncio.run(serve(store, listener))
    except StoreUnavailable as error:
        print(f"embedded store: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        try:
            store.close()
        except CommandError as error:
            print(f"embedded store: {error.message}", file=sys.stderr)
        if bound is not None:
            bound.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
