"""`webhookcron logs`: the execution log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from webhookcron.cli.connection import api_command, json_option
from webhookcron.cli.console import cell, console, print_json, status_cell, table
from webhookcron.cli.errors import WrongSetting
from webhookcron.core.executions import ExecutionStatus, Trigger

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient

STATUSES = tuple(status.value for status in ExecutionStatus)
TRIGGERS = tuple(trigger.value for trigger in Trigger)

COLUMNS = ("SCHEDULED AT (UTC)", "STATUS", "HTTP", "TOOK", "TRIES", "JOB", "TRIGGER", "WHAT")


@click.command(short_help="Show the execution log, and follow it.")
@click.argument("job", required=False, help="Id, key or name of a job; without it, all jobs.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(STATUSES),
    help="Only executions of this status; may be repeated.",
)
@click.option(
    "--trigger",
    "triggers",
    multiple=True,
    type=click.Choice(TRIGGERS),
    help="Only executions made by this; may be repeated.",
)
@click.option("--from", "start", metavar="MOMENT", help="Fire times from this moment on (RFC 3339).")
@click.option("--to", "end", metavar="MOMENT", help="Fire times before this moment.")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=20, show_default=True, help="The latest so many."
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--poll-ms",
    type=click.IntRange(100, 60_000),
    default=1000,
    show_default=True,
    help="How often to look when following.",
)
@json_option
@api_command
def logs(
    api: ApiClient,
    job: str | None,
    statuses: tuple[str, ...],
    triggers: tuple[str, ...],
    start: str | None,
    end: str | None,
    limit: int,
    follow: bool,
    poll_ms: int,
    as_json: bool,
) -> None:
    """Show the execution log, the latest at the end. `--follow` goes on: a line whenever an execution moves on.

    With --json it is one array; when following, one object per line. Backfills and replays of fire times more than ten
    minutes before the start of following are not seen by it.

    \b
    Exit codes: 0 done, or ended by Ctrl-C; 1 the API could not tell; 2 wrong options or settings.
    """
    from webhookcron.client.follow import LogFollower
    from webhookcron.client.jobs import find_job

    if follow and end is not None:
        raise WrongSetting("--follow goes on without end: leave --to out")
    path = "/api/execution-logs"
    if job is not None:
        path += f"/job/{find_job(api, job)['id']}"
    parameters: dict[str, Any] = {}
    if triggers:
        parameters["trigger"] = ",".join(triggers)
    listing = dict(parameters)
    if statuses:
        listing["status"] = ",".join(statuses)
    listing |= {name: value for name, value in (("from", start), ("to", end)) if value is not None}
    latest = list(reversed(_latest(api, path, listing, limit)))
    if not follow:
        if as_json:
            print_json(latest)
        elif latest:
            console().print(
                table(COLUMNS, [_cells(execution) for execution in latest], right=("HTTP", "TOOK", "TRIES"))
            )
        else:
            click.echo("No executions.")
        return
    follower = LogFollower(api, path, parameters, started_at=api.now())
    # Everything there already counts as shown, also what `--limit` left out.
    follower.look()
    for execution in latest:
        _print_line(execution, as_json)
    try:
        while True:
            for execution in follower.look():
                if not statuses or execution["status"] in statuses:
                    _print_line(execution, as_json)
            time.sleep(poll_ms / 1000)
    except KeyboardInterrupt:
        return


def _latest(api: ApiClient, path: str, parameters: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        more = {"cursor": cursor} if cursor is not None else {}
        page = api.get(path, {**parameters, **more, "limit": min(100, limit - len(found))})
        found += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    return found


def _print_line(execution: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(execution, ensure_ascii=False))
        return
    scheduled, status, http, ms, tries, name, trigger, what = _cells(execution)
    status.pad_right(max(0, 9 - len(status)))
    line = Text("  ").join([scheduled, status, name, trigger, http, ms, tries, what])
    console().print(line, soft_wrap=True)


def _cells(execution: dict[str, Any]) -> tuple[Text, ...]:
    duration = execution["durationMs"]
    return (
        cell(execution["scheduledAt"].replace("T", " ").removesuffix("Z")),
        status_cell(execution["status"]),
        cell(execution["responseStatus"]),
        cell(None if duration is None else f"{duration} ms"),
        cell(execution["attemptCount"]),
        cell(execution["jobName"], "bold"),
        cell(execution["trigger"], "dim"),
        cell(_what(execution)),
    )


def _what(execution: dict[str, Any]) -> str:
    if execution["reason"]:
        count = execution["skippedCount"]
        return f"{execution['reason']} ({count} fire times)" if count else str(execution["reason"])
    if execution["error"]:
        return str(execution["error"]["message"])
    body = (execution["responseBody"] or "").strip()
    return body if len(body) <= 60 else body[:59] + "…"
