import os
import subprocess
import sys

from webhookcron.embedded import tether

RUN_AND_WATCH = (
    "import sys; from webhookcron.embedded import tether; "
    "sys.exit(tether.run_and_watch(int(sys.argv[1]), sys.argv[2:]))"
)


def watched(parent: int, *command: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN_AND_WATCH, str(parent), *command],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_watching_form_hands_on_the_exit_code() -> None:
    with watched(os.getpid(), sys.executable, "-c", "raise SystemExit(7)") as process:
        process.communicate()
    assert process.returncode == 7


def test_the_watching_form_hands_on_sigterm() -> None:
    code = "import time; print('up', flush=True); time.sleep(60)"
    with watched(os.getpid(), sys.executable, "-c", code) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        process.communicate()
    assert process.returncode == 128 + 15


def test_the_watching_form_kills_its_group_once_the_parent_is_another() -> None:
    never_the_parent = os.getpid() + 1
    code = "import time; print('up', flush=True); time.sleep(60)"
    with watched(never_the_parent, sys.executable, "-c", code) as process:
        rest, _ = process.communicate()
    assert "up\n".startswith(rest), "it may be killed within the line"
    assert process.returncode == -9


def test_the_exec_form_refuses_to_start_an_orphan() -> None:
    never_the_parent = str(os.getpid() + 1)
    done = subprocess.run(
        [sys.executable, "-I", "-S", tether.__file__, never_the_parent, "echo", "hello"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hello" not in done.stdout
    assert done.returncode != 0
