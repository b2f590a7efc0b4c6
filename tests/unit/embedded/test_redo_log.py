"""The log that makes a turn durable: whole turns are read back, torn ones and what follows them are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from webhookcron.embedded.redo_log import RedoLog, encoded_item


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    return tmp_path / "data"


def turns(data_file: Path, generation: int = 1) -> list[int]:
    return [next_record for next_record, _ in RedoLog(data_file).frames(generation)]


def write(log: RedoLog, *numbers: int) -> None:
    for number in numbers:
        log.append(number, [encoded_item(1, b"x" * number), encoded_item(2, b"")])


def test_turns_come_back_in_order_with_their_items(data_file: Path) -> None:
    log = RedoLog(data_file)
    log.start(1)
    log.append(7, [encoded_item(1, b"first"), encoded_item(2, b"")])
    log.append(9, [encoded_item(1, b"second")])
    log.close()
    assert list(RedoLog(data_file).frames(1)) == [(7, [(1, b"first"), (2, b"")]), (9, [(1, b"second")])]
    assert data_file.with_name("data-redo-1").stat().st_mode & 0o777 == 0o600


def test_a_torn_end_is_no_turn(data_file: Path) -> None:
    log = RedoLog(data_file)
    log.start(1)
    write(log, 5, 6)
    log.close()
    path = data_file.with_name("data-redo-1")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert turns(data_file) in ([], [5])
    damaged = bytearray(whole)
    damaged[40] ^= 1
    path.write_bytes(damaged)
    assert turns(data_file) == []


def test_the_next_generation_goes_on_where_one_was_ended(data_file: Path) -> None:
    log = RedoLog(data_file)
    log.start(1)
    write(log, 5)
    log.start(2)
    write(log, 6)
    log.start(3)
    write(log, 7)
    log.close()
    assert turns(data_file, 1) == [5, 6, 7]
    assert turns(data_file, 2) == [6, 7]
    log.discard_before(3)
    assert log.generations() == [3]
    assert turns(data_file, 1) == []


def test_a_generation_after_a_torn_one_is_left(data_file: Path) -> None:
    log = RedoLog(data_file)
    log.start(1)
    write(log, 5)
    size = log.size
    log.start(2)
    write(log, 6)
    log.close()
    os.truncate(data_file.with_name("data-redo-1"), size)
    assert turns(data_file, 1) == [5]


def test_a_failed_append_leaves_the_log_as_it_was(data_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RedoLog(data_file)
    log.start(1)
    write(log, 5)
    real = os.write
    calls: list[int] = []

    def full(descriptor: int, data: memoryview) -> int:
        if calls:
            raise OSError(28, "No space left on device")
        calls.append(real(descriptor, data[:10]))
        return calls[0]

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            write(log, 6)
    write(log, 7)
    log.close()
    assert turns(data_file) == [5, 7]


def test_a_log_that_cannot_be_made_leaves_the_present_one(
    data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RedoLog(data_file)
    log.start(1)
    write(log, 5)
    data_file.with_name("data-redo-2").mkdir()
    with pytest.raises(OSError):
        log.start(2)
    write(log, 6)
    log.close()
    assert turns(data_file) == [5, 6]
