"""How the command line ends with an error: one line, and an exit code that says whose turn it is."""

from __future__ import annotations

from typing import IO, Any

import click


class CommandFailed(click.ClickException):
    """Something failed while running. Ends the command with `error: message` on standard error."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True, file=file)


class WrongSetting(CommandFailed):
    """An option or a setting is missing or wrong (2 is click's own code for wrong usage)."""

    exit_code = 2


class InUse(CommandFailed):
    """The port or the data directory is used by another process."""

    exit_code = 3
