"""The redo log: what was carried out since the data file was written last, so that each commit is one short append.

Files `PATH-redo-N`, one for each generation; the data file says which of them continues it. An append survives the
death of the process at once. What a crash or a power cut tore is no frame any more: reading ends there, and those who
waited for it were not answered.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from zlib import crc32

_HEADER = Struct("<8sQ")
_MAGIC = b"wcredo01"
_FRAME = Struct("<IIQ")
"""Length of the content, its checksum, and the number that the turn's first new record gets."""

_ITEM = Struct("<BI")
_END = 0
"""The kind of item that closes a log: the next generation goes on where it ends."""

Item = tuple[int, bytes]
"""A kind that its writer gives it (1 to 255), and its content."""


def encoded_item(kind: int, content: bytes) -> bytes:
    """An item as a frame holds it."""
    return _ITEM.pack(kind, len(content)) + content


class RedoLog:
    """The logs beside a data file, of which the youngest is written."""

    def __init__(self, data_file: Path) -> None:
        self._prefix = f"{data_file.name}-redo-"
        self._directory = data_file.parent
        self._descriptor: int | None = None
        self.size = 0
        """Bytes of the log that is written."""

    def _path(self, generation: int) -> Path:
        return self._directory / f"{self._prefix}{generation}"

    def generations(self) -> list[int]:
        """Those of which there is a log, oldest first."""
        names = (path.name.removeprefix(self._prefix) for path in self._directory.glob(f"{self._prefix}*"))
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def start(self, generation: int) -> None:
        """Write to a new log from now on; raises OSError and goes on with the present one when it cannot be made."""
        descriptor = os.open(self._path(generation), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if self._descriptor is not None:
                self._write(_frame(0, [encoded_item(_END, b"")]))
            os.write(descriptor, _HEADER.pack(_MAGIC, generation))
        except OSError:
            os.close(descriptor)
            self._path(generation).unlink()
            raise
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self.size = _HEADER.size

    def append(self, next_record: int, items: Sequence[bytes]) -> None:
        """Add one turn; raises OSError, and then the log is as it was."""
        self._write(_frame(next_record, items))

    def _write(self, frame: bytes) -> None:
        assert self._descriptor is not None
        try:
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            os.lseek(self._descriptor, self.size, os.SEEK_SET)
            raise
        self.size += len(frame)

    def frames(self, generation: int) -> Iterator[tuple[int, list[Item]]]:
        """The turns since this generation began: the number of the first new record of each, and its items."""
        while True:
            ended = False
            for next_record, items in _frames_of(self._path(generation), generation):
                if items[0][0] == _END:
                    ended = True
                    break
                yield next_record, items
            if not ended:
                return
            generation += 1

    def discard_before(self, generation: int) -> None:
        """Remove the logs of older generations: the data file holds what they say, and no start reads them again."""
        for older in self.generations():
            if older < generation:
                with contextlib.suppress(OSError):
                    self._path(older).unlink()

    def discard_from(self, generation: int) -> None:
        """Remove the logs of this and later generations."""
        for later in self.generations():
            if later >= generation:
                self._path(later).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the log that is written."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _frame(next_record: int, items: Sequence[bytes]) -> bytes:
    content = b"".join(items)
    return _FRAME.pack(len(content), crc32(content), next_record) + content


def _frames_of(path: Path, generation: int) -> Iterator[tuple[int, list[Item]]]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(_HEADER.size)
        if header != _HEADER.pack(_MAGIC, generation):
            return
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum, next_record = _FRAME.unpack(head)
            content = file.read(length)
            if len(content) != length or crc32(content) != checksum or not content:
                return
            yield next_record, list(_items(content))


def _items(content: bytes) -> Iterator[Item]:
    position = 0
    while position < len(content):
        kind, length = _ITEM.unpack_from(content, position)
        position += _ITEM.size
        yield kind, content[position : position + length]
        position += length
