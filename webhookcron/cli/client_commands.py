"""The commands that use the API from outside, or need nothing at all."""

from __future__ import annotations

import click

from webhookcron.cli.apply import apply, diff
from webhookcron.cli.completion import completion
from webhookcron.cli.export import export, schema
from webhookcron.cli.imports import import_
from webhookcron.cli.jobs import jobs
from webhookcron.cli.logs import logs
from webhookcron.cli.next_times import next_times
from webhookcron.cli.replay import replay
from webhookcron.cli.simulate import simulate
from webhookcron.cli.stats import stats

CLIENT_COMMANDS: tuple[click.Command, ...] = (
    apply,
    diff,
    export,
    import_,
    schema,
    jobs,
    logs,
    replay,
    stats,
    next_times,
    simulate,
    completion,
)
