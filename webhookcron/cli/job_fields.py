"""The options that describe a new job, and the fields that they make."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from webhookcron.cli.errors import WrongSetting

_EVERY = re.compile(r"\s*(\d{1,10})?\s*(second|minute|hour|day|week|month|year|s|m|min|h|d|w)s?\s*", re.ASCII)
_UNITS = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}
_IN = re.compile(r"\s*(\d{1,10})\s*(ms|(?:second|minute|hour|day|week|s|m|min|h|d|w)s?)\s*", re.ASCII)
_MILLISECONDS = {
    "ms": 1, "second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000,
}  # fmt: skip

MAX_FILE_BYTES = 1024 * 1024

_OPTIONS = (
    click.option("--name", metavar="NAME", help="What it is called."),
    click.option("--url", metavar="URL", help="The URL to call."),
    click.option("--cron", metavar="EXPRESSION", help="A cron expression of five or six fields."),
    click.option("--every", metavar="INTERVAL", help="An interval, such as '5 minutes', 90s or 'month'."),
    click.option("--at", metavar="MOMENT", help="Once, at this moment, such as 2030-01-31T09:00:00Z."),
    click.option("--in", "delay", metavar="DURATION", help="Once, so long from now, such as 30s, 10m or 2h."),
    click.option("--tz", "timezone", metavar="ZONE", help="The time zone of the schedule."),
    click.option("--method", metavar="METHOD", help="POST unless given."),
    click.option("--payload", metavar="JSON", help="The body: JSON, or any text with --content-type."),
    click.option("--content-type", metavar="TYPE", help="Of the payload."),
    click.option(
        "-H", "--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="A request header."
    ),
    click.option("--key", metavar="KEY", help="Your own name for it, unique among your jobs."),
    click.option("--tag", "tags", metavar="TAG", multiple=True, help="A label; may be repeated."),
    click.option("--paused", is_flag=True, help="Create it paused."),
    click.option(
        "-f",
        "--file",
        type=click.File(encoding="utf-8"),
        help="A JSON file (- = standard input) with the fields of the job; options are laid over it.",
    ),
)


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a job."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def job_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the API for these options. Raises WrongSetting."""
    fields = _file_fields(options.get("file"))
    for option, name in (
        ("name", "name"),
        ("url", "webhookUrl"),
        ("cron", "cronExpression"),
        ("at", "runAt"),
        ("timezone", "timezone"),
        ("method", "method"),
        ("content_type", "contentType"),
        ("key", "key"),
    ):
        if options.get(option) is not None:
            fields[name] = options[option]
    if options.get("every") is not None:
        fields["interval"], fields["intervalValue"] = interval_of(options["every"])
    if options.get("delay") is not None:
        fields["delayMs"] = delay_ms_of(options["delay"])
    if options.get("payload") is not None:
        fields["payload"] = _payload(options["payload"], fields.get("contentType"))
    if options.get("headers"):
        fields["headers"] = dict(_header(text) for text in options["headers"])
    if options.get("tags"):
        fields["tags"] = list(options["tags"])
    if options.get("paused"):
        fields["isActive"] = False
    return fields


def interval_of(text: str) -> tuple[str, int]:
    """Unit and value of `5 minutes`, `90s` or `month`. Raises WrongSetting."""
    match = _EVERY.fullmatch(text.lower())
    if match is None:
        raise WrongSetting(f"--every must be like '5 minutes', 90s or month, not {text!r}")
    return _UNITS.get(match[2], match[2]), int(match[1] or 1)


def delay_ms_of(text: str) -> int:
    """Milliseconds of `30s`, `10m` or `2h`. Raises WrongSetting."""
    match = _IN.fullmatch(text.lower())
    if match is None:
        raise WrongSetting(f"--in must be like '10 minutes', 500ms, 30s, 2h or 1d, not {text!r}")
    unit = match[2] if match[2] in ("ms", "s") else match[2].removesuffix("s")
    return int(match[1]) * _MILLISECONDS[_UNITS.get(unit, unit)]


def _file_fields(file: Any) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        fields = json.loads(file.read(MAX_FILE_BYTES))
    except ValueError as error:
        raise WrongSetting(f"{file.name} is not valid JSON: {error}") from None
    if not isinstance(fields, dict):
        raise WrongSetting(f"{file.name} must hold a JSON object with the fields of a job")
    return fields


def _payload(text: str, content_type: str | None) -> Any:
    if content_type is not None and "json" not in content_type:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise WrongSetting(
            f"--payload is not valid JSON ({error}); for other text give --content-type, such as text/plain"
        ) from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise WrongSetting(f"--header must be like 'X-Team: billing', not {text!r}")
    return name.strip(), value.strip()
