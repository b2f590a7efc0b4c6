"""`webhookcron import crontab` and `webhookcron import curl`."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.connection import json_option
from webhookcron.cli.console import cell, console, print_json, table
from webhookcron.cli.errors import CommandFailed, WrongSetting

if TYPE_CHECKING:
    from webhookcron.imports.crontab import CrontabImport

MAX_BYTES = 16 * 1024 * 1024

_output_option = click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write the jobs into this file."
)


@click.group(name="import", short_help="Make a file of jobs of a crontab or a curl command.")
def import_() -> None:
    """Make a file of jobs of what other tools have; `webhookcron apply` then creates them.

    The platform is not needed for this. Secrets do not get into the file: references such as ${env:REPORT_PASSWORD}
    take their place, and the variables to set are listed.
    """


@import_.command(short_help="Make a file of jobs of a crontab.")
@click.argument(
    "file", metavar="FILE", help="A crontab; - reads standard input: `crontab -l | … import crontab -`."
)
@click.option(
    "--timezone", metavar="ZONE", help="The zone of the crontab's clock; this machine's unless given."
)
@click.option("--system", is_flag=True, help="Lines name a user before the command, as in /etc/crontab.")
@_output_option
@json_option
def crontab(file: str, timezone: str | None, system: bool, output: str | None, as_json: bool) -> None:
    """Make a file of jobs of a crontab's lines that call curl or wget.

    Every other line is listed with the reason why it is not one. Jobs differ from crontab in one thing that matters:
    failed calls are made again (3 times unless the command says otherwise), with the same webhook-id.

    \b
    Exit codes: 0 at least one line became a job; 1 none did; 2 the file or an option is wrong.
    """
    from webhookcron.imports.crontab import import_crontab

    zone_name = timezone or machine_timezone()
    try:
        result = import_crontab(_content(file), timezone=zone_name, system=system)
    except ValueError as error:
        raise WrongSetting(str(error)) from None
    if as_json:
        print_json(_crontab_json(result))
    else:
        _write(_manifest(result, zone_name), output)
        _report(result)
    if not result.jobs:
        raise CommandFailed("no line of the crontab calls a webhook by curl or wget")


@import_.command(short_help="Make a file of one job of a curl command.")
@click.argument("command", nargs=-1, required=True, metavar="COMMAND", help="The command, in quotes.")
@click.option("--cron", metavar="EXPRESSION", default="0 9 * * *", show_default=True, help="When to call.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="The zone of --cron.")
@click.option("--name", metavar="NAME", help="The job's name; made of the URL unless given.")
@_output_option
@json_option
def curl(
    command: tuple[str, ...], cron: str, timezone: str, name: str | None, output: str | None, as_json: bool
) -> None:
    """Make a file of one job of a curl (or wget) command, as it stands in a manual or as a browser copies it.

    Quote it: webhookcron import curl 'curl -X POST https://example.com/hook -H "X-Team: billing"'.

    \b
    Exit codes: 0 done; 1 the command cannot become a job, and why; 2 wrong options.
    """
    from webhookcron.core.schedules import Schedule, ScheduleType
    from webhookcron.imports.commands import import_command
    from webhookcron.imports.errors import NotImportable
    from webhookcron.imports.names import key_of, name_of_request

    try:
        Schedule(type=ScheduleType.CRON, cron_expression=cron, timezone=timezone)
    except ValueError as error:
        raise WrongSetting(str(error)) from None
    # Without quotes the shell has taken the words apart already.
    text = command[0] if len(command) == 1 else _quoted(command)
    if not re.match(r"\s*(?:\S*/)?(?:curl|wget)\s", text):
        text = f"curl {text}"
    try:
        imported = import_command(text, prefix=key_of(name or "job", ()))
    except NotImportable as error:
        raise CommandFailed(f"the command cannot become a job: {error}") from None
    job_name = name or name_of_request(imported.fields["webhookUrl"])
    job = {
        "key": key_of(job_name, ()),
        "name": job_name,
        "cronExpression": cron,
        "timezone": timezone,
        **imported.fields,
    }
    if as_json:
        print_json({"jobs": [job], "notes": imported.notes, "variables": imported.variables})
        return
    from webhookcron.manifests.export import entries_text

    _write(entries_text([job]), output)
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    _tell_variables(imported.variables)


def machine_timezone() -> str:
    """The IANA name of this machine's zone, as far as it can be found; else UTC."""
    from webhookcron.core.zones import zone_names

    candidates = [os.environ.get("TZ", "").removeprefix(":")]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text(encoding="ascii").strip())
    candidates.append(os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2])
    return next((name for name in candidates if name in zone_names()), "UTC")


def _content(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(MAX_BYTES)
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read(MAX_BYTES)
    except OSError as error:
        raise WrongSetting(f"cannot read {file}: {error.strerror}") from None


def _quoted(words: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(words)


def _manifest(result: CrontabImport, timezone: str) -> str:
    from webhookcron.manifests.export import entries_text

    comments = [f"# Imported from a crontab on the clock of {timezone}."]
    for remark in result.not_importable:
        comments.append(f"# Not imported, line {remark.line}: {remark.message}")
    origins = [f"line {line} of the crontab" for line in result.lines]
    return "\n".join(comments) + "\n" + entries_text(result.jobs, origins)


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandFailed(f"cannot write {output}: {error.strerror}") from None


def _report(result: CrontabImport) -> None:
    screen = console(stderr=True)
    jobs, others = len(result.jobs), len(result.not_importable)
    screen.print(f"{jobs} line{'s' * (jobs != 1)} imported, {others} not.", style="bold")
    remarks = [
        (remark, kind, style)
        for found, kind, style in (
            (result.not_importable, "not imported", "yellow"),
            (result.notes, "note", "dim"),
        )
        for remark in found
    ]
    if remarks:
        rows = [
            (cell(remark.line), cell(kind, style), cell(remark.message), cell(_cut(remark.text), "dim"))
            for remark, kind, style in remarks
        ]
        screen.print(table(("LINE", "", "WHY", "TEXT"), rows, right=("LINE",)))
    _tell_variables(result.variables)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _tell_variables(variables: dict[str, str]) -> None:
    if variables:
        click.echo("Set these before `webhookcron apply`:", err=True)
    for name, meaning in variables.items():
        click.echo(f"  export {name}=…   # {meaning}", err=True)


def _crontab_json(result: CrontabImport) -> dict[str, Any]:
    return {
        "jobs": [{"line": line, **job} for line, job in zip(result.lines, result.jobs, strict=True)],
        "notImportable": [
            {"line": remark.line, "text": remark.text, "reason": remark.message}
            for remark in result.not_importable
        ],
        "notes": [{"line": remark.line, "note": remark.message} for remark in result.notes],
        "variables": result.variables,
    }
