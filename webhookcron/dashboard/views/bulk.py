"""The same thing done with many jobs: a part at a time, so that the page can show how far it is."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from webhookcron.api.services import services
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_filters import job_query
from webhookcron.service.bulk import BulkAction
from webhookcron.service.principals import Scope

AT_ONCE = 100
"""Jobs of one request."""

ACTIONS = {
    "pause": (BulkAction.DEACTIVATE, Scope.WRITE),
    "resume": (BulkAction.ACTIVATE, Scope.WRITE),
    "delete": (BulkAction.DELETE, Scope.WRITE),
    "trigger": (BulkAction.TRIGGER, Scope.TRIGGER),
}
"""Words of the page -> what is done, and what one must be allowed for it."""

_JOB_ID = re.compile(r"[0-9a-f]{24}")


@blueprint.get("/jobs/matching")
@signed_in()
def matching_jobs(viewer: Viewer) -> Any:
    """The ids of all jobs that the list shows on all its pages, at most 10,000."""
    ids, more = services().bulk.select(viewer.principal, job_query(request.args))
    return {"ids": ids, "more": more}


@blueprint.post("/jobs/bulk")
@signed_in()
def bulk(viewer: Viewer) -> Any:
    """Do `action` with the jobs `ids` (between commas); what became of each: {id: sentence, or null}."""
    ids = [job_id for job_id in request.form.get("ids", "").split(",") if _JOB_ID.fullmatch(job_id)]
    known = ACTIONS.get(request.form.get("action", ""))
    if known is None or not 0 < len(ids) <= AT_ONCE:
        return {"message": f"Name an action and 1 to {AT_ONCE} jobs."}, 422
    action, scope = known
    viewer.principal.require(scope)
    items = services().bulk.run(viewer.principal, action, ids)
    return {
        "results": {item.id: None if item.error is None else sentence_of(item.error)[1] for item in items}
    }
