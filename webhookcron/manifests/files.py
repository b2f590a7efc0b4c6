"""Files of jobs, as written: found, read, and taken apart into one entry per job.

defaults:                     # optional: fields that every job of this file has unless it says otherwise
  timezone: Europe/Berlin
jobs:
  - key: weekly-report        # the name under which the platform knows it; unique over all files
    name: Weekly report
    cronExpression: "0 9 * * 1"
    webhookUrl: https://example.com/hooks/report
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from webhookcron.manifests.errors import ManifestsWrong, Place, Problem
from webhookcron.manifests.yaml_reading import Path, YamlDocument, read_yaml

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
"""Of the files that are read in a directory; JSON is YAML."""

STANDARD_INPUT = "-"
MAX_FILE_BYTES = 16 * 1024 * 1024

_TOP_LEVEL = ("defaults", "jobs")


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One job as a file has it: its fields, the file's defaults laid under, references not replaced."""

    key: str
    fields: Mapping[str, Any]
    file: str
    document: YamlDocument = field(repr=False)
    path: Path
    """Where the job is in the document."""

    @property
    def own_fields(self) -> Mapping[str, Any]:
        """The fields that stand with the job itself."""
        value = self.document.value
        for step in self.path:
            value = value[step]
        return dict(value)

    def place(self, path: Path = ()) -> Place:
        """Where the value at `path` in the fields stands, or what it would be in; defaults are where they are."""
        inherited = path and path[0] in self.fields and path[0] not in self.own_fields
        origin: Path = ("defaults",) if inherited else self.path
        return Place(self.file, self.document.line((*origin, *path)))


def read_entries(paths: Iterable[str]) -> list[JobEntry]:
    """The jobs of these files, and of the .yaml, .yml and .json files in and below these directories.

    `-` is standard input. Raises ManifestsWrong with everything that is wrong, keys given twice included.
    """
    problems: list[Problem] = []
    entries: list[JobEntry] = []
    for name, text in _texts(paths, problems):
        try:
            documents = read_yaml(text, name)
        except ManifestsWrong as error:
            problems += error.problems
            continue
        for document in documents:
            entries += _entries(document, name, problems)
    first: dict[str, JobEntry] = {}
    for entry in entries:
        earlier = first.setdefault(entry.key, entry)
        if earlier is not entry:
            problems.append(
                Problem(entry.place(("key",)), f"the key {entry.key!r} is taken in {earlier.place(('key',))}")
            )
    if problems:
        raise ManifestsWrong(problems)
    return entries


def _texts(paths: Iterable[str], problems: list[Problem]) -> Iterable[tuple[str, str]]:
    seen: set[FilePath] = set()
    for given in paths:
        if given == STANDARD_INPUT:
            yield "<stdin>", sys.stdin.read(MAX_FILE_BYTES)
            continue
        path = FilePath(given)
        if path.is_dir():
            files = sorted(_files_in(path))
            if not files:
                problems.append(Problem(Place(given), "holds no .yaml, .yml or .json file"))
        else:
            files = [path]
        for file in files:
            # Named twice, as by a directory and its file, is read once.
            if file.resolve() not in seen:
                seen.add(file.resolve())
                text = _text(file, problems)
                if text is not None:
                    yield str(file), text


def _files_in(directory: FilePath) -> Iterable[FilePath]:
    for parent, names, files in os.walk(directory):
        names[:] = [name for name in names if not name.startswith(".")]
        for file in files:
            if not file.startswith(".") and FilePath(file).suffix in SUFFIXES:
                yield FilePath(parent, file)


def _text(file: FilePath, problems: list[Problem]) -> str | None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            problems.append(Problem(Place(str(file)), f"is larger than {MAX_FILE_BYTES} bytes"))
            return None
        return content.decode("utf-8-sig")
    except OSError as error:
        problems.append(Problem(Place(str(file)), f"cannot be read: {os.strerror(error.errno or 0)}"))
    except UnicodeDecodeError:
        problems.append(Problem(Place(str(file)), "is no UTF-8 text"))
    return None


def _entries(document: YamlDocument, file: str, problems: list[Problem]) -> list[JobEntry]:
    def problem(path: Path, message: str) -> None:
        problems.append(Problem(Place(file, document.line(path)), message))

    top = document.value
    if not isinstance(top, dict) or "jobs" not in top:
        problem((), "must be a mapping with the list `jobs`, as docs/jobs-as-code.md shows")
        return []
    for name in top:
        if name not in _TOP_LEVEL:
            near = difflib.get_close_matches(name, _TOP_LEVEL, n=1)
            problem((name,), f"{name!r} is not known here{f'; did you mean {near[0]}?' if near else ''}")
    defaults = top.get("defaults") or {}
    if not isinstance(defaults, dict):
        problem(("defaults",), "defaults must be a mapping of fields")
        defaults = {}
    for name in ("key", "name"):
        if name in defaults:
            problem(("defaults", name), f"{name} cannot be a default: each job has its own")
    jobs = top["jobs"] if top["jobs"] is not None else []
    if not isinstance(jobs, list):
        problem(("jobs",), "jobs must be a list: begin each job with `- key: …`")
        return []
    found = []
    for index, fields in enumerate(jobs):
        path: Path = ("jobs", index)
        if not isinstance(fields, dict):
            problem(path, "each job must be a mapping of fields, beginning with `key: …`")
        elif not isinstance(fields.get("key"), str):
            problem((*path, "key"), "a job in a file needs a key, a text that stays the same")
        else:
            found.append(JobEntry(fields["key"], {**defaults, **fields}, file, document, path))
    return found
