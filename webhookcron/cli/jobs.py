"""`webhookcron jobs …`: look at jobs and act on them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from webhookcron.cli.connection import api_command, json_option
from webhookcron.cli.console import (
    cell,
    console,
    distance_cell,
    fits,
    is_interactive,
    moment_cell,
    print_json,
    progress_bar,
    status_cell,
    table,
)
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.cli.job_fields import job_fields, job_options

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient

POLL_SECONDS = 0.3

_job_argument = click.argument("job", help="Its id, key or name.")


@click.group(short_help="Look at jobs and act on them.")
def jobs() -> None:
    """Look at jobs and act on them. A job is named by its id, its key or its name."""


@jobs.command("list", short_help="List jobs.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["active", "paused", "completed", "disabled"]),
    help="Only jobs of this status; may be repeated.",
)
@click.option("--tag", metavar="TAG", help="Only jobs with this tag.")
@click.option(
    "--sort",
    metavar="FIELDS",
    default="name",
    show_default=True,
    help="createdAt, updatedAt, name, nextRunAt, lastRunAt; - before one = descending; several by commas.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many jobs.")
@json_option
@api_command
def list_(
    api: ApiClient,
    statuses: tuple[str, ...],
    tag: str | None,
    sort: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """List jobs: status, next and last run, and how many runs succeeded of those that ended.

    \b
    Exit codes: 0 done; 1 the API could not tell; 2 wrong options or settings.
    """
    filters: dict[str, Any] = {"sort": sort}
    if statuses:
        filters["status"] = ",".join(statuses)
    if tag is not None:
        filters["tag"] = tag
    found = []
    with progress_bar("Reading jobs", quiet=as_json) as show:
        for job in api.pages("/api/cron", filters, progress=show):
            found.append(job)
            if limit is not None and len(found) >= limit:
                break
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("No jobs.")
        return
    now = api.now()
    screen = console()
    made = _job_table(found, moment_cell, now, ("NEXT RUN (UTC)", "LAST RUN (UTC)"))
    screen.print(
        made if fits(screen, made) else _job_table(found, distance_cell, now, ("NEXT RUN", "LAST RUN"))
    )


def _job_table(
    found: list[dict[str, Any]],
    shown: Callable[[str | None, datetime], Text],
    now: datetime,
    heads: tuple[str, str],
) -> Table:
    rows = [
        (
            cell(job["name"], "bold"),
            cell(job["key"]),
            status_cell(job["status"]),
            cell(schedule_text(job)),
            shown(job["nextRunAt"], now),
            shown(job["lastRunAt"], now),
            status_cell(job["lastStatus"]),
            cell(f"{job['successfulRuns']}/{job['totalRuns']}"),
        )
        for job in found
    ]
    return table(("NAME", "KEY", "STATUS", "SCHEDULE", *heads, "LAST", "OK"), rows, right=("OK",))


@jobs.command(short_help="Show a job.")
@_job_argument
@json_option
@api_command
def show(api: ApiClient, job: str, as_json: bool) -> None:
    """Show a job: its definition, its state and its next fire times. Secrets are shown as ***.

    \b
    Exit codes: 0 done; 1 there is no such job, or the API could not tell; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import find_job

    found = find_job(api, job)
    if as_json:
        print_json(found)
        return
    upcoming = api.get(f"/api/cron/{found['id']}/next", {"count": 5})
    screen = console()
    head = Text.assemble((found["name"], "bold"), "  ", status_cell(found["status"]))
    if found["statusReason"]:
        head.append(f" ({found['statusReason']})", "dim")
    screen.print(head)
    screen.print(cell(upcoming["description"], "cyan"), soft_wrap=True)
    rows = [
        (cell(name, "dim"), cell(_value(value))) for name, value in found.items() if _worth_showing(value)
    ]
    screen.print(table(("", ""), rows), no_wrap=False)
    if upcoming["fireTimes"]:
        screen.print(Text("next fire times", style="bold"))
    for fire_time in upcoming["fireTimes"]:
        screen.print(cell(f"  {fire_time['local']}"))
    for change in upcoming["clockChanges"]:
        screen.print(cell(f"  {change['sentence']}", "yellow"), soft_wrap=True)


@jobs.command(short_help="Create a job.")
@job_options
@json_option
@api_command
def create(api: ApiClient, as_json: bool, **options: Any) -> None:
    """Create a job. It needs --name, --url and one of --cron, --every, --at and --in; or a JSON file with all of it.

    The signing secret is printed this once.

    \b
    Exit codes: 0 created; 1 the API refused it, and why; 2 wrong options or settings.
    """
    made = api.post("/api/cron", job_fields(options))
    if as_json:
        print_json(made)
        return
    click.echo(f"created {made['name']!r} ({made['id']}), next run {made['nextRunAt'] or 'none'}")
    if made.get("signingSecret"):
        click.echo(f"signing secret, shown this once: {made['signingSecret']}")


