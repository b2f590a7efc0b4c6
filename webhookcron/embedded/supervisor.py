"""Keeps a stack of child processes running: started in order, restarted when they die, stopped in order.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone, and is tethered
to it, so that nothing outlives it (`tether.py`). Everything runs in one thread: forking stays safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from webhookcron.core.errors import WebhookcronError
from webhookcron.embedded import tether
from webhookcron.embedded.child_output import LineSplitter, PrefixedOutput

POLL_SECONDS = 0.05
"""How often deaths and readiness are looked for."""

FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 10.0

MAX_DEATHS = 5
DEATHS_WINDOW_SECONDS = 60.0
"""A child that dies more than MAX_DEATHS times within the window is not going to recover by itself."""

PIECE_BYTES = 64 * 1024
MAX_LAST_PIECES = 16
"""A pipe holds 64 KiB (pipe(7)); more than this after a child's death is somebody else's writing."""

LAST_LINES = 20
"""So many of a child's last lines are kept, to say why it died."""

Clock = Callable[[], float]


class ChildFailed(WebhookcronError):
    """A child could not be started, or died so often that the stack cannot go on."""

    def __init__(self, name: str, reason: str, *, exit_code: int | None = None) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.exit_code = exit_code
        """What the child ended with; None when it did not end by itself in time."""


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """How to run one child."""

    name: str
    """Unique; shown before each of its lines."""
    role: str
    """What it is for; several children may play one role."""
    command: Sequence[str]
    environ: Mapping[str, str]
    ready_line: Callable[[str], bool] | None = None
    """Says of a line of output whether it tells that the child is ready."""
    ready_probe: Callable[[], Awaitable[bool]] | None = None
    """Asked again and again until true; neither this nor `ready_line` given = ready at once."""
    start_seconds: float = 30.0
    """The longest time until it is ready."""
    unready_hint: str = ""
    """What to look at when it is not ready in time."""
    stop_seconds: float = 10.0
    """The longest time from SIGTERM to its end; then it is killed."""
    pass_fds: tuple[int, ...] = ()
    """Descriptors that it inherits."""


@dataclass
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    deaths: deque[float] = field(default_factory=deque)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    keeper: asyncio.Task[None] | None = None
    stopping: bool = False


