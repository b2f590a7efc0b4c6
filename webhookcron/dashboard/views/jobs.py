"""The list of jobs."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.services import services
from webhookcron.core.jobs import JobStatus
from webhookcron.core.schedules import ScheduleType
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_filters import SORTS, job_query
from webhookcron.dashboard.state import dashboard


@blueprint.get("/jobs")
@signed_in()
def jobs(viewer: Viewer) -> Any:
    """One page of the list."""
    query = job_query(request.args)
    page = services().jobs.page(viewer.principal, query)
    return render_template(
        "dashboard/jobs.html",
        page=page,
        pages=max(1, -(-page.total // page.limit)),
        recent=dashboard().recent_runs.of_jobs(page.items),
        filtered=any(name in request.args for name in ("q", "status", "type", "tag")),
        filters=request.args,
        statuses=[status.value for status in JobStatus],
        types=[type_.value for type_ in ScheduleType],
        sorts=SORTS,
    )
