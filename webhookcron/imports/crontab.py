"""crontab files as jobs: lines that call curl or wget; the rest is listed with the reason (crontab(5))."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any

from crontab import CronItem, CronTab

from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.core.zones import zone
from webhookcron.imports.commands import import_command
from webhookcron.imports.errors import NotImportable, RunsAnotherProgram
from webhookcron.imports.names import key_of, name_of_request

_VARIABLE = re.compile(r"""\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""", re.DOTALL)
_CALLS = re.compile(r"\b(?:curl|wget)\b")
_CALL = re.compile(r"(?:\S*/)?(?:curl|wget)")
# The line that names the columns, as every distribution's /etc/crontab has it.
_COLUMN_HEADS = re.compile(r"\bdom\b.*\bdow\b|^[-+|*. ]*$")
_PROSE_LENGTH = 80

_ENVIRONMENT_NOTES = {
    "MAILTO": "output was mailed to {value}; give the jobs alerts instead",
    "MAILFROM": "it names the sender of mails; jobs send none",
    "PATH": "jobs call URLs and run no programs, so it is not needed",
    "SHELL": "jobs run no shell, so it is not needed",
    "HOME": "jobs run no programs, so it is not needed",
    "RANDOM_DELAY": "it delays every line by up to {value} minutes; give the jobs jitterMs instead",
    "TZ": "it is the zone of the commands, not of the schedule, and was not used; CRON_TZ or --timezone name that",
}

# Its messages about lines that are none repeat what the report says.
logging.getLogger("crontab").addHandler(logging.NullHandler())
logging.getLogger("crontab").propagate = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to say about a line of the file (from 1)."""

    line: int
    text: str
    """The line, secrets included: for the terminal of the person who has the file."""
    message: str


@dataclass(slots=True)
class CrontabImport:
    """What a crontab became."""

    jobs: list[dict[str, Any]] = field(default_factory=list)
    """Fields of a file of jobs, key, name and schedule included, in the order of the lines."""
    lines: list[int] = field(default_factory=list)
    """Where each job came from."""
    not_importable: list[Remark] = field(default_factory=list)
    notes: list[Remark] = field(default_factory=list)
    """What is done differently, or was left out."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables that the jobs refer to, with what each holds, in words."""


def import_crontab(text: str, *, timezone: str, system: bool = False) -> CrontabImport:
    """The jobs of the crontab `text`, whose schedules are on the clock of `timezone` unless CRON_TZ says otherwise.

    `system`: each line has a user before its command, as /etc/crontab and files of /etc/cron.d have. Raises ValueError
    for an unknown zone.
    """
    zone(timezone)
    return _Importer(timezone, system).run(text)


class _Importer:
    def __init__(self, timezone: str, system: bool) -> None:
        self._timezone = timezone
        self._system = system
        self._tab = CronTab(user=False if system else None, tab="")
        self._variables: dict[str, str] = {}
        self._result = CrontabImport()
        self._comment: str | None = None

    def run(self, text: str) -> CrontabImport:
        for number, line in enumerate(text.splitlines(), 1):
            self._line(number, line.strip())
        return self._result

    def _line(self, number: int, line: str) -> None:
        if not line:
            self._comment = None
        elif line.startswith("#"):
            self._comment_line(number, line)
        elif not re.match(r"[0-9*@]", line) and (variable := _VARIABLE.fullmatch(line)):
            self._variable(number, line, variable[2], variable[3])
        else:
            self._entry(number, line)
            self._comment = None

    def _comment_line(self, number: int, line: str) -> None:
        words = line.lstrip("#").strip()
        item = CronItem.from_line(line, cron=self._tab)
        if item.is_valid() and _CALLS.search(words):
            self._refuse(number, line, "it is commented out")
        else:
            self._comment = None if _COLUMN_HEADS.search(words) else words[:_PROSE_LENGTH] or None

    def _variable(self, number: int, line: str, name: str, value: str) -> None:
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if name == "CRON_TZ":
            try:
                zone(value)
            except ValueError as error:
                self._result.notes.append(
                    Remark(number, line, f"{error} The lines below use {self._timezone}.")
                )
                return
            # cronie's crontab(5): it holds for the lines below it.
            self._timezone = value
            return
        self._variables[name] = value
        note = _ENVIRONMENT_NOTES.get(name)
        if note is not None and value:
            self._result.notes.append(Remark(number, line, note.format(value=value)))

    def _entry(self, number: int, line: str) -> None:
        try:
            expression, command = self._parts(line)
            comment = self._comment
            taken = [job["key"] for job in self._result.jobs]
            prefix = key_of(comment, taken) if comment else f"line-{number}"
            imported = import_command(command, prefix=prefix, variables=self._variables)
            self._check_schedule(expression)
        except NotImportable as error:
            self._refuse(number, line, f"{error}{self._hint(error)}")
            return
        name = comment or name_of_request(imported.fields["webhookUrl"])
        job = {
            "key": key_of(name, taken),
            "name": name,
            "cronExpression": expression,
            "timezone": self._timezone,
            **imported.fields,
        }
        self._result.jobs.append(job)
        self._result.lines.append(number)
        self._result.notes += [Remark(number, line, note) for note in imported.notes]
        for variable, meaning in imported.variables.items():
            self._result.variables.setdefault(variable, f"{meaning} in line {number}")

    def _hint(self, error: NotImportable) -> str:
        if (
            self._system
            or not isinstance(error, RunsAnotherProgram)
            or not _CALL.fullmatch(error.follows or "")
        ):
            return ""
        return f"; if {error.program} is a user, as in /etc/crontab, import with --system"

    def _parts(self, line: str) -> tuple[str, str]:
        """The schedule as written, and the command, of a line."""
        count = 1 if line.startswith("@") else 5
        words = line.split(None, count)
        item = CronItem.from_line(line, cron=self._tab)
        if len(line.split()) <= count + self._system:
            raise NotImportable("it is no line of a crontab" + (" with a user" if self._system else ""))
        if not item.is_valid():
            raise NotImportable("its schedule is not one that crontab(5) describes")
        if words[0].lower() == "@reboot":
            raise NotImportable("it runs when the machine starts (@reboot), which is no schedule")
        if item.stdin:
            raise NotImportable("it has standard input: an unescaped % (crontab(5))")
        command = item.command
        if item.comment:
            # What looks like a comment may be inside of quotes; the reader of shell words can tell.
            command = f"{command} # {item.comment}"
        return " ".join(words[:count]), command

    def _check_schedule(self, expression: str) -> None:
        try:
            Schedule(type=ScheduleType.CRON, cron_expression=expression, timezone=self._timezone)
        except ValueError as error:
            raise NotImportable(f"its schedule: {error}") from None

    def _refuse(self, number: int, line: str, reason: str) -> None:
        self._result.not_importable.append(Remark(number, line, reason))
