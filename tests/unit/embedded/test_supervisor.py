import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from webhookcron.embedded import supervisor as supervisor_module
from webhookcron.embedded.child_output import PrefixedOutput
from webhookcron.embedded.supervisor import ChildFailed, ChildSpec, Supervisor

PATIENCE_SECONDS = 20
SLEEPS = "import time; print('up', flush=True); time.sleep(60)"


def spec(code: str, name: str = "child", **more: object) -> ChildSpec:
    values: dict[str, object] = {"role": name, "environ": dict(os.environ)} | more
    return ChildSpec(name=name, command=[sys.executable, "-c", code], **values)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def ends(pid: int) -> bool:
    """Whether the process is gone within some patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(pid)


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def output(written: io.StringIO) -> PrefixedOutput:
    return PrefixedOutput(written, colors=False)


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(supervisor_module, "MAX_BACKOFF_SECONDS", 0.02)


def test_it_starts_a_child_and_stops_it_by_sigterm(output: PrefixedOutput, written: io.StringIO) -> None:
    async def scenario() -> list[int]:
        supervisor = Supervisor(output)
        await supervisor.start(spec(SLEEPS, ready_line=lambda line: line == "up"))
        pids = supervisor.pids()["child"]
        await supervisor.stop(["child"], hasten=asyncio.Event())
        assert supervisor.pids() == {}
        return pids

    (pid,) = asyncio.run(scenario())

    assert not is_running(pid)
    assert "up       | child is ready\n" in written.getvalue()
    assert "killing" not in written.getvalue()


def test_the_lines_of_a_child_stand_behind_its_name(output: PrefixedOutput, written: io.StringIO) -> None:
    async def scenario() -> None:
        await Supervisor(output).run_once(spec("print('one'); print('two', end='')"))

    asyncio.run(scenario())

    assert "child    | one\nchild    | two\n" in written.getvalue()


def test_a_child_that_dies_before_it_is_ready_fails_with_its_last_words(output: PrefixedOutput) -> None:
    async def scenario() -> None:
        await Supervisor(output).start(
            spec("import sys; sys.exit('no disk')", ready_line=lambda line: line == "never")
        )

    with pytest.raises(ChildFailed, match=r"child ended with exit code 1 \(no disk\)") as failure:
        asyncio.run(scenario())
    assert failure.value.exit_code == 1


def test_a_child_that_is_never_ready_fails_after_its_time(output: PrefixedOutput) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(output)
        try:
            await supervisor.start(
                spec(
                    SLEEPS, ready_line=lambda line: False, start_seconds=0.2, unready_hint="is it plugged in?"
                )
            )
        finally:
            await supervisor.stop([], hasten=asyncio.Event())

    with pytest.raises(ChildFailed, match=r"child was not ready within 0\.2 s; is it plugged in\?"):
        asyncio.run(scenario())


def test_a_killed_child_is_restarted_as_another_process(output: PrefixedOutput, quick_restarts: None) -> None:
    seen: list[dict[str, list[int]]] = []

    async def scenario() -> None:
        supervisor = Supervisor(output, on_change=lambda pids: seen.append(dict(pids)))
        await supervisor.start(spec(SLEEPS, ready_line=lambda line: line == "up"))
        (first,) = supervisor.pids()["child"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pids().get("child", [first]) != [first])
        await supervisor.stop([], hasten=asyncio.Event())

    asyncio.run(scenario())

    assert {} in seen, "the end of the first process was told"
    assert len({pids["child"][0] for pids in seen if "child" in pids}) == 2


def test_a_child_that_keeps_dying_ends_the_stack_with_the_reason(
    output: PrefixedOutput, quick_restarts: None
) -> None:
    async def scenario() -> ChildFailed:
        supervisor = Supervisor(output)
        await supervisor.start(spec("import sys; sys.exit('again')"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            failure = await supervisor.failed()
        await supervisor.stop([], hasten=asyncio.Event())
        return failure

    failure = asyncio.run(scenario())

    assert str(failure) == ("child died 6 times within 60 s; the last time it ended with exit code 1 (again)")


def test_a_program_that_is_gone_ends_the_stack_with_the_reason(
    output: PrefixedOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "tethered", lambda command: ["/no/such/program", *command])

    async def scenario() -> None:
        supervisor = Supervisor(output)
        try:
            await supervisor.start(spec(SLEEPS, ready_line=lambda line: line == "up"))
        finally:
            await supervisor.stop([], hasten=asyncio.Event())

    with pytest.raises(ChildFailed, match="child cannot be run: No such file or directory"):
        asyncio.run(scenario())


def test_a_child_that_never_stops_talking_does_not_keep_the_others_from_starting(
    output: PrefixedOutput,
) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(output)
        await supervisor.start(spec("while True: print('and another thing')", name="talker"))
        await supervisor.start(spec(SLEEPS, ready_line=lambda line: line == "up"))
        hasten = asyncio.Event()
        hasten.set()
        await supervisor.stop([], hasten=hasten)

    asyncio.run(scenario())


def test_children_are_stopped_role_by_role_in_the_given_order(
    output: PrefixedOutput, written: io.StringIO
) -> None:
    async def scenario() -> None:
        supervisor = Supervisor(output)
        for name in ("store", "api", "worker"):
            await supervisor.start(spec(SLEEPS, name=name, ready_line=lambda line: line == "up"))
        await supervisor.stop(["api", "worker", "store"], hasten=asyncio.Event())

    asyncio.run(scenario())

    stops = [line.partition("stopping ")[2] for line in written.getvalue().splitlines() if "stopping" in line]
    assert stops == ["api", "worker", "store"]


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_over(output: PrefixedOutput) -> None:
    async def scenario() -> int:
        supervisor = Supervisor(output)
        await supervisor.start(spec(STUBBORN, ready_line=lambda line: line == "up", stop_seconds=0.2))
        (pid,) = supervisor.pids()["child"]
        await supervisor.stop([], hasten=asyncio.Event())
        return pid

    assert not is_running(asyncio.run(scenario()))


def test_hastening_kills_without_waiting(output: PrefixedOutput) -> None:
    async def scenario() -> int:
        supervisor = Supervisor(output)
        await supervisor.start(spec(STUBBORN, ready_line=lambda line: line == "up", stop_seconds=3600))
        (pid,) = supervisor.pids()["child"]
        hasten = asyncio.Event()
        hasten.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await supervisor.stop([], hasten=hasten)
        return pid

    assert not is_running(asyncio.run(scenario()))


def test_what_a_dead_child_left_running_is_killed(output: PrefixedOutput, quick_restarts: None) -> None:
    code = (
        "import subprocess, sys\n"
        "orphan = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(orphan.pid, flush=True)\n"
    )
    orphans: list[int] = []

    async def scenario() -> None:
        supervisor = Supervisor(output)

        def remember(line: str) -> bool:
            orphans.append(int(line))
            return True

        await supervisor.run_once(spec(code, ready_line=remember))

    asyncio.run(scenario())

    assert ends(orphans[0])


def test_a_one_shot_child_that_fails_says_why(output: PrefixedOutput) -> None:
    async def scenario() -> None:
        await Supervisor(output).run_once(spec("import sys; sys.exit(3)", name="setup"))

    with pytest.raises(ChildFailed, match="setup ended with exit code 3"):
        asyncio.run(scenario())


def test_a_tethered_command_dies_with_its_parent_even_by_sigkill() -> None:
    grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    parent_code = (
        "import subprocess, sys, time\n"
        "from webhookcron.embedded.supervisor import tethered\n"
        f"subprocess.Popen(tethered([sys.executable, '-c', {grandchild!r}]), start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        parent.kill()

        assert ends(child)
