"""The same thing done with many jobs: a part at a time, so that the page can show how far it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import request

from webhookcron.api.services import services
from webhookcron.core.errors import WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.service.principals import Scope

AT_ONCE = 25
"""Jobs of one request."""

_JOB_ID = re.compile(r"[0-9a-f]{24}")

_SCOPES = {"pause": Scope.WRITE, "resume": Scope.WRITE, "delete": Scope.WRITE, "trigger": Scope.TRIGGER}


@blueprint.post("/jobs/bulk")
@signed_in()
def bulk(viewer: Viewer) -> Any:
    """Do `action` with the jobs `ids` (between commas); what became of each: {id: sentence, or null}."""
    action = request.form.get("action", "")
    ids = [job_id for job_id in request.form.get("ids", "").split(",") if _JOB_ID.fullmatch(job_id)]
    if action not in _SCOPES or not 0 < len(ids) <= AT_ONCE:
        return {"message": f"Name an action and 1 to {AT_ONCE} jobs."}, 422
    viewer.principal.require(_SCOPES[action])
    act = _ACTIONS[action]
    return {"results": {job_id: _tried(act, viewer, job_id) for job_id in ids}}


def _tried(act: Callable[[Viewer, str], Any], viewer: Viewer, job_id: str) -> str | None:
    try:
        act(viewer, job_id)
    except WebhookcronError as error:
        return sentence_of(error)[1]
    return None


_ACTIONS: dict[str, Callable[[Viewer, str], Any]] = {
    "pause": lambda viewer, job_id: services().jobs.pause(viewer.principal, job_id),
    "resume": lambda viewer, job_id: services().jobs.resume(viewer.principal, job_id),
    "delete": lambda viewer, job_id: services().jobs.delete(viewer.principal, job_id),
    "trigger": lambda viewer, job_id: services().executions.trigger(viewer.principal, job_id, None),
}
