"""YAML as JSON values with the line of each: what PyYAML parses, read by the YAML 1.2 core schema.

PyYAML itself follows YAML 1.1, where `on` is true, `2030-01-31` a date and `1:30` the number 90, and it lets the later
of two equal keys win in silence. Files of jobs hold what JSON can hold, and a key given twice is a mistake.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from webhookcron.manifests.errors import ManifestsWrong, Place, Problem

MAX_DEPTH = 64
MAX_VALUES = 500_000
"""Values of one file, aliases counted as often as they are used: more is no file of jobs but a trap."""

Path = tuple[str | int, ...]

_NULL, _BOOL, _INT, _FLOAT, _MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "merge")
)
_TEXT = "tag:yaml.org,2002:str"

# YAML 1.2.2, section 10.3.2 "Core Schema: Tag Resolution".
RESOLVERS: tuple[tuple[str, str, str], ...] = (
    (_NULL, r"~|null|Null|NULL|", "~nN\0"),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (_INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        _FLOAT,
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    # Of YAML 1.1, and too handy to miss.
    (_MERGE, r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in RESOLVERS:
    # An empty text has no first character; PyYAML looks it up under "".
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), [c.strip("\0") for c in _first])


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a file: JSON values, and the line (from 1) at which each begins, by its path."""

    value: Any
    lines: Mapping[Path, int] = field(repr=False)

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of what it would be in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str, file: str) -> list[YamlDocument]:
    """The documents in `text`, empty ones left out; `file` is its name in errors. Raises ManifestsWrong."""
    documents = []
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            reading = _Reading(loader, file)
            value = reading.value(node, ())
            if value is not None:
                documents.append(YamlDocument(value, reading.lines))
            if reading.problems:
                raise ManifestsWrong(reading.problems)
    except yaml.MarkedYAMLError as error:
        raise ManifestsWrong([_syntax_problem(error, text, file)]) from None
    except yaml.YAMLError as error:
        raise ManifestsWrong([Problem(Place(file), f"is not valid YAML: {error}")]) from None
    except RecursionError:
        raise ManifestsWrong([Problem(Place(file), f"is nested deeper than {MAX_DEPTH} levels")]) from None
    finally:
        loader.dispose()
    return documents


class _Reading:
    """Turns the nodes of one document into values."""

    def __init__(self, loader: _Loader, file: str) -> None:
        self._loader = loader
        self._file = file
        self._count = 0
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._count += 1
        if self._count > MAX_VALUES:
            raise ManifestsWrong([Problem(Place(self._file), f"holds more than {MAX_VALUES} values")])
        if len(path) > MAX_DEPTH:
            raise ManifestsWrong([self._problem(node, f"is nested deeper than {MAX_DEPTH} levels")])
        if isinstance(node, yaml.MappingNode):
            return dict(self._entries(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _entries(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(self._problem(key, "a name must be text"))
                continue
            first = first_lines.get(key.value)
            if first is not None:
                self.problems.append(
                    self._problem(key, f"{key.value!r} is given twice, first in line {first}")
                )
            first_lines.setdefault(key.value, key.start_mark.line + 1)
        # What `<<` brings comes first, so that the mapping's own entries win.
        self._loader.flatten_mapping(node)
        for key, inner in node.value:
            if isinstance(key, yaml.ScalarNode):
                inner_path = (*path, key.value)
                self.lines[inner_path] = key.start_mark.line + 1
                yield key.value, self.value(inner, inner_path)

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        if node.tag == _TEXT:
            return text
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return text.lower() == "true"
        try:
            if node.tag == _INT:
                return _whole_number(text)
            if node.tag == _FLOAT:
                number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
                if math.isfinite(number):
                    return number
        except ValueError:
            pass
        self.problems.append(
            self._problem(node, f"{text[:40]!r} is no value of JSON; quote it if it is meant as text")
        )
        return None

    def _problem(self, node: yaml.Node, message: str) -> Problem:
        return Problem(Place(self._file, node.start_mark.line + 1), message)


def _whole_number(text: str) -> int:
    if len(text) > 30:
        raise ValueError("too long")
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 0
    what = error.problem or error.context or "it cannot be read"
    lines = text.split("\n")
    # At the end of the text the parser may be on a line that is not there.
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    source = written.strip()
    after_colon = source.partition(":")[2].strip() or source.removeprefix("-").strip()
    if after_colon.startswith("*"):
        what += f'; text that begins with * must be quoted: "{after_colon}"'
    elif "${" in source and ("{" in source.replace("${", "") or "[" in source):
        what += '; inside {…} and […] a reference must be quoted: "${env:NAME}"'
    elif "\t" in written[:40]:
        what += "; indent by blanks, not by tabs"
    return Problem(Place(file, line), f"is not valid YAML: {what}")
