"""`webhookcron stats`: how the jobs are doing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.connection import api_command, json_option
from webhookcron.cli.console import cell, console, moment_cell, print_json, progress_bar, status_cell, table

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient

SHOWN = 10


@click.command(short_help="Tell how the jobs are doing.")
@click.option("--tag", metavar="TAG", help="Only jobs with this tag.")
@json_option
@api_command
def stats(api: ApiClient, tag: str | None, as_json: bool) -> None:
    """Tell how the jobs are doing: counts by status, success rate, and the jobs in trouble.

    The success rate counts executions that ended success, failed or timeout since each job was created.

    \b
    Exit codes: 0 done; 1 the API could not tell; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import all_jobs

    with progress_bar("Reading jobs", quiet=as_json) as show:
        jobs = all_jobs(api, progress=show, **({} if tag is None else {"tag": tag}))
    summary = statistics(jobs)
    if as_json:
        print_json(summary)
        return
    screen = console()
    counts = ", ".join(f"{count} {status}" for status, count in summary["byStatus"].items()) or "none"
    rate = summary["successRate"]
    screen.print(cell(f"Jobs: {summary['jobs']} ({counts})", "bold"))
    screen.print(
        cell(
            f"Runs: {summary['totalRuns']:,}, {summary['failedRuns']:,} failed"
            + ("" if rate is None else f", {rate:.2%} success")
        )
    )
    now = api.now()
    if summary["inTrouble"]:
        screen.print(cell("In trouble", "bold red"))
        rows = [
            (
                cell(job["name"], "bold"),
                status_cell(job["status"]),
                cell(job["consecutiveFailures"]),
                status_cell(job["lastStatus"]),
                moment_cell(job["lastRunAt"], now),
                cell(job["id"], "dim"),
            )
            for job in summary["inTrouble"]
        ]
        columns = ("NAME", "STATUS", "FAILURES IN A ROW", "LAST", "LAST RUN (UTC)", "ID")
        screen.print(table(columns, rows, right=("FAILURES IN A ROW",)))
    if summary["next"]:
        screen.print(cell("Next", "bold"))
        upcoming = [
            (moment_cell(job["nextRunAt"], now), cell(job["name"], "bold")) for job in summary["next"]
        ]
        screen.print(table(("RUN (UTC)", "NAME"), upcoming))


def statistics(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over jobs as the API shows them, the jobs in trouble (worst first) and those that run next."""
    succeeded = sum(job["successfulRuns"] for job in jobs)
    failed = sum(job["failedRuns"] for job in jobs)
    ended = succeeded + failed
    fields = ("id", "key", "name", "status", "consecutiveFailures", "lastStatus", "lastRunAt", "nextRunAt")

    def shown(job: dict[str, Any]) -> dict[str, Any]:
        return {name: job[name] for name in fields}

    trouble = [job for job in jobs if job["consecutiveFailures"] > 0 or job["status"] == "disabled"]
    trouble.sort(key=lambda job: (-job["consecutiveFailures"], job["name"]))
    upcoming = sorted((job for job in jobs if job["nextRunAt"]), key=lambda job: job["nextRunAt"])
    return {
        "jobs": len(jobs),
        "byStatus": dict(sorted(Counter(job["status"] for job in jobs).items())),
        "totalRuns": sum(job["totalRuns"] for job in jobs),
        "successfulRuns": succeeded,
        "failedRuns": failed,
        "successRate": None if ended == 0 else succeeded / ended,
        "inTrouble": [shown(job) for job in trouble[:SHOWN]],
        "next": [shown(job) for job in upcoming[:SHOWN]],
    }
