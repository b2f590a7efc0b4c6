"""Filling the job form from a cURL command line."""

from __future__ import annotations

from typing import Any

from flask import request

from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.curl_import import form_values_of_command
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.imports.errors import NotImportable
from webhookcron.service.principals import Scope


@blueprint.post("/curl")
@signed_in(Scope.WRITE)
def import_curl(_viewer: Viewer) -> Any:
    """{values: by field of the form, notes: sentences}, or 422 with the reason."""
    try:
        values, notes = form_values_of_command(request.form.get("line", ""))
    except NotImportable as error:
        return {"message": f"This cannot become a job: {error}."}, 422
    return {"values": values, "notes": notes}
