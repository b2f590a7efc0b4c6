"""What is done with a job by a button: pause, resume, run, copy, delete, a new signing secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import redirect, request, url_for

from webhookcron.api.services import services
from webhookcron.core.errors import WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, leave_notice, signed_in
from webhookcron.dashboard.safe_paths import local_path
from webhookcron.service.principals import Scope

OVERLAPS = {"0": timedelta(0), "1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
"""How long an old signing secret may go on signing."""


@blueprint.post("/jobs/<job_id:job_id>/pause")
@signed_in(Scope.WRITE)
def pause_job(viewer: Viewer, job_id: str) -> Any:
    """Stop the schedule."""
    return _done(job_id, lambda: services().jobs.pause(viewer.principal, job_id), "Paused.")


@blueprint.post("/jobs/<job_id:job_id>/resume")
@signed_in(Scope.WRITE)
def resume_job(viewer: Viewer, job_id: str) -> Any:
    """Go on with the schedule."""
    return _done(job_id, lambda: services().jobs.resume(viewer.principal, job_id), "Resumed.")


@blueprint.post("/jobs/<job_id:job_id>/trigger")
@signed_in(Scope.TRIGGER)
def trigger_job(viewer: Viewer, job_id: str) -> Any:
    """Run it now, and show the execution."""
    execution = services().executions.trigger(viewer.principal, job_id, None)
    leave_notice("Queued: it runs as soon as a worker takes it.")
    return redirect(url_for("dashboard.execution", execution_id=execution.id))


@blueprint.post("/jobs/<job_id:job_id>/clone")
@signed_in(Scope.WRITE)
def clone_job(viewer: Viewer, job_id: str) -> Any:
    """Make another one like it, paused, and open it for editing."""
    job = services().jobs.clone(viewer.principal, job_id, {})
    secret = job.request.signing_secrets[0].secret if job.request.signing else ""
    leave_notice(f"This is the copy, “{job.name}”. It is paused until you resume it.", secret=secret)
    return redirect(url_for("dashboard.edit_job", job_id=job.id))


@blueprint.post("/jobs/<job_id:job_id>/delete")
@signed_in(Scope.WRITE)
def delete_job(viewer: Viewer, job_id: str) -> Any:
    """Remove it, and its log if that is wanted."""
    job = services().jobs.get(viewer.principal, job_id)
    services().jobs.delete(viewer.principal, job_id, delete_logs=request.form.get("delete_logs") == "on")
    leave_notice(f"Deleted “{job.name}”.")
    return redirect(url_for("dashboard.jobs"))


@blueprint.post("/jobs/<job_id:job_id>/secret")
@signed_in(Scope.WRITE)
def rotate_secret(viewer: Viewer, job_id: str) -> Any:
    """Sign with another secret; the page shows it once."""
    overlap = OVERLAPS.get(request.form.get("expire_old_after", ""), OVERLAPS["24h"])
    try:
        job = services().jobs.rotate_secret(viewer.principal, job_id, expire_old_after=overlap)
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        leave_notice("There is a new signing secret.", secret=job.request.signing_secrets[0].secret)
    return redirect(url_for("dashboard.job", job_id=job_id))


def _done(job_id: str, act: Any, sentence: str) -> Any:
    try:
        act()
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        leave_notice(sentence)
    back = local_path(request.form.get("back")) or url_for("dashboard.job", job_id=job_id)
    return redirect(back)
