"""`webhookcron replay`: repeat finished executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.connection import api_command, json_option
from webhookcron.cli.console import (
    cell,
    console,
    is_interactive,
    print_json,
    progress_bar,
    status_cell,
    table,
)
from webhookcron.cli.errors import CommandFailed, WrongSetting

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient

AT_ONCE = 1000
"""So many the API repeats in one request."""

SHOWN = 20

_FINAL = ("success", "failed", "timeout", "skipped", "cancelled")


@click.command(short_help="Repeat finished executions.")
@click.argument("executions", nargs=-1, metavar="[EXECUTION]...", help="Ids of executions.")
@click.option(
    "--from", "start", metavar="MOMENT", help="Instead of ids: fire times from this moment on (RFC 3339)."
)
@click.option("--to", "end", metavar="MOMENT", help="Fire times before this moment; now unless given.")
@click.option("--job", metavar="JOB", help="Only this job: id, key or name.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(_FINAL),
    help="Only executions that ended so; failed and timeout unless given; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be repeated.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@api_command
def replay(
    api: ApiClient,
    executions: tuple[str, ...],
    start: str | None,
    end: str | None,
    job: str | None,
    statuses: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Repeat finished executions, with their jobs as they are now.

    Either single ones by id, or with --from all that ended failed or timeout since then.

    \b
    Exit codes: 0 queued; 1 refused or declined; 2 wrong options or settings.
    """
    if bool(executions) == (start is not None):
        raise WrongSetting("give either ids of executions, or --from")
    if executions:
        if end or job or statuses or dry_run:
            raise WrongSetting("--to, --job, --status and --dry-run go with --from")
        _tell(_by_id(api, executions, quiet=as_json), as_json)
        return
    body = _filter(api, start, end, job, statuses)
    preview = api.post("/api/execution-logs/replay", {**body, "dryRun": True})
    found = preview["executions"]
    if dry_run or not found:
        _show(preview, as_json)
        return
    if not yes:
        if as_json or not is_interactive():
            raise WrongSetting("nobody is there to confirm this: add --yes, or --dry-run to see it only")
        _show(preview, as_json)
        if not click.confirm("Repeat them?"):
            raise CommandFailed("nothing was repeated")
    _tell(_matching(api, body, preview, quiet=as_json), as_json)


def _by_id(api: ApiClient, ids: tuple[str, ...], *, quiet: bool) -> list[dict[str, Any]]:
    made = []
    with progress_bar("Repeating", quiet=quiet) as show:
        for number, execution_id in enumerate(dict.fromkeys(ids), 1):
            made.append(api.post(f"/api/execution-logs/{execution_id}/replay")["execution"])
            show(number, len(ids))
    return made


def _filter(
    api: ApiClient, start: str | None, end: str | None, job: str | None, statuses: tuple[str, ...]
) -> dict[str, Any]:
    from webhookcron.client.jobs import find_job

    body: dict[str, Any] = {
        "from": start,
        # Fixed, so that what is repeated meanwhile does not match.
        "to": end or api.now().isoformat().replace("+00:00", "Z"),
        "limit": AT_ONCE,
    }
    if job is not None:
        body["jobId"] = find_job(api, job)["id"]
    if statuses:
        body["status"] = list(statuses)
    return body


def _matching(
    api: ApiClient, body: dict[str, Any], preview: dict[str, Any], *, quiet: bool
) -> list[dict[str, Any]]:
    """Repeat what matches, a thousand at a time from the latest back."""
    made: list[dict[str, Any]] = []
    with progress_bar("Repeating", quiet=quiet) as show:
        while preview["executions"]:
            made += api.post("/api/execution-logs/replay", body)["executions"]
            show(len(made), len(made) + AT_ONCE * preview["more"])
            if not preview["more"]:
                break
            # Those of the earliest fire time of the batch may continue in the next one; the rest lies before it.
            earliest = min(execution["scheduledAt"] for execution in preview["executions"])
            if earliest == body["to"]:
                raise CommandFailed(
                    f"{len(made)} were repeated; further ones share the fire time {earliest}: narrow by --job"
                )
            body = {**body, "to": earliest}
            preview = api.post("/api/execution-logs/replay", {**body, "dryRun": True})
    return made


def _show(preview: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(preview)
        return
    more = "+" if preview["more"] else ""
    count = preview["count"]
    click.echo(f"{count}{more} execution{'s' * (count != 1)} would be repeated.")
    rows = [
        (
            cell(execution["scheduledAt"]),
            status_cell(execution["status"]),
            cell(execution["jobName"], "bold"),
            cell(execution["id"], "dim"),
        )
        for execution in preview["executions"][:SHOWN]
    ]
    if rows:
        console().print(table(("SCHEDULED AT", "STATUS", "JOB", "ID"), rows))
    if preview["count"] > SHOWN:
        click.echo(f"… and {preview['count'] - SHOWN}{more} more")


def _tell(made: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    click.echo(f"queued {len(made)} replay{'s' * (len(made) != 1)}")
    for execution in made[:SHOWN]:
        click.echo(f"  {execution['id']} {execution['jobName']} {execution['scheduledAt']}")
