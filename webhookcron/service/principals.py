"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from webhookcron.service.errors import Forbidden


class Scope(StrEnum):
    """What an API key may be used for."""

    READ = "read"
    """See jobs and logs."""
    WRITE = "write"
    """Create, change and remove jobs; remove logs."""
    TRIGGER = "trigger"
    """Make executions: trigger, backfill, replay, cancel, test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller of an operation, as authenticated."""

    user_id: str
    role: str
    """admin, member or viewer."""
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless key and role allow `scope`."""
        if scope.value not in self.scopes:
            raise Forbidden(f"this API key lacks the scope {scope.value!r}")
        if self.role == "viewer" and scope is not Scope.READ:
            raise Forbidden("viewers may look at everything and change nothing")

    @property
    def owner_filter(self) -> str | None:
        """Whose resources the caller may address: None = everyone's, else those of this owner."""
        return None if self.role in ("admin", "viewer") else self.user_id