class Supervisor:
    """Starts, keeps and stops children; use it inside one event loop."""

    def __init__(
        self,
        output: PrefixedOutput,
        *,
        on_change: Callable[[Mapping[str, list[int]]], None] = lambda pids: None,
        clock: Clock = time.monotonic,
    ) -> None:
        """`on_change` gets the process ids by role whenever one starts or ends."""
        self._output = output
        self._on_change = on_change
        self._clock = clock
        self._children: dict[str, _Child] = {}
        self._failure: asyncio.Future[ChildFailed] = asyncio.get_running_loop().create_future()

    def pids(self) -> dict[str, list[int]]:
        """The ids of the running processes, by role."""
        found: dict[str, list[int]] = {}
        for child in self._children.values():
            if child.process is not None and child.process.returncode is None:
                found.setdefault(child.spec.role, []).append(child.process.pid)
        return found

    def say(self, text: str) -> None:
        """A line of the supervisor itself."""
        self._output.line("up", text)

    async def run_once(self, spec: ChildSpec) -> None:
        """Run a child to its end; `ChildFailed` when that is not exit code 0 within `start_seconds`."""
        child = _Child(spec)
        self._children[spec.name] = child
        try:
            async with asyncio.timeout(spec.start_seconds):
                code = await self._run(child)
        except TimeoutError:
            raise ChildFailed(spec.name, f"did not end within {spec.start_seconds:g} s") from None
        finally:
            del self._children[spec.name]
        if code != 0:
            raise ChildFailed(spec.name, self._why(child, code), exit_code=code)

    async def start(self, spec: ChildSpec) -> None:
        """Start a child and return once it is ready; from then on it is restarted whenever it dies.

        Raises `ChildFailed` when it dies before it was ready, or takes longer than `start_seconds`.
        """
        child = _Child(spec)
        self._children[spec.name] = child
        first_end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        child.keeper = asyncio.create_task(self._keep(child, first_end), name=f"keep {spec.name}")
        until = self._clock() + spec.start_seconds
        while not child.ready.is_set() and not first_end.done():
            if self._failure.done():
                raise self._failure.result()
            if self._clock() > until:
                hint = f"; {spec.unready_hint}" if spec.unready_hint else ""
                raise ChildFailed(spec.name, f"was not ready within {spec.start_seconds:g} s{hint}")
            await asyncio.sleep(POLL_SECONDS)
        if not child.ready.is_set():
            del self._children[spec.name]
            raise ChildFailed(spec.name, self._why(child, first_end.result()), exit_code=first_end.result())

    async def failed(self) -> ChildFailed:
        """Returns when a child has died too often, or cannot be run any more, with the reason."""
        return await asyncio.shield(self._failure)

    async def stop(self, order: Sequence[str], *, hasten: asyncio.Event) -> None:
        """End all children, role by role in `order`; those of roles not named there come first.

        Once `hasten` is set, or a child's time is over, it is killed instead of waited for.
        """
        for child in self._children.values():
            child.stopping = True
        roles = [child.spec.role for child in self._children.values() if child.spec.role not in order]
        for role in dict.fromkeys([*roles, *order]):
            children = [child for child in self._children.values() if child.spec.role == role]
            await asyncio.gather(*(self._stop_one(child, hasten) for child in children))
        self._children.clear()

    async def _stop_one(self, child: _Child, hasten: asyncio.Event) -> None:
        process = child.process
        if process is not None and process.returncode is None:
            self.say(f"stopping {child.spec.name}")
            process.terminate()
            until = self._clock() + child.spec.stop_seconds
            while process.returncode is None and self._clock() < until and not hasten.is_set():
                await asyncio.sleep(POLL_SECONDS)
            if process.returncode is None:
                self.say(f"killing {child.spec.name}")
                _kill_group(process)
        if child.keeper is not None:
            if process is None or process.returncode is not None:
                child.keeper.cancel()
            await asyncio.gather(child.keeper, return_exceptions=True)

    async def _keep(self, child: _Child, first_end: asyncio.Future[int]) -> None:
        try:
            await self._run_again_and_again(child, first_end)
        except OSError as error:
            # No memory, no descriptors, or the program is gone: trying again would not help.
            self._give_up(ChildFailed(child.spec.name, f"cannot be run: {error.strerror}"))

    async def _run_again_and_again(self, child: _Child, first_end: asyncio.Future[int]) -> None:
        """Run a child until it is to stop, dies before it was ever ready, or dies too often."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            started = self._clock()
            code = await self._run(child)
            if not first_end.done():
                was_ready = child.ready.is_set()
                first_end.set_result(code)
                if not was_ready:
                    return
            if child.stopping:
                return
            now = self._clock()
            child.deaths.append(now)
            while child.deaths[0] < now - DEATHS_WINDOW_SECONDS:
                child.deaths.popleft()
            if len(child.deaths) > MAX_DEATHS:
                reason = (
                    f"died {len(child.deaths)} times within {DEATHS_WINDOW_SECONDS:g} s; the last time it "
                )
                self._give_up(ChildFailed(child.spec.name, reason + self._why(child, code), exit_code=code))
                return
            if now - started > DEATHS_WINDOW_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            self.say(f"{child.spec.name} {self._why(child, code)}; it is restarted in {backoff:g} s")
            await asyncio.sleep(backoff)
            if child.stopping:
                return
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _give_up(self, failure: ChildFailed) -> None:
        if not self._failure.done():
            self._failure.set_result(failure)

    async def _run(self, child: _Child) -> int:
        """Run the child once; its exit code, negative for a signal. Its whole group is gone afterwards."""
        spec = child.spec
        child.ready.clear()
        child.last_lines.clear()
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        try:
            child.process = subprocess.Popen(
                tethered(spec.command),
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=subprocess.STDOUT,
                env=dict(spec.environ),
                pass_fds=spec.pass_fds,
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self.say(f"started {spec.name} pid={child.process.pid}")
        self._on_change(self.pids())
        splitter = LineSplitter()
        loop = asyncio.get_running_loop()
        # One piece at a time, so that a child that never stops talking does not keep the loop from the rest.
        loop.add_reader(read_end, self._read, child, read_end, splitter)
        probing = asyncio.create_task(self._probe(child))
        try:
            while child.process.poll() is None:
                await asyncio.sleep(POLL_SECONDS)
        finally:
            probing.cancel()
            _kill_group(child.process)
            child.process.wait()
            for _ in range(MAX_LAST_PIECES):
                if not self._read(child, read_end, splitter):
                    break
            loop.remove_reader(read_end)
            os.close(read_end)
            for line in splitter.end():
                self._line(child, line)
            self._on_change(self.pids())
        return child.process.returncode

    def _read(self, child: _Child, descriptor: int, splitter: LineSplitter) -> bool:
        """Take one piece of the child's output; False when there is none now, or never again."""
        try:
            data = os.read(descriptor, PIECE_BYTES)
        except BlockingIOError:
            return False
        if not data:
            # All write ends are closed: without this the loop would report the end of file for ever.
            asyncio.get_running_loop().remove_reader(descriptor)
        for line in splitter.feed(data):
            self._line(child, line)
        return bool(data)

    def _line(self, child: _Child, line: str) -> None:
        if child.spec.ready_line is not None and not child.ready.is_set() and child.spec.ready_line(line):
            # A message to this supervisor, of no use to people.
            self._mark_ready(child)
            return
        child.last_lines.append(line)
        self._output.line(child.spec.name, line)

    async def _probe(self, child: _Child) -> None:
        """Set the child's `ready` once its probe says so."""
        if child.spec.ready_probe is None:
            if child.spec.ready_line is None:
                self._mark_ready(child)
            return
        while not await child.spec.ready_probe():
            await asyncio.sleep(POLL_SECONDS)
        self._mark_ready(child)

    def _mark_ready(self, child: _Child) -> None:
        child.ready.set()
        if child.spec.ready_line is not None or child.spec.ready_probe is not None:
            self.say(f"{child.spec.name} is ready")

    def _why(self, child: _Child, code: int) -> str:
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
        last = next((line for line in reversed(child.last_lines) if line.strip()), "")
        return f"{how} ({last.strip()})" if last and code > 0 else how


def tethered(command: Sequence[str]) -> list[str]:
    """`command` such that it ends when this process does, however that comes about."""
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what the child may have left behind; its session, hence its group, has its own process id."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
