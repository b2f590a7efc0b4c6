"""Running past fire times: first what would run, then the runs."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.services import services
from webhookcron.core.jobs import Job
from webhookcron.core.schedules import resolve_wall_time
from webhookcron.core.zones import zone
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.form_text import wall_text
from webhookcron.dashboard.guard import Viewer, leave_notice, signed_in
from webhookcron.service.errors import Invalid
from webhookcron.service.executions import Backfill
from webhookcron.service.principals import Scope

SHOWN = 20
"""Fire times that are listed one by one."""


@blueprint.get("/jobs/<job_id:job_id>/backfill")
@signed_in(Scope.TRIGGER)
def backfill(viewer: Viewer, job_id: str) -> Any:
    """Ask for a range: the last day, unless changed."""
    job = services().jobs.get(viewer.principal, job_id)
    last = job.handled_through
    values = {
        "from": wall_text(last - timedelta(days=1), job.schedule.timezone),
        "to": wall_text(last, job.schedule.timezone),
    }
    return _page(job, values)


@blueprint.post("/jobs/<job_id:job_id>/backfill")
@signed_in(Scope.TRIGGER)
def run_backfill(viewer: Viewer, job_id: str) -> Any:
    """Show the fire times of the range; with `confirmed` make their executions.

    The form carries a key made with the list that was shown, so that sending it twice makes nothing twice.
    """
    job = services().jobs.get(viewer.principal, job_id)
    errors: dict[str, list[str]] = {}
    first, last = _moment("from", job, errors), _moment("to", job, errors)
    if first is None or last is None:
        return _page(job, request.form, errors=errors)
    confirmed = request.form.get("confirmed") == "on"
    try:
        found = services().executions.backfill(
            viewer.principal,
            job_id,
            first=first,
            last=last,
            dry_run=not confirmed,
            idempotency_key=request.form.get("key") or None,
        )
    except Invalid as error:
        return _page(job, request.form, errors=error.errors)
    if not confirmed:
        return _page(job, request.form, found)
    leave_notice(f"{len(found.executions)} executions are queued.")
    return redirect(url_for("dashboard.executions", job=job_id, trigger="backfill"))


def _moment(name: str, job: Job, errors: dict[str, list[str]]) -> datetime | None:
    text = request.form.get(name, "").strip()
    # What is shown to the second means the cursor itself, which may lie within that second.
    if name == "to" and text == wall_text(job.handled_through, job.schedule.timezone):
        return job.handled_through
    try:
        return resolve_wall_time(datetime.fromisoformat(text).replace(tzinfo=None), job.schedule.timezone)
    except (ValueError, OverflowError):
        errors[name] = ["must be a date and a time"]
        return None


def _page(
    job: Job, values: Any, found: Backfill | None = None, errors: dict[str, list[str]] | None = None
) -> Any:
    page = render_template(
        "dashboard/backfill.html",
        job=job,
        zone=zone(job.schedule.timezone),
        values=values,
        found=found,
        shown=SHOWN,
        key=secrets.token_urlsafe(16),
        errors=errors or {},
    )
    return page, 422 if errors else 200
