"""What the doctor says: one finding per thing looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and will hurt some day."""
    FAULT = "fault"
    """The platform does not work, or not dependably."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    about: str
    """What was looked at: the name of a setting, or a part of the platform."""
    message: str
    advice: str = ""
    """What to do about it; empty when nothing is to be done."""


def ok(about: str, message: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, about, message)


def warning(about: str, message: str, advice: str) -> Finding:
    """It works for now."""
    return Finding(Verdict.WARNING, about, message, advice)


def fault(about: str, message: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAULT, about, message, advice)
