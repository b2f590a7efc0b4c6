"""The directory in which server processes share their metrics."""

import os
from pathlib import Path

import pytest

from webhookcron.metrics.sharing import DIRECTORY_VARIABLE, NotShareable, shared_between_processes


@pytest.fixture
def no_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is named, and none afterwards, whatever the test leaves behind."""
    # Set first: only a variable that was there is put back, or taken away, at the end.
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")
    monkeypatch.delenv(DIRECTORY_VARIABLE)


@pytest.mark.usefixtures("no_directory")
def test_a_directory_is_there_while_it_is_needed() -> None:
    with shared_between_processes():
        directory = Path(os.environ[DIRECTORY_VARIABLE])
        assert directory.is_dir()
    assert not directory.exists()
    assert DIRECTORY_VARIABLE not in os.environ


def test_a_directory_that_the_user_named_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    with shared_between_processes():
        pass
    assert tmp_path.is_dir()


@pytest.mark.usefixtures("no_directory")
def test_a_forked_process_that_ends_leaves_it_to_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sharing = shared_between_processes()
    sharing.__enter__()
    directory = Path(os.environ[DIRECTORY_VARIABLE])
    with monkeypatch.context() as patch:
        patch.setattr("webhookcron.metrics.sharing.os.getpid", lambda: -1)
        sharing.__exit__(None, None, None)
    assert directory.is_dir()
    directory.rmdir()


def test_a_named_directory_that_is_gone_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "of" / "another"))
    with shared_between_processes():
        assert (tmp_path / "of" / "another").is_dir()


def test_a_named_directory_that_cannot_be_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "file" / "metrics"))
    with pytest.raises(NotShareable, match=f"^{DIRECTORY_VARIABLE} must name a directory.*Not a directory"):
        shared_between_processes().__enter__()