def _action(name: str, past: str, text: str) -> None:
    @jobs.command(
        name, short_help=text, help=f"{text}\n\n\b\nExit codes: 0 done; 1 refused; 2 wrong options."
    )
    @click.argument("names", nargs=-1, required=True, metavar="JOB...", help="Ids, keys or names.")
    @json_option
    @api_command
    def act(api: ApiClient, names: tuple[str, ...], as_json: bool) -> None:
        from webhookcron.client.jobs import find_job

        found = [find_job(api, called) for called in dict.fromkeys(names)]
        answers = [api.post(f"/api/cron/{job['id']}/{name}") for job in found]
        if as_json:
            print_json(answers)
            return
        for job in answers:
            upcoming = f", next run {job['nextRunAt']}" if job["nextRunAt"] else ""
            click.echo(f"{past} {job['name']!r} ({job['status']}{upcoming})")


_action("pause", "paused", "Stop the schedules of jobs.")
_action("resume", "resumed", "Let the schedules of paused or disabled jobs go on.")


@jobs.command(short_help="Run a job now.")
@_job_argument
@click.option("--wait", is_flag=True, help="Wait for the end, and end with 1 unless it is success.")
@json_option
@api_command
def trigger(api: ApiClient, job: str, wait: bool, as_json: bool) -> None:
    """Run a job now, whatever its schedule says.

    \b
    Exit codes: 0 queued, or with --wait: success; 1 refused, or it ended otherwise; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import find_job

    found = find_job(api, job)
    execution = api.post(f"/api/cron/{found['id']}/trigger")["execution"]
    if wait:
        execution = _awaited(api, execution["id"], quiet=as_json)
    if as_json:
        print_json(execution)
    else:
        detail = _outcome(execution) if wait else "queued"
        click.echo(f"{execution['id']}: {detail}")
    if wait and execution["status"] != "success":
        raise click.exceptions.Exit(1)


@jobs.command(short_help="Delete jobs.")
@click.argument("names", nargs=-1, required=True, metavar="JOB...", help="Ids, keys or names.")
@click.option("--delete-logs", is_flag=True, help="Remove their execution logs, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@api_command
def delete(api: ApiClient, names: tuple[str, ...], delete_logs: bool, yes: bool) -> None:
    """Delete jobs; their queued and retrying executions are cancelled.

    \b
    Exit codes: 0 deleted; 1 refused or declined; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import find_job

    found = [find_job(api, called) for called in dict.fromkeys(names)]
    if not yes:
        if not is_interactive():
            raise WrongSetting("nobody is there to confirm this: add --yes")
        if not click.confirm(f"Delete {', '.join(repr(job['name']) for job in found)}?"):
            raise CommandFailed("nothing was deleted")
    for job in found:
        parameters = {"deleteLogs": "true"} if delete_logs else {}
        api.send("DELETE", f"/api/cron/{job['id']}", parameters=parameters)
        click.echo(f"deleted {job['name']!r}")


@jobs.command("rotate-secret", short_help="Give a job a new signing secret.")
@_job_argument
@click.option(
    "--keep-old",
    type=click.IntRange(0, 720),
    default=24,
    show_default=True,
    metavar="HOURS",
    help="Hours for which the old secret signs beside the new one.",
)
@json_option
@api_command
def rotate_secret(api: ApiClient, job: str, keep_old: int, as_json: bool) -> None:
    """Give a job a new signing secret, printed this once.

    \b
    Exit codes: 0 done; 1 refused; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import find_job

    found = find_job(api, job)
    body = {"expireOldAfterMs": keep_old * 3_600_000}
    # Not repeated by itself: each repetition would make one more secret.
    answer = api.send("POST", f"/api/cron/{found['id']}/secret/rotate", body=body).json()
    if as_json:
        print_json(answer)
    else:
        click.echo(answer["signingSecret"])


def schedule_text(job: dict[str, Any]) -> str:
    """The schedule of a job in a few characters."""
    if job["cronExpression"]:
        text = job["cronExpression"]
    elif job["interval"]:
        plural = "s" if job["intervalValue"] != 1 else ""
        text = f"every {job['intervalValue']} {job['interval']}{plural}"
    else:
        # A moment is in UTC whatever the zone of the job, as the other moments of the list are.
        return f"once {datetime.fromisoformat(job['runAt']):%Y-%m-%d %H:%M:%S} UTC"
    return text if job["timezone"] == "UTC" else f"{text} {job['timezone']}"


def _awaited(api: ApiClient, execution_id: str, *, quiet: bool) -> dict[str, Any]:
    from webhookcron.core.executions import FINAL_STATUSES

    told = 0
    with progress_bar("Waiting for the end", quiet=quiet):
        while True:
            execution = api.get(f"/api/execution-logs/{execution_id}")
            if execution["status"] in FINAL_STATUSES:
                return execution
            if execution["nextAttemptAt"] and execution["attemptCount"] > told:
                # It may be a quarter of an hour away: whoever waits is to know for what.
                told = execution["attemptCount"]
                click.echo(f"{_outcome(execution)}; the next one at {execution['nextAttemptAt']}", err=True)
            time.sleep(POLL_SECONDS)


def _outcome(execution: dict[str, Any]) -> str:
    parts = [execution["status"]]
    if execution["responseStatus"] is not None:
        parts.append(f"HTTP {execution['responseStatus']}")
    if execution["error"]:
        parts.append(execution["error"]["message"])
    if execution["reason"]:
        parts.append(execution["reason"])
    attempts = execution["attemptCount"]
    parts.append(f"{attempts} attempt{'s' * (attempts != 1)}")
    return ", ".join(parts)


def _worth_showing(value: Any) -> bool:
    return value not in (None, "", [], {})


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
