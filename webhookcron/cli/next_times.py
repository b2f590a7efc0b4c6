"""`webhookcron next`: when a cron expression fires. Needs no platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.text import Text

from webhookcron.cli.connection import json_option
from webhookcron.cli.console import cell, console, duration_words, print_json, table
from webhookcron.cli.errors import WrongSetting

MAX_COUNT = 1000
WARNED_DAYS = 366


@click.command(name="next", short_help="Show when a cron expression fires.")
@click.argument("expression", metavar="CRON", help="Five or six fields in quotes, or a macro such as @daily.")
@click.option("--tz", "timezone", metavar="ZONE", default="UTC", show_default=True, help="The time zone.")
@click.option(
    "--count", type=click.IntRange(1, MAX_COUNT), default=10, show_default=True, help="How many fire times."
)
@click.option(
    "--from", "start", metavar="MOMENT", help="After this moment (RFC 3339 with offset); now unless given."
)
@json_option
def next_times(expression: str, timezone: str, count: int, start: str | None, as_json: bool) -> None:
    """Show when a cron expression fires, in words and moments, and which clock changes touch it within a year.

    Nothing is asked of the platform: its own rules are in this program.

    \b
    Exit codes: 0 done; 2 the expression, the zone or an option is wrong.
    """
    from webhookcron.core.clock_changes import clock_change_notes
    from webhookcron.core.schedule_words import describe
    from webhookcron.core.schedules import Schedule, ScheduleType, next_fire_times

    after = _moment(start) if start is not None else datetime.now(UTC)
    try:
        schedule = Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=timezone)
        found = next_fire_times(expression, timezone, after, count)
    except ValueError as error:
        raise WrongSetting(str(error)) from None
    notes = clock_change_notes(schedule, after, after + timedelta(days=WARNED_DAYS))
    if as_json:
        answer: dict[str, Any] = {
            "description": describe(schedule),
            "timezone": timezone,
            "fireTimes": [
                {"utc": _utc(moment), "local": moment.isoformat(timespec="seconds")} for moment in found
            ],
            "clockChanges": [
                {"at": _utc(note.at), "effect": note.effect.value, "sentence": note.sentence}
                for note in notes
            ],
        }
        print_json(answer)
        return
    screen = console()
    screen.print(Text(describe(schedule), style="bold"), soft_wrap=True)
    rows = [
        (
            cell(f"{moment:%a}"),
            cell(moment.isoformat(" ", "seconds")),
            cell(_utc(moment), "dim"),
            cell(_gap(earlier, moment), "dim"),
        )
        for earlier, moment in zip([None, *found], found, strict=False)
    ]
    screen.print(table(("", timezone, "UTC", "AFTER"), rows))
    for note in notes:
        screen.print(cell(f"⚠ {note.sentence}", "yellow"), soft_wrap=True)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        raise WrongSetting(
            f"--from must be a moment with its offset, such as 2030-01-31T09:00:00Z, not {text!r}"
        )
    return moment


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _gap(earlier: datetime | None, moment: datetime) -> str:
    # Of one zone, Python would subtract wall times.
    return "" if earlier is None else duration_words(moment.astimezone(UTC) - earlier.astimezone(UTC))
