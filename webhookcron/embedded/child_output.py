"""The children's output, line by line behind the child's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

from webhookcron.logs import escape_control_characters

MAX_LINE_BYTES = 64 * 1024
"""A longer line is cut into pieces of this size, so that a child cannot fill the memory."""

_COLORS = ("\033[36m", "\033[35m", "\033[34m", "\033[33m", "\033[32m", "\033[96m", "\033[95m")
_PLAIN = "\033[0m"
_STYLE = re.compile(r"(\033\[[0-9;]*m)")
"""The one kind of escape sequence that is let through: colours."""


class LineSplitter:
    """Cuts a stream of bytes into lines of text, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        for line in lines:
            yield _text(line)

    def end(self) -> Iterator[str]:
        """What was left without a line end."""
        if self._rest:
            yield _text(self._rest)
        self._rest = b""


class PrefixedOutput:
    """Writes `name | line` to `stream`, the name in a colour of its own when `colors`.

    When the stream's reader is gone, `lost` turns true and everything later is dropped.
    """

    def __init__(self, stream: TextIO, *, colors: bool, name_width: int = 8) -> None:
        self.lost = False
        self.colors = colors
        self._stream = stream
        self._name_width = name_width
        self._colors_by_name: dict[str, str] = {}

    def line(self, name: str, text: str) -> None:
        """One line of the child `name`; control characters are escaped, colours pass only where they are wanted."""
        prefix = f"{name:<{self._name_width}} |"
        if self.colors:
            color = self._colors_by_name.setdefault(name, _COLORS[len(self._colors_by_name) % len(_COLORS)])
            prefix = f"{color}{prefix}{_PLAIN}"
        self.raw(f"{prefix} {self._cleaned(text)}")

    def raw(self, text: str) -> None:
        """A line as it is, without a name before it; what the stream's encoding lacks is escaped."""
        if self.lost:
            return
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(f"{text}\n".encode(encoding, errors="backslashreplace").decode(encoding))
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self.lost = True

    def _cleaned(self, text: str) -> str:
        if not self.colors:
            return escape_control_characters(_STYLE.sub("", text))
        return "".join(
            part if _STYLE.fullmatch(part) else escape_control_characters(part) for part in _STYLE.split(text)
        )


def _text(line: bytes) -> str:
    # Tabs are layout in some servers' messages; everything else that is not text is escaped.
    return line.removesuffix(b"\r").decode("utf-8", errors="backslashreplace").expandtabs(4)
