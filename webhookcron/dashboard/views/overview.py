"""The first page: what fires, what fails, and whether the platform keeps up."""

from __future__ import annotations

from typing import Any

from flask import render_template

from webhookcron.api.services import services
from webhookcron.dashboard.bars import minutes
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.coming_hour import coming_hour
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.log_filters import GROUPS
from webhookcron.dashboard.state import dashboard
from webhookcron.service.executions import LogQuery
from webhookcron.service.job_queries import JobQuery

FAILURES_SHOWN = 6
JOBS_LOOKED_AT = 100


@blueprint.get("/")
@signed_in()
def overview(viewer: Viewer) -> Any:
    """The page."""
    now = dashboard().now()
    soonest = services().jobs.page(
        viewer.principal, JobQuery(limit=JOBS_LOOKED_AT, sort=(("nextRunAt", 1),), statuses=("active",))
    )
    hour = coming_hour(soonest.items, now)
    any_job = soonest.total or services().jobs.page(viewer.principal, JobQuery(limit=1)).total
    failures = services().executions.page(
        viewer.principal, LogQuery(statuses=GROUPS["failures"], limit=FAILURES_SHOWN)
    )
    return render_template(
        "dashboard/overview.html",
        now=now,
        hour=hour,
        minutes=minutes([fire.at for fire in hour.fires], hour.starts_at),
        any_job=any_job,
        failures=failures.items,
        health=services().health.check(),
    )
