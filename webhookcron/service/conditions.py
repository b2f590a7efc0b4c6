"""Conditions that a caller sets for a change: If-Match (RFC 9110 section 13.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from webhookcron.core.errors import VersionConflict


@dataclass(frozen=True, slots=True)
class Condition:
    """Which versions of a job a change may replace.

    versions  None = any.
    given     False when the caller set no condition; a change then starts anew when another one came first.
    """

    versions: frozenset[int] | None = None
    given: bool = False

    def check(self, version: int) -> None:
        """Raise VersionConflict unless `version` may be replaced."""
        if self.versions is not None and version not in self.versions:
            raise VersionConflict(version)


UNCONDITIONAL = Condition()
