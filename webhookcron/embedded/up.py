"""`webhookcron up`: the whole platform on one machine, from one command, leaving nothing behind but its data."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from webhookcron.config import Settings
from webhookcron.embedded.child_output import PrefixedOutput
from webhookcron.embedded.data_directory import DataDirectory, DirectoryUnusable
from webhookcron.embedded.listening import is_loopback, open_listener, reachable_host, url_of
from webhookcron.embedded.probes import http_answers
from webhookcron.embedded.stores import EmbeddedStore, embedded_redis, embedded_store
from webhookcron.embedded.supervisor import ChildFailed, ChildSpec, Supervisor
from webhookcron.embedded.up_environment import checked_settings, child_environment, is_set
from webhookcron.embedded.up_report import Standing, banner, write_ready_file
from webhookcron.logs import colors_wanted
from webhookcron.secret_files import read_secret_file, write_secret_file

STOP_ORDER = ("setup", "api", "ticker", "worker", "redis", "store")
"""First nothing new comes in, then what is under way ends, then what it is written to."""

API_STOP_SECONDS = 15.0
TICKER_STOP_SECONDS = 15.0
WORKER_STOP_MARGIN_SECONDS = 10.0
"""What a worker may take beyond its drain time, to write down what it has."""

SETUP_SECONDS = 60.0
SECRET_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """What the command line asks for; None = as the environment says."""

    host: str | None
    port: int | None
    data_directory: Path
    workers: int
    tickers: int
    ready_file: Path | None


class Platform:
    """One run of the platform in a data directory that is held, on a socket that listens."""

    def __init__(
        self,
        options: UpOptions,
        settings: Settings,
        environ: Mapping[str, str],
        directory: DataDirectory,
        listener: socket.socket,
        output: PrefixedOutput,
    ) -> None:
        """Raises `StoreMissing`, or OSError when the secret key cannot be kept."""
        self._options = options
        self._settings = settings
        self._directory = directory
        self._listener = listener
        self._output = output
        address, port = listener.getsockname()[:2]
        self._api_host, self._port = reachable_host(address), int(port)
        self._loopback = is_loopback(address)
        base = dict(environ)
        self._store: EmbeddedStore | None = None
        self._redis: EmbeddedStore | None = None
        if not is_set(environ, "MONGODB_URI"):
            self._store = embedded_store(directory, {**base, "PYTHONUNBUFFERED": "1"})
        if not is_set(environ, "REDIS_URL"):
            self._redis = embedded_redis(directory, base)
        own_secret_key = not is_set(environ, "WEBHOOKCRON_SECRET_KEY")
        if own_secret_key and read_secret_file(directory.secret_key_file) is None:
            write_secret_file(directory.secret_key_file, secrets.token_urlsafe(SECRET_KEY_BYTES))
        self._environ = child_environment(
            environ,
            mongodb_uri=self._store.uri if self._store else None,
            redis_url=self._redis.uri if self._redis else None,
            secret_key_file=directory.secret_key_file if own_secret_key else None,
            host=address,
            port=self._port,
            allow_loopback=self._loopback,
            colors=output.colors,
        )
        self._standing: Standing | None = None

    async def run(self) -> None:
        """Start everything, keep it running until SIGINT, SIGTERM or SIGHUP, stop everything.

        A second signal ends the stop at once. Raises `ChildFailed` when the platform could not be started or could
        not go on; everything is stopped then, too.
        """
        stop, hasten = asyncio.Event(), asyncio.Event()

        def on_signal() -> None:
            if stop.is_set():
                hasten.set()
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        supervisor = Supervisor(self._output, on_change=self._write_ready_file)
        tasks = [
            asyncio.create_task(self._start_and_keep(supervisor)),
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._output_lost()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            for task in done:
                await task
        finally:
            self._standing = None
            if self._options.ready_file is not None:
                self._options.ready_file.unlink(missing_ok=True)
            self._listener.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await supervisor.stop(STOP_ORDER, hasten=hasten)
            supervisor.say(f"everything is stopped; the data stays in {self._directory.path}")

    async def _start_and_keep(self, supervisor: Supervisor) -> None:
        stores = [store for store in (self._store, self._redis) if store is not None]
        await _all(supervisor.start(store.spec) for store in stores)
        key_file, password_file = self._directory.admin_key_file, self._directory.admin_password_file
        present = {file for file in (key_file, password_file) if read_secret_file(file) is not None}
        steps = [
            self._setup("setup-key", "admin-key", key_file),
            self._setup("setup-login", "admin-login", password_file),
        ]
        await _all(supervisor.run_once(step) for step in steps)
        await _all(supervisor.start(spec) for spec in self._parts())
        self._standing = Standing(
            url=url_of(self._api_host, self._port),
            data_directory=self._directory.path,
            admin_key_file=key_file,
            new_admin_key=None if key_file in present else read_secret_file(key_file),
            admin_password_file=password_file,
            new_admin_password=None if password_file in present else read_secret_file(password_file),
            stores=[store.title for store in stores],
            loopback_targets=self._loopback,
            mongodb_uri=self._store.uri if self._store else None,
            redis_url=self._redis.uri if self._redis else None,
        )
        for line in banner(self._standing):
            self._output.raw(line)
        self._write_ready_file(supervisor.pids())
        raise await supervisor.failed()

    async def _output_lost(self) -> None:
        """Returns when nobody reads the output any more: as after `up | head`, the platform then stops."""
        while not self._output.lost:
            await asyncio.sleep(0.5)

    def _setup(self, name: str, command: str, output: Path) -> ChildSpec:
        return ChildSpec(
            name=name,
            role="setup",
            command=_webhookcron(command, "--output", str(output)),
            environ=self._environ,
            start_seconds=SETUP_SECONDS,
            pass_fds=(self._directory.lock_fd,),
        )

    def _parts(self) -> list[ChildSpec]:
        async def api_answers() -> bool:
            return await http_answers(self._api_host, self._port, "/health/ready")

        lock = self._directory.lock_fd
        fd = self._listener.fileno()
        api = ChildSpec(
            name="api",
            role="api",
            command=_webhookcron("api", "--fd", str(fd), "--workers", "1"),
            environ=self._environ,
            ready_probe=api_answers,
            unready_hint="are MONGODB_URI and REDIS_URL, where set, right, and the servers running?",
            stop_seconds=API_STOP_SECONDS,
            pass_fds=(lock, fd),
        )
        stop_seconds = {
            "ticker": TICKER_STOP_SECONDS,
            "worker": self._settings.drain_seconds + WORKER_STOP_MARGIN_SECONDS,
        }
        counts = {"ticker": self._options.tickers, "worker": self._options.workers}
        return [
            api,
            *(
                ChildSpec(
                    name=role if count == 1 else f"{role}-{number}",
                    role=role,
                    command=_webhookcron(role),
                    environ=self._environ,
                    stop_seconds=stop_seconds[role],
                    pass_fds=(lock,),
                )
                for role, count in counts.items()
                for number in range(1, count + 1)
            ),
        ]

    def _write_ready_file(self, pids: Mapping[str, list[int]]) -> None:
        if self._standing is None or self._options.ready_file is None:
            return
        try:
            write_ready_file(self._options.ready_file, self._standing, pids)
        except OSError as error:
            self._output.line("up", f"cannot write {self._options.ready_file}: {error.strerror}")


def run_up(options: UpOptions, environ: Mapping[str, str], stdout: TextIO) -> None:
    """Run the platform until it is told to stop; returns when everything is stopped.

    Raises, each with a message of one line: `SettingsError`, `DirectoryUnusable`, `DirectoryInUse`, `PortInUse`,
    `AddressUnusable`, `StoreMissing`, `ChildFailed`.
    """
    settings = checked_settings(environ)
    host = settings.host if options.host is None else options.host
    port = settings.port if options.port is None else options.port
    with DataDirectory(options.data_directory) as directory, open_listener(host, port) as listener:
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)
        output = PrefixedOutput(stdout, colors=colors_wanted(stdout, environ))
        try:
            platform = Platform(options, settings, environ, directory, listener, output)
        except OSError as error:
            raise DirectoryUnusable(
                f"cannot write to the data directory {directory.path}: {error.strerror}; "
                "choose a writable one with --data-dir"
            ) from None
        asyncio.run(platform.run())


def _webhookcron(*arguments: str) -> list[str]:
    # -P: a file in the current directory must not take the place of a module.
    return [sys.executable, "-P", "-m", "webhookcron", *arguments]


async def _all(starts: Iterable[Coroutine[None, None, None]]) -> None:
    """Run several starts at once; the first failure ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as failures:
        # Not by `except*`: up to Python 3.11.3 it packs what is raised in it into a group once more.
        told = failures.subgroup(ChildFailed)
        if told is None:
            raise
        raise told.exceptions[0] from None
