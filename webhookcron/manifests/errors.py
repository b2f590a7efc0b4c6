"""What is wrong with files of jobs, each problem at its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from webhookcron.core.errors import WebhookcronError


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a file; `line` 0 = the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, as a sentence, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class ManifestsWrong(WebhookcronError):
    """Files of jobs cannot be used; `problems` tells everything that is wrong, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
