"""Run a command on a terminal and keep what it shows as an SVG picture.

    python docs/images/terminal.py OUT.svg [--columns 110] [--title TEXT] -- webhookcron jobs list

The picture shows TEXT, else the command itself, as its first line.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

# Without the fonts that rich would have the reader's browser load from elsewhere.
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)
_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--columns", type=int, default=110)
    parser.add_argument("--title")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    shown = run_on_terminal(options.command, options.columns)
    prompt = Text.assemble(("$ ", "bold green"), (options.title or shlex.join(options.command), "bold"))
    options.output.write_text(picture(prompt, shown, options.columns), encoding="utf-8")


def run_on_terminal(command: list[str], columns: int) -> str:
    """What the command writes to a terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ) as process:
        os.close(slave)
        parts = []
        while part := _read(master):
            parts.append(part)
        process.wait()
    os.close(master)
    return b"".join(parts).decode()


def picture(prompt: Text, shown: str, columns: int) -> str:
    """The SVG of a prompt and what came after it."""
    lines = _settled(shown)
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(prompt, soft_wrap=True)
    console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)
    # The picture cuts what reaches below the last line.
    console.print()
    svg = console.export_svg(title="webhookcron", theme=MONOKAI, code_format=_format())
    return svg + "\n"


def _settled(shown: str) -> list[str]:
    """The lines that stay: those of bars that were drawn and taken away again are gone."""
    lines = [""]
    for part in re.split(r"(\r?\n|\x1b\[1A\x1b\[2K|\x1b\[2K)", shown):
        if part.endswith("\n"):
            lines.append("")
        elif part == "\x1b[1A\x1b[2K":
            lines = [*lines[:-2], ""]
        elif part == "\x1b[2K":
            lines[-1] = ""
        else:
            lines[-1] += re.sub(r"\x1b\[\?25[lh]|\r", "", part)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _format() -> str:
    from rich._export_format import CONSOLE_SVG_FORMAT

    return _FONT_FACE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", _FONT)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        # Linux says EIO when the other end is closed.
        return b""


if __name__ == "__main__":
    main()
