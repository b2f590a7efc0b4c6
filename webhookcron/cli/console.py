"""Output for people: tables and colours on a terminal, plain lines in a pipe."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from webhookcron.logs import escape_control_characters

PIPE_WIDTH = 240
"""Columns in a pipe or a file, where nothing has to fit a window."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
"""Seconds of each unit of a duration, the largest first."""

STATUS_STYLES = {
    "active": "green",
    "paused": "yellow",
    "completed": "dim",
    "disabled": "red",
    "success": "green",
    "failed": "red",
    "timeout": "red",
    "retrying": "yellow",
    "running": "cyan",
    "queued": "cyan",
    "skipped": "yellow",
    "cancelled": "dim",
}


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error. rich leaves colours out in pipes and when NO_COLOR is set."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def is_interactive() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def print_json(value: Any) -> None:
    """`value` as indented JSON on standard output, without colours or wrapping."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def cell(value: Any, style: str = "") -> Text:
    """A value in a table, `-` for None; nothing in it can move a cursor or pass for markup."""
    return Text("-" if value is None else escape_control_characters(str(value)), style=style)


def status_cell(status: str | None) -> Text:
    """A status in its colour."""
    return cell(status, STATUS_STYLES.get(status or "", ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[Text]], *, right: Sequence[str] = ()) -> Table:
    """A table without lines between its columns; those named in `right` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def moment_cell(text: str | None, now: datetime) -> Text:
    """A moment of an answer in UTC to the second, and how far from now it is."""
    if text is None:
        return cell(None)
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return Text.assemble(f"{moment:%Y-%m-%d %H:%M:%S}", (f" {_distance(moment, now)}", "dim"))


def distance_cell(text: str | None, now: datetime) -> Text:
    """How far from now a moment of an answer is: what `moment_cell` is shortened to where space is scarce."""
    return cell(None if text is None else _distance(datetime.fromisoformat(text), now))


def fits(screen: Console, made: Table) -> bool:
    """Whether a terminal shows the table without folding a value. Pipes and files have room for all."""
    if not screen.is_terminal:
        return True
    endless = screen.options.update(width=100_000)
    return Measurement.get(screen, endless, made).maximum <= screen.width


def duration_words(duration: timedelta) -> str:
    """A duration from a second up in its units, such as `1 d`, `23 h` or `2 d 3 h 5 min`; `0 s` for none."""
    rest = round(duration.total_seconds())
    parts = []
    for size, unit in _UNITS:
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts) or "0 s"


def _distance(moment: datetime, now: datetime) -> str:
    seconds = round((moment - now).total_seconds())
    amount = abs(seconds)
    size, unit = next((size, unit) for size, unit in _UNITS if amount >= size or size == 1)
    text = f"{amount // size} {unit}"
    return f"in {text}" if seconds > 0 else f"{text} ago"


@contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function `show(done, total)` behind a bar on standard error; nothing is drawn in a pipe or when `quiet`."""
    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show
