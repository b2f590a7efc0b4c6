"""One execution with all its attempts."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.services import services
from webhookcron.core.errors import NotFound, WebhookcronError
from webhookcron.core.executions import Attempt, Execution
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.curl_command import curl_command
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, leave_notice, signed_in
from webhookcron.service.principals import Scope


@blueprint.get("/executions/<execution_id:execution_id>")
@signed_in()
def execution(viewer: Viewer, execution_id: str) -> Any:
    """The page; with `part=1` only what changes while the execution is under way."""
    found = services().executions.get(viewer.principal, execution_id)
    try:
        job = services().jobs.get(viewer.principal, found.job_id)
    except NotFound:
        job = None
    template = "_execution_state.html" if request.args.get("part") else "execution.html"
    return render_template(
        f"dashboard/{template}",
        execution=found,
        shown=_chosen(found),
        job=job,
        curl_command=lambda attempt: curl_command(attempt, None if job is None else job.request),
    )


def _chosen(found: Execution) -> Attempt | None:
    """The attempt that is shown in full: the one that the address names, else the last."""
    wanted = request.args.get("attempt")
    for attempt in found.attempts:
        if str(attempt.number) == wanted:
            return attempt
    return found.attempts[-1] if found.attempts else None


@blueprint.post("/executions/<execution_id:execution_id>/replay")
@signed_in(Scope.TRIGGER)
def replay_execution(viewer: Viewer, execution_id: str) -> Any:
    """Do it again, and show the new one."""
    try:
        made = services().executions.replay(viewer.principal, execution_id, None)
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
        return redirect(url_for("dashboard.execution", execution_id=execution_id))
    leave_notice("This is the replay: it runs as soon as a worker takes it.")
    return redirect(url_for("dashboard.execution", execution_id=made.id))


@blueprint.post("/executions/<execution_id:execution_id>/cancel")
@signed_in(Scope.TRIGGER)
def cancel_execution(viewer: Viewer, execution_id: str) -> Any:
    """End it before it runs, or before it runs again."""
    try:
        services().executions.cancel(viewer.principal, execution_id)
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        leave_notice("Cancelled.")
    return redirect(url_for("dashboard.execution", execution_id=execution_id))


@blueprint.post("/executions/<execution_id:execution_id>/delete")
@signed_in(Scope.WRITE)
def delete_execution(viewer: Viewer, execution_id: str) -> Any:
    """Remove it from the log."""
    try:
        services().executions.delete(viewer.principal, execution_id)
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
        return redirect(url_for("dashboard.execution", execution_id=execution_id))
    leave_notice("Removed from the log.")
    return redirect(url_for("dashboard.executions"))
