"""The audit trail: who did what, when, from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from webhookcron.core.errors import StoreUnavailable
from webhookcron.core.jobs import Job
from webhookcron.service.platform import Platform, stored_now
from webhookcron.service.principals import Principal
from webhookcron.storage.audit import AuditEntry, AuditFilter, AuditStore, new_entry_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of the trail."""

    items: list[AuditEntry]
    page: int
    """From 1."""
    limit: int
    total: int


class AuditTrail:
    """Writes and lists what was done."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._store = AuditStore(platform.database)
        self._retention = timedelta(days=platform.settings.audit_retention_days)

    def record(
        self,
        principal: Principal | None,
        action: str,
        *,
        resource_id: str | None = None,
        resource_name: str | None = None,
        address: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that `principal` (None = nobody known, at `address`) did `action`.

        What is noted has happened already, so nothing is raised when MongoDB is away: the log then has the entry.
        """
        now = stored_now(self._platform.clock)
        entry = AuditEntry(
            id=new_entry_id(),
            at=now,
            user_id=principal.user_id if principal else None,
            key_id=principal.key_id if principal else None,
            address=principal.address if principal else address,
            action=action,
            resource_id=resource_id,
            resource_name=resource_name,
            details=dict(details or {}),
        )
        try:
            self._store.add(entry, expire_at=now + self._retention)
        except StoreUnavailable as error:
            log.error(
                "audit.lost",
                did=action,
                user_id=entry.user_id,
                key_id=entry.key_id,
                address=entry.address,
                resource_id=resource_id,
                error=str(error),
            )

    def record_job(self, principal: Principal, action: str, job: Job, **details: Any) -> None:
        """Note what was done to a job."""
        if job.owner_id != principal.user_id:
            details["ownerId"] = job.owner_id
        self.record(principal, action, resource_id=job.id, resource_name=job.name, details=details)

    def page(self, principal: Principal, which: AuditFilter, *, page: int, limit: int) -> AuditPage:
        """A page of the trail, the latest first. Raises Forbidden unless the caller is an admin, StoreUnavailable."""
        principal.require_admin()
        items, total = self._store.list(which, skip=(page - 1) * limit, limit=limit)
        return AuditPage(items, page, limit, total)
