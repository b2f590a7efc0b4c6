"""The directory in which server processes share their metrics."""

import os
from pathlib import Path

import pytest

from webhookcron.metrics.sharing import DIRECTORY_VARIABLE, shared_between_processes


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
