import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from webhookcron.embedded import data_directory
from webhookcron.embedded.data_directory import DataDirectory, DirectoryInUse, DirectoryUnusable


def test_it_makes_the_directory_for_its_owner_only(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "a" / "data") as directory:
        assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
        assert directory.runtime.is_dir()


def test_a_second_one_is_told_who_holds_it(tmp_path: Path) -> None:
    with (
        DataDirectory(tmp_path),
        pytest.raises(
            DirectoryInUse, match=rf"process {os.getpid()}\) uses the data directory {tmp_path}; stop it"
        ),
    ):
        DataDirectory(tmp_path)


def test_it_can_be_taken_again_after_it_was_closed(tmp_path: Path) -> None:
    DataDirectory(tmp_path).close()
    DataDirectory(tmp_path).close()


def hold_lock_as_a_child_of_a_dead_one(path: Path) -> "subprocess.Popen[bytes]":
    """A process that inherited the lock from a platform that is gone, and holds it until its input ends."""
    directory = DataDirectory(path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(directory.lock_fd,),
    )
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    os.pwrite(directory.lock_fd, f"{ended.pid}\n".ljust(16).encode(), 0)
    directory.close()
    return child


def test_it_waits_for_what_a_killed_one_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = hold_lock_as_a_child_of_a_dead_one(tmp_path)
    slept: list[float] = []

    def let_the_child_end(seconds: float) -> None:
        slept.append(seconds)
        child.communicate()

    monkeypatch.setattr(data_directory.time, "sleep", let_the_child_end)

    DataDirectory(tmp_path).close()

    assert len(slept) == 1


def test_it_does_not_wait_for_ever_for_leftovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_directory, "LEFTOVER_SECONDS", 0.1)
    with hold_lock_as_a_child_of_a_dead_one(tmp_path) as child:
        with pytest.raises(DirectoryInUse):
            DataDirectory(tmp_path)
        child.communicate()


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(
        DirectoryUnusable, match=r"cannot use the data directory .*/file/data: Not a directory; choose"
    ):
        DataDirectory(tmp_path / "file" / "data")


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    # Permissions would not hold root back; a directory in the place of a file holds everybody back.
    (tmp_path / "run" / "trial").mkdir(parents=True)

    with pytest.raises(
        DirectoryUnusable, match=r"cannot write to the data directory .*; choose a writable one"
    ):
        DataDirectory(tmp_path)


def test_a_socket_has_a_place_of_its_own_emptied_before(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as directory:
        (directory.runtime / "redis.sock").write_text("left behind")

        path = directory.socket_path("redis.sock")

        assert path == tmp_path / "run" / "redis.sock"
        assert not path.exists()


def test_a_path_too_long_for_sockets_is_told(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / ("x" * 100)) as directory:
        assert directory.socket_path("redis.sock") is None
