"""One job: what it does, and how it fared."""

from __future__ import annotations

from typing import Any

from flask import render_template

from webhookcron.api.services import services
from webhookcron.dashboard.bars import run_bars, sparkline
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_form_values import payload_text
from webhookcron.dashboard.state import dashboard
from webhookcron.dashboard.template_tools import clipped
from webhookcron.service.definition_fields import definition_fields
from webhookcron.service.execution_log import LogQuery

NEXT_SHOWN = 6
RUNS_DRAWN = 60
LATEST_SHOWN = 10


@blueprint.get("/jobs/<job_id:job_id>")
@signed_in()
def job(viewer: Viewer, job_id: str) -> Any:
    """The page."""
    found = services().jobs.get(viewer.principal, job_id)
    runs = dashboard().recent_runs.of_jobs([found], RUNS_DRAWN)[found.id]
    latest = services().executions.page(viewer.principal, LogQuery(job_id=found.id, limit=LATEST_SHOWN))
    return render_template(
        "dashboard/job.html",
        job=found,
        fields=definition_fields(found),
        payload=clipped(payload_text(found)),
        preview=services().previews.of_job(viewer.principal, job_id, count=NEXT_SHOWN),
        bars=run_bars(runs),
        line=sparkline([run.duration_ms for run in reversed(runs) if run.duration_ms is not None]),
        latest=latest.items,
    )
