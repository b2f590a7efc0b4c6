"""A shell command line as the fields of a job: the call that it makes, and what its surroundings mean for a job."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from webhookcron.imports.curl import curl_request
from webhookcron.imports.errors import NotImportable, RunsAnotherProgram
from webhookcron.imports.requests import ImportedRequest, finished, marked, request_fields
from webhookcron.imports.shell_words import Command, Line, read_line
from webhookcron.imports.wget import wget_request

_TOOLS: Mapping[str, Callable[[list[str]], ImportedRequest]] = {"curl": curl_request, "wget": wget_request}

_NOTHING = frozenset({"true", ":"})
"""Commands that do nothing: `… || true` only hides a failure, which the job's log shows."""

_SECRET_VARIABLE = re.compile(r"(?i)token|secret|pass|key|auth|credential")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(slots=True)
class ImportedCommand:
    """What a command became."""

    fields: dict[str, Any]
    """Of the request, and of policies where the command had some; not name, key and schedule."""
    notes: list[str]
    """What is done differently, a sentence each."""
    variables: dict[str, str]
    """The environment variables that the fields refer to, with what each holds, in words."""


@dataclass(slots=True)
class _References:
    """Names for what must not be written down."""

    prefix: str
    known: Mapping[str, str]
    found: dict[str, str] = field(default_factory=dict)

    def of_secret(self, what: str, _value: str) -> str:
        name = re.sub(r"[^A-Z0-9]+", "_", f"{self.prefix}_{what}".upper()).strip("_")
        name = name if not name[:1].isdigit() else f"JOB_{name}"
        self.found[name] = f"the {what} of the command"
        return marked(name)

    def of_variable(self, name: str) -> str:
        if name in self.known and not _SECRET_VARIABLE.search(name):
            return self.known[name]
        self.found[name] = f"the variable {name} of the command"
        return marked(name)


def import_command(
    text: str, *, prefix: str = "JOB", variables: Mapping[str, str] | None = None
) -> ImportedCommand:
    """The job that does what the command line `text` does, a call of curl or wget.

    Secrets become references to environment variables whose names begin with `prefix`; `$NAME` becomes its value in
    `variables`, or a reference where it has none or sounds like a secret. Raises NotImportable.
    """
    references = _References(prefix, variables or {})
    line = read_line(text.strip(), references.of_variable)
    notes: list[str] = []
    command = _single_command(line, notes)
    _check_redirections(command, notes)
    words = list(command.words)
    policies: dict[str, Any] = {}
    while words and (unwrap := _WRAPPERS.get(PurePosixPath(words[0]).name)):
        words = unwrap(words[1:], policies, notes)
    if words and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", words[0], re.DOTALL):
        raise NotImportable("it sets a variable for its command")
    tool = PurePosixPath(words[0]).name if words else ""
    if tool not in _TOOLS:
        raise RunsAnotherProgram(tool or "nothing", words[1] if len(words) > 1 else None)
    request = _TOOLS[tool](words[1:])
    request.timeout_seconds = request.timeout_seconds or policies.pop("timeout_seconds", None)
    policies.pop("timeout_seconds", None)
    fields = request_fields(request, references.of_secret)
    return ImportedCommand({**finished(fields), **policies}, [*notes, *request.notes], references.found)


def _single_command(line: Line, notes: list[str]) -> Command:
    commands = [command for command in line.commands if command.words or command.redirections]
    operators = [operator for operator in line.operators if operator not in ("&", "\n", ";")]
    if not commands:
        raise NotImportable("it is empty")
    first, *others = commands
    for operator in operators:
        if operator in ("|", "|&"):
            raise NotImportable("it hands the response to another command (|)")
        if operator in ("(", ")"):
            raise NotImportable("it runs commands in a subshell")
    if "||" in operators and others and all(set(other.words) <= _NOTHING for other in others):
        return first
    if others:
        raise NotImportable("it runs more than one command")
    if "&" in line.operators:
        notes.append("it ran in the background (&); jobs always do")
    return first


def _check_redirections(command: Command, notes: list[str]) -> None:
    for operator, target in command.redirections:
        if "<" in operator:
            raise NotImportable("it reads its standard input from elsewhere (<)")
        if target not in ("/dev/null", "1", "2", "&1", "&2", "-"):
            notes.append(
                f"its output went to {target}; the execution log keeps the beginning of each response"
            )


def _unwrap_timeout(words: list[str], policies: dict[str, Any], notes: list[str]) -> list[str]:
    """timeout(1): `timeout [options] DURATION COMMAND`."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-k", "-s", "--kill-after", "--signal") and rest:
            rest.pop(0)
    duration = _DURATION.fullmatch(rest.pop(0)) if rest else None
    if duration is None:
        raise NotImportable("its timeout has no duration")
    policies["timeout_seconds"] = float(duration[1]) * _SECONDS[duration[2]]
    return rest


def _unwrap_nice(words: list[str], policies: dict[str, Any], notes: list[str]) -> list[str]:
    """nice(1) and ionice(1): priorities mean nothing to a webhook."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-n", "-c", "--adjustment", "--class", "--classdata") and rest:
            rest.pop(0)
    return rest


def _unwrap_flock(words: list[str], policies: dict[str, Any], notes: list[str]) -> list[str]:
    """flock(1): `flock [options] FILE COMMAND`; with -n a second run gives up, else it waits."""
    rest = list(words)
    skips = False
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        skips = skips or option in ("-n", "--nonblock", "--nb")
        if option in ("-w", "--timeout", "-E", "--conflict-exit-code") and rest:
            rest.pop(0)
        if option in ("-c", "--command"):
            raise NotImportable("it runs its command by a shell (flock -c)")
    if not rest:
        raise NotImportable("its flock names no file")
    rest.pop(0)
    policies["overlapPolicy"] = "skip" if skips else "queue"
    notes.append(f"its flock became overlapPolicy: {policies['overlapPolicy']}")
    return rest


def _unwrap_sudo(words: list[str], policies: dict[str, Any], notes: list[str]) -> list[str]:
    """sudo(8): which user made the call means nothing to a webhook."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in ("-i", "--login", "-s", "--shell"):
            raise NotImportable(f"it runs its command by a shell (sudo {option})")
        if option in ("--user", "--group") or re.fullmatch(r"-[AbEHknPS]*[ug]", option):
            del rest[:1]
        elif not re.fullmatch(r"-[AbEHknPS]*([ug].+)?|--(user|group)=.*|--[a-z-]+", option):
            raise NotImportable(f"the option {option} of its sudo is not known here")
    return rest


def _unwrap_plain(words: list[str], policies: dict[str, Any], notes: list[str]) -> list[str]:
    """Programs whose arguments are the command, and which change nothing about the call."""
    return list(words)


_WRAPPERS: Mapping[str, Callable[[list[str], dict[str, Any], list[str]], list[str]]] = {
    "timeout": _unwrap_timeout,
    "nice": _unwrap_nice,
    "ionice": _unwrap_nice,
    "flock": _unwrap_flock,
    "sudo": _unwrap_sudo,
    "chronic": _unwrap_plain,
    "exec": _unwrap_plain,
    "nohup": _unwrap_plain,
}
