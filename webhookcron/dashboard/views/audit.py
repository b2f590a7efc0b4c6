"""Who did what, for admins."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.services import services
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_filters import page_number
from webhookcron.storage.audit import AuditFilter

PER_PAGE = 50


@blueprint.get("/audit")
@signed_in()
def audit(viewer: Viewer) -> Any:
    """One page of the trail."""
    which = AuditFilter(
        user_id=request.args.get("user") or None,
        action=request.args.get("action") or None,
        resource_id=request.args.get("resource") or None,
    )
    found = services().audit.page(viewer.principal, which, page=page_number(request.args), limit=PER_PAGE)
    return render_template(
        "dashboard/audit.html",
        page=found,
        pages=max(1, -(-found.total // found.limit)),
        names=services().users.names(
            viewer.principal, [entry.user_id for entry in found.items if entry.user_id]
        ),
        filters=request.args,
        filtered=any(request.args.get(name) for name in ("user", "action", "resource")),
    )
