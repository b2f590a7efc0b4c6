"""The commands that use the API from outside, or need nothing at all."""

from __future__ import annotations

import click

from webhookcron.cli.apply import apply, diff
from webhookcron.cli.export import export, schema
from webhookcron.cli.imports import import_

CLIENT_COMMANDS: tuple[click.Command, ...] = (apply, diff, export, import_, schema)
