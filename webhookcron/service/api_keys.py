"""API keys as their owners see and make them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from webhookcron.core.errors import NotFound
from webhookcron.service.audit import AuditTrail
from webhookcron.service.errors import Conflict, Forbidden, Invalid
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.api_keys import ApiKey

MOST_KEYS = 100
"""Of one account."""


class ApiKeyService:
    """What users do with their own API keys. Every method may raise StoreUnavailable."""

    def __init__(self, platform: Platform, audit: AuditTrail) -> None:
        self._platform = platform
        self._keys = platform.api_keys
        self._audit = audit

    def list(self, principal: Principal) -> list[ApiKey]:
        """The caller's keys, the newest first."""
        return self._keys.list(principal.user_id, limit=MOST_KEYS + 1)

    def get(self, principal: Principal, key_id: str) -> ApiKey:
        """A key of the caller. Raises NotFound."""
        found = self._keys.get(key_id, owner_id=principal.user_id)
        if found is None:
            raise NotFound(key_id)
        return found

    def create(
        self, principal: Principal, *, name: str, scopes: Sequence[str], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """A new key of the caller, and the key itself, which cannot be had again.

        Raises Forbidden when it could do more, or for longer, than the key it is asked for with; Invalid; Conflict
        when there are `MOST_KEYS` already.
        """
        lacking = sorted(set(scopes) - principal.scopes)
        if lacking:
            raise Forbidden(f"a key cannot give scopes that it lacks itself: {', '.join(lacking)}")
        if principal.expires_at is not None and (expires_at is None or expires_at > principal.expires_at):
            raise Forbidden("a key cannot make one that outlives it: set expiresAt")
        now = stored_now(self._platform.clock)
        if expires_at is not None and expires_at <= now:
            raise Invalid({"expires_at": ["must lie in the future"]})
        if len(self.list(principal)) >= MOST_KEYS:
            raise Conflict(f"this account has {MOST_KEYS} keys: remove one first")
        key_id, key = self._keys.create(
            principal.user_id, name, tuple(scopes), now=now, expires_at=expires_at
        )
        self._audit.record(
            principal, "key.create", resource_id=key_id, resource_name=name, details={"scopes": list(scopes)}
        )
        made = ApiKey(
            id=key_id,
            owner_id=principal.user_id,
            name=name,
            role=principal.role,
            scopes=tuple(scopes),
            created_at=now,
            expires_at=expires_at,
        )
        return made, key

    def remove(self, principal: Principal, key_id: str) -> None:
        """Remove a key of the caller, who may remove the one in use. Raises NotFound."""
        removed = self._keys.remove(key_id, owner_id=principal.user_id)
        if removed is None:
            raise NotFound(key_id)
        self._audit.record(principal, "key.remove", resource_id=key_id, resource_name=removed)
