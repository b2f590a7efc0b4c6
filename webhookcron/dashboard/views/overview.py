"""The first page: what fires, what fails, and whether the platform keeps up."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.services import services
from webhookcron.core.executions import ExecutionStatus
from webhookcron.dashboard.bars import columns, minutes
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.coming_hour import coming_hour
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.log_filters import GROUPS
from webhookcron.dashboard.state import dashboard
from webhookcron.service.activity import Activity
from webhookcron.service.execution_log import LogQuery
from webhookcron.service.job_queries import JobQuery

FAILURES_SHOWN = 6
JOBS_LOOKED_AT = 100

PERIODS = {"day": ("last24Hours", 24, 1), "week": ("last7Days", 168, 6)}
"""Period of the chart -> its name among the statistics, its hours, and the hours of one column."""

KINDS = ("success", "failed", "other")
"""What the columns of the chart are made of, from below."""


@blueprint.get("/")
@signed_in()
def overview(viewer: Viewer) -> Any:
    """The page."""
    chosen = request.args.get("period", "day")
    period = chosen if chosen in PERIODS else "day"
    name, hours, together = PERIODS[period]
    statistics = services().statistics.of(viewer.principal)
    activity = dashboard().activity.hours(viewer.principal, hours, together=together)
    drawn, top = columns([part.starts_at for part in activity], [_kinds(part) for part in activity], KINDS)
    now = dashboard().now()
    soonest = services().jobs.page(
        viewer.principal, JobQuery(limit=JOBS_LOOKED_AT, sort=(("nextRunAt", 1),), statuses=("active",))
    )
    hour = coming_hour(soonest.items, now)
    failures = services().executions.page(
        viewer.principal, LogQuery(statuses=GROUPS["failures"], limit=FAILURES_SHOWN)
    )
    return render_template(
        "dashboard/overview.html",
        now=now,
        statistics=statistics,
        period=period,
        figures=statistics.periods[name],
        columns=drawn,
        top=top,
        hour=hour,
        minutes=minutes([fire.at for fire in hour.fires], hour.starts_at),
        failures=failures.items,
        health=services().health.check(),
        punctuality=dashboard().activity.punctuality(viewer.principal),
    )


def _kinds(activity: Activity) -> dict[str, int]:
    """The counts of the chart: skipped and cancelled ones are others."""
    kinds = dict.fromkeys(KINDS, 0)
    for status, count in activity.counts.items():
        if status is ExecutionStatus.SUCCESS:
            kinds["success"] += count
        elif status.value in GROUPS["failures"]:
            kinds["failed"] += count
        else:
            kinds["other"] += count
    return kinds
