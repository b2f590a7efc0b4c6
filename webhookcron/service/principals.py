"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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


class Role(StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    """Everything, with everyone's jobs and accounts."""
    MEMBER = "member"
    """Everything with jobs and logs of their own; those of others do not exist for them."""
    VIEWER = "viewer"
    """Sees everyone's jobs and logs, changes nothing but their own account."""


ALL_SCOPES = frozenset(scope.value for scope in Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller of an operation, as authenticated."""

    user_id: str
    role: str
    """A word of `Role`."""
    scopes: frozenset[str]
    """All of them for a login."""
    key_id: str | None = None
    """The API key that was used; None for a login."""
    session_id: str | None = None
    """The login that was used; None for an API key."""
    expires_at: datetime | None = None
    """When the API key ends; None = it does not, or a login was used."""
    address: str | None = None
    """The network address that the request came from, where known."""

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless key and role allow `scope`."""
        self.require_scope(scope)
        if self.role == Role.VIEWER and scope is not Scope.READ:
            raise Forbidden("viewers may look at everything and change nothing")

    def require_scope(self, scope: Scope) -> None:
        """Raise Forbidden unless the key allows `scope`, whatever the role: for one's own account."""
        if scope.value not in self.scopes:
            raise Forbidden(f"this API key lacks the scope {scope.value!r}")

    def require_admin(self) -> None:
        """Raise Forbidden unless the caller is an admin."""
        if self.role != Role.ADMIN:
            raise Forbidden("only admins may do this")

    @property
    def owner_filter(self) -> str | None:
        """Whose resources the caller may address: None = everyone's, else those of this owner."""
        return None if self.role in (Role.ADMIN, Role.VIEWER) else self.user_id
