"""The blueprint that all pages belong to, with what holds for each of them."""

from __future__ import annotations

from flask import Blueprint

from webhookcron.dashboard import errors, guard, headers, template_tools
from webhookcron.dashboard.safe_paths import PREFIX

blueprint = Blueprint(
    "dashboard",
    "webhookcron.dashboard",
    url_prefix=PREFIX,
    template_folder="templates",
    static_folder="static",
)
blueprint.before_request(guard.check_token)
blueprint.after_request(guard.keep_session)
blueprint.after_request(headers.secured)
errors.register(blueprint)
template_tools.register(blueprint)
