"""`webhookcron simulate`: what load all jobs would make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from webhookcron.cli.connection import api_command, json_option
from webhookcron.cli.console import cell, console, print_json, progress_bar, table
from webhookcron.cli.errors import WrongSetting

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient
    from webhookcron.simulation.load import Load, SimulatedJob
    from webhookcron.simulation.offsets import Suggestion

DEFAULT_HOURS = 24
BARS = " ▁▂▃▄▅▆▇█"

_UNSEEN = ("auth", "headers", "secretHeaders", "signingSecret")
"""Fields that load does not depend on, and that may need secrets which are not at hand."""


@click.command(short_help="Show the load that all jobs would make.")
@click.option("--from", "start", metavar="MOMENT", help="Start of the range (RFC 3339); now unless given.")
@click.option("--to", "end", metavar="MOMENT", help="End of the range; a day after the start unless given.")
@click.option(
    "-f",
    "--file",
    "files",
    metavar="PATH",
    multiple=True,
    help="Jobs of files instead of those of the platform.",
)
@click.option("--top", type=click.IntRange(1, 100), default=10, show_default=True, help="Rows of each table.")
@json_option
@api_command
def simulate(
    api: ApiClient, start: str | None, end: str | None, files: tuple[str, ...], top: int, as_json: bool
) -> None:
    """Show the load that all active jobs would make: per minute, per host, peaks, and minutes that would spread it.

    Fire times are computed, nothing is called. Retries and manual runs are not in it. With --file the platform is not
    needed. Suggested minutes are derived from each job's key, so that they stay the same.

    \b
    Exit codes: 0 done; 1 the API could not tell; 2 the range is too long, or files, options or settings are wrong.
    """
    from webhookcron.simulation.load import RangeTooLong
    from webhookcron.simulation.load import simulate as simulated
    from webhookcron.simulation.offsets import suggested_offsets, with_suggestions

    first = _moment("--from", start) if start is not None else api.now()
    last = _moment("--to", end) if end is not None else first + timedelta(hours=DEFAULT_HOURS)
    jobs = _jobs_of_files(files, first) if files else _jobs_of_api(api, quiet=as_json)
    try:
        with progress_bar("Simulating", quiet=as_json) as show:
            load = simulated(jobs, first, last, top=top, progress=show)
            suggestions = suggested_offsets(jobs, load)
            try:
                spread = simulated(with_suggestions(jobs, suggestions), first, last, top=1, progress=show)
            except RangeTooLong:
                # Jobs that shared fire times no longer do: more work than the first time.
                spread = None
    except (RangeTooLong, ValueError) as error:
        raise WrongSetting(str(error)) from None
    if as_json:
        print_json(_load_json(load, suggestions, spread))
    else:
        _print(load, suggestions, spread, top)


def _jobs_of_api(api: ApiClient, *, quiet: bool) -> list[SimulatedJob]:
    from webhookcron.client.jobs import all_jobs
    from webhookcron.manifests.definitions import job_of_resource
    from webhookcron.simulation.load import SimulatedJob

    with progress_bar("Reading jobs", quiet=quiet) as show:
        resources = all_jobs(api, progress=show, status="active")
    found = []
    for resource in resources:
        job = job_of_resource(resource)
        found.append(
            SimulatedJob(
                label=job.key or job.name,
                seed=job.key or job.id,
                host=job.host,
                schedule=job.schedule,
                jitter_ms=resource["jitterMs"],
            )
        )
    return found


def _jobs_of_files(files: tuple[str, ...], now: datetime) -> list[SimulatedJob]:
    from webhookcron.core.jobs import host_of
    from webhookcron.manifests.definitions import desired_job
    from webhookcron.manifests.errors import ManifestsWrong, Problem
    from webhookcron.manifests.files import read_entries
    from webhookcron.simulation.load import SimulatedJob

    found: list[SimulatedJob] = []
    problems: list[Problem] = []
    for entry in read_entries(files):
        seen = {name: value for name, value in entry.fields.items() if name not in _UNSEEN}
        try:
            job = desired_job(
                replace(entry, fields=seen),
                None,
                environ=_Environment(os.environ),
                default_timezone="UTC",
                now=now,
            )
        except ManifestsWrong as error:
            problems += error.problems
            continue
        if job.shown["isActive"] is not False:
            found.append(
                SimulatedJob(
                    label=job.key,
                    seed=job.key,
                    host=host_of(job.definition.request.url),
                    schedule=job.definition.schedule,
                    jitter_ms=job.definition.policies.jitter_ms,
                )
            )
    if problems:
        raise ManifestsWrong(problems)
    return found


class _Environment(dict[str, str]):
    """The environment, with a text for every variable: what is not set need not be, for this."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"unset-{name.lower().replace('_', '-')}"


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise WrongSetting(
            f"{option} must be a moment with its offset, such as 2030-01-31T09:00:00Z, not {text!r}"
        )
    return moment.astimezone(UTC)


