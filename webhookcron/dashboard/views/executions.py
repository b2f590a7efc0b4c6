"""The list of executions."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.cursors import cursor_at
from webhookcron.api.services import services
from webhookcron.core.errors import NotFound
from webhookcron.core.executions import ExecutionStatus, Trigger
from webhookcron.core.jobs import Job
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.log_filters import log_query
from webhookcron.dashboard.template_tools import viewer_zone
from webhookcron.service.errors import Invalid
from webhookcron.service.execution_log import LogPage
from webhookcron.service.live_log import cursor_of

_FILTERS = ("status", "trigger", "job", "from", "to")


@blueprint.get("/executions")
@signed_in()
def executions(viewer: Viewer) -> Any:
    """One page of the list; the first one is kept up to date by a script."""
    query = log_query(request.args, viewer_zone())
    try:
        page, problem = services().executions.page(viewer.principal, query), None
    except Invalid as error:
        page, problem = LogPage([], more=False), sentence_of(error)[1]
    return render_template(
        "dashboard/executions.html",
        executions=page.items,
        older=None if page.next_after is None else cursor_at(page.next_after),
        live_cursor=cursor_of(page.items) if query.after is None and problem is None else None,
        problem=problem,
        filters=request.args,
        filtered=any(request.args.get(name) for name in _FILTERS),
        job=_job(viewer, query.job_id),
        statuses=[status.value for status in ExecutionStatus],
        triggers=[trigger.value for trigger in Trigger],
    )


def _job(viewer: Viewer, job_id: str | None) -> Job | None:
    if job_id is None:
        return None
    try:
        return services().jobs.get(viewer.principal, job_id)
    except NotFound:
        return None
