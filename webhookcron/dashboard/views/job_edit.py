"""Making and changing a job by a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.job_schemas import CreateJobSchema
from webhookcron.api.services import services
from webhookcron.core.errors import KeyTaken, VersionConflict
from webhookcron.core.jobs import Job
from webhookcron.core.zones import zone_names
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.form_errors import FormErrors
from webhookcron.dashboard.form_labels import label_of
from webhookcron.dashboard.guard import Viewer, leave_notice, signed_in
from webhookcron.dashboard.job_form import JobForm, loaded
from webhookcron.dashboard.job_form_choices import ADVANCED_FIELDS, CHOICES, CRON_EXAMPLES
from webhookcron.dashboard.job_form_values import moments_of, payload_of, values_of_job, values_of_new_job
from webhookcron.dashboard.state import dashboard
from webhookcron.dashboard.template_tools import viewer_zone_name
from webhookcron.service.conditions import Condition
from webhookcron.service.errors import Invalid
from webhookcron.service.principals import Scope


@blueprint.get("/jobs/new")
@signed_in(Scope.WRITE)
def new_job(viewer: Viewer) -> Any:
    """The empty form."""
    return _page(values_of_new_job(viewer_zone_name()), FormErrors())


@blueprint.post("/jobs/new")
@signed_in(Scope.WRITE)
def create_job(viewer: Viewer) -> Any:
    """Make the job, or show the form again with what is wrong."""
    form = JobForm(request.form)
    values = loaded(CreateJobSchema(), form.definition(), form.errors)
    if not form.errors:
        try:
            job = services().jobs.create(viewer.principal, values)
        except Invalid as error:
            form.errors.take_invalid(error)
        except KeyTaken:
            form.errors.add("key", "is already used by another job")
        else:
            secret = job.request.signing_secrets[0].secret if job.request.signing else ""
            leave_notice("The job is saved.", secret=secret)
            return redirect(url_for("dashboard.job", job_id=job.id))
    else:
        _note_others(form.errors, values)
    return _page(request.form, form.errors)


@blueprint.get("/jobs/<job_id:job_id>/edit")
@signed_in(Scope.WRITE)
def edit_job(viewer: Viewer, job_id: str) -> Any:
    """The form with what the job has."""
    job = services().jobs.get(viewer.principal, job_id)
    return _page({**values_of_job(job), "version": str(job.version)}, FormErrors(), job)


@blueprint.post("/jobs/<job_id:job_id>/edit")
@signed_in(Scope.WRITE)
def update_job(viewer: Viewer, job_id: str) -> Any:
    """Replace the job's definition, unless someone else changed it since the form was opened."""
    job = services().jobs.get(viewer.principal, job_id)
    form = JobForm(request.form, moments_of(job), payload_of(job))
    values = loaded(CreateJobSchema(), form.definition(), form.errors)
    if not form.errors:
        try:
            services().jobs.replace(
                viewer.principal, job_id, {**values, "alerts": list(job.alerts)}, _condition()
            )
        except Invalid as error:
            form.errors.take_invalid(error)
        except KeyTaken:
            form.errors.add("key", "is already used by another job")
        except VersionConflict:
            form.errors.add("", "Someone else changed this job meanwhile. Open it anew to see the change.")
        else:
            leave_notice("The changes are saved.")
            return redirect(url_for("dashboard.job", job_id=job_id))
    else:
        _note_others(form.errors, values, job)
    return _page(request.form, form.errors, job)


def _note_others(errors: FormErrors, values: Mapping[str, Any], stored: Job | None = None) -> None:
    """Let everything that is wrong be told at once: also what the service would refuse of what could be read."""
    try:
        services().jobs.rules.build(values, now=dashboard().now(), stored=stored)
    except Invalid as invalid:
        errors.take_invalid(invalid)


def _condition() -> Condition:
    version = request.form.get("version", "")
    known = (
        frozenset({int(version)})
        if version.isascii() and version.isdigit() and len(version) < 18
        else frozenset()
    )
    return Condition(known, given=True)


def _page(values: Mapping[str, str], errors: FormErrors, job: Job | None = None) -> Any:
    page = render_template(
        "dashboard/job_form.html",
        job=job,
        values=values,
        errors=errors,
        choices=CHOICES,
        label_of=label_of,
        advanced_open=bool(ADVANCED_FIELDS & errors.keys()),
        cron_examples=CRON_EXAMPLES,
        zones=sorted(zone_names()),
    )
    return page, 422 if errors else 200
