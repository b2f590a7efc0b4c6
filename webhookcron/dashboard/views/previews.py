"""What the schedule in the form will do, while it is typed."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.job_schemas import ScheduleFields
from webhookcron.api.services import services
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_form import JobForm, loaded
from webhookcron.service.errors import Invalid

SHOWN = 5


@blueprint.post("/previews")
@signed_in()
def preview_schedule(_viewer: Viewer) -> Any:
    """Words and fire times as a piece of page, or what is wrong by field."""
    form = JobForm(request.form)
    values = loaded(ScheduleFields(), form.schedule(), form.errors)
    try:
        preview = services().previews.of_fields(values, start=None, count=SHOWN)
    except Invalid as error:
        form.errors.take_invalid(error)
    if form.errors:
        return {"html": "", "errors": form.errors}
    return {"html": render_template("dashboard/_preview.html", preview=preview), "errors": {}}