def _print(load: Load, suggestions: list[Suggestion], spread: Load | None, top: int) -> None:
    screen = console()
    screen.print(
        Text.assemble(
            (f"{load.total:,} executions", "bold"),
            f" of {load.jobs} jobs from {load.start:%Y-%m-%d %H:%M} to {load.end:%Y-%m-%d %H:%M %Z}: ",
            (f"{load.total / load.minutes:.1f} a minute", "bold"),
            ", at most ",
            (f"{load.peak:,}", "bold red" if load.peak > 2 * load.total / load.minutes else "bold"),
        ),
        soft_wrap=True,
    )
    if not load.total:
        return
    minutes = load.by_minute_of_hour()
    screen.print(Text.assemble("by minute of the hour  ", (_bars(minutes), "cyan"), "  :00 to :59"))
    screen.print(Text.assemble("by hour of the day     ", (_bars(load.by_hour_of_day()), "cyan"), "  UTC"))
    screen.print(
        f"at the full hour: {minutes[0]:,} executions, {minutes[0] / load.total:.0%} of all (1/60 would be 2%)"
    )
    if load.fullest_instant is not None:
        moment, jobs = load.fullest_instant
        screen.print(f"in one second: up to {jobs} jobs at once, first at {moment:%Y-%m-%d %H:%M:%S}")
    rows = [
        (
            cell(f"{peak.minute:%a %Y-%m-%d %H:%M}"),
            cell(f"{peak.executions:,}", "bold"),
            cell(", ".join(f"{host} {count:,}" for host, count in peak.hosts)),
        )
        for peak in load.peaks
    ]
    screen.print()
    screen.print(table(("FULLEST MINUTES (UTC)", "RUNS", "MOST TO"), rows, right=("RUNS",)))
    hosts = [
        (
            cell(host.host, "bold"),
            cell(host.jobs),
            cell(f"{host.executions:,}"),
            cell(f"{host.peak:,}"),
            cell(f"{host.peak_minute:%Y-%m-%d %H:%M}", "dim"),
        )
        for host in load.hosts[:top]
    ]
    screen.print()
    screen.print(
        table(
            ("HOST", "JOBS", "RUNS", "PEAK A MINUTE", "AT (UTC)"),
            hosts,
            right=("JOBS", "RUNS", "PEAK A MINUTE"),
        )
    )
    if suggestions:
        _print_suggestions(load, suggestions, spread, top)


def _print_suggestions(load: Load, suggestions: list[Suggestion], spread: Load | None, top: int) -> None:
    screen = console()
    screen.print()
    screen.print(
        Text(
            f"Minutes of their own for {len(suggestions)} jobs "
            + (
                "would spread them (how far, only a shorter range can tell):"
                if spread is None
                else f"would bring the peak from {load.peak:,} to {spread.peak:,} a minute:"
            ),
            style="bold",
        ),
        soft_wrap=True,
    )
    rows = [
        (
            cell(suggestion.job.label, "bold"),
            cell(suggestion.job.schedule.cron_expression, "red"),
            cell("→", "dim"),
            cell(suggestion.expression, "green"),
        )
        for suggestion in suggestions[:top]
    ]
    screen.print(table(("JOB", "NOW", "", "SUGGESTED"), rows))
    if len(suggestions) > top:
        screen.print(f"… and {len(suggestions) - top} more (--top, --json)")


def _bars(counts: list[int]) -> str:
    highest = max(counts) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // highest)] for count in counts)


def _load_json(load: Load, suggestions: list[Suggestion], spread: Load | None) -> Mapping[str, Any]:
    return {
        "from": _utc(load.start),
        "to": _utc(load.end),
        "jobs": load.jobs,
        "executions": load.total,
        "meanPerMinute": load.total / load.minutes,
        "peakPerMinute": load.peak,
        "atFullHour": load.by_minute_of_hour()[0],
        "fullestSecond": None
        if load.fullest_instant is None
        else {"at": _utc(load.fullest_instant[0]), "jobs": load.fullest_instant[1]},
        "byMinuteOfHour": load.by_minute_of_hour(),
        "byHourOfDay": load.by_hour_of_day(),
        "peaks": [
            {
                "minute": _utc(peak.minute),
                "executions": peak.executions,
                "hosts": [{"host": host, "executions": count} for host, count in peak.hosts],
            }
            for peak in load.peaks
        ],
        "hosts": [
            {
                "host": host.host,
                "jobs": host.jobs,
                "executions": host.executions,
                "peakPerMinute": host.peak,
                "peakMinute": _utc(host.peak_minute),
            }
            for host in load.hosts
        ],
        "perMinute": [
            {"minute": _utc(minute), "executions": executions}
            for minute, executions in load.per_minute.items()
        ],
        "suggestions": [
            {
                "job": suggestion.job.label,
                "cronExpression": suggestion.job.schedule.cron_expression,
                "suggested": suggestion.expression,
            }
            for suggestion in suggestions
        ],
        "peakPerMinuteWithSuggestions": None if spread is None else spread.peak,
    }


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
