"""`webhookcron doctor`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from webhookcron.cli.maintenance import data_dir_option, environment_of


@click.command(short_help="Look whether settings, stores and this machine are fit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@data_dir_option
def doctor(as_json: bool, data_dir: Path | None) -> None:
    """Look at settings, MongoDB, Redis, broker, clocks and this machine, and say what to do about each fault.

    Nothing is changed. Exit code 0 when the platform can work, 1 when there is a fault.
    """
    from webhookcron.logs import configure_logging
    from webhookcron.maintenance.doctor.examination import examine
    from webhookcron.maintenance.doctor.findings import Verdict

    configure_logging("error")
    environ = {**os.environ, **({} if data_dir is None else environment_of(data_dir))}
    colors = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "red"}
    faults = warnings = 0
    for finding in examine(environ):
        faults += finding.verdict is Verdict.FAULT
        warnings += finding.verdict is Verdict.WARNING
        if as_json:
            click.echo(json.dumps(asdict(finding), ensure_ascii=False))
            continue
        mark = click.style(f"{finding.verdict.value:<7}", fg=colors[finding.verdict])
        click.echo(f"{mark}  {finding.about}: {finding.message}")
        if finding.advice:
            click.echo(f"         → {finding.advice}")
    if not as_json:
        click.echo(f"{faults} faults, {warnings} warnings")
    if faults:
        raise SystemExit(1)
