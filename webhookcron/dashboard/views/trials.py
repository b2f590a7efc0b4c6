"""One test call of the request in the form."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from webhookcron.api.services import services
from webhookcron.api.trials import TrialRequestSchema
from webhookcron.core.errors import WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.job_form import JobForm, loaded
from webhookcron.service.errors import Invalid
from webhookcron.service.principals import Scope


@blueprint.post("/trials")
@signed_in(Scope.TRIGGER)
def send_trial(_viewer: Viewer) -> Any:
    """The attempt as a piece of page, or what is wrong by field."""
    form = JobForm(request.form)
    values = loaded(TrialRequestSchema(), form.request(), form.errors)
    if not form.errors:
        try:
            trial = services().trials.call(values)
        except Invalid as error:
            form.errors.take_invalid(error)
        except WebhookcronError as error:
            status, sentence = sentence_of(error)
            return {"message": sentence}, status
        else:
            return {"html": render_template("dashboard/_trial.html", trial=trial), "errors": {}}
    return {"html": "", "errors": form.errors}
