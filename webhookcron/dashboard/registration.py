"""The dashboard: pages for people, on the same services as the API."""

from __future__ import annotations

from flask import Flask, redirect, url_for
from werkzeug.wrappers import Response

from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.state import DashboardState
from webhookcron.dashboard.views import (  # noqa: F401  Importing them adds their pages.
    account,
    audit,
    backfill,
    bulk,
    curl,
    execution,
    executions,
    job,
    job_actions,
    job_edit,
    jobs,
    live,
    login,
    missing,
    overview,
    previews,
    trials,
    users,
)
from webhookcron.service.platform import Platform


def register_dashboard(app: Flask, platform: Platform) -> None:
    """Serve the dashboard below `/dashboard`, and lead there from `/`."""
    DashboardState.of(platform).keep_in(app.extensions)
    app.register_blueprint(blueprint)
    app.add_url_rule("/", "root", _root)


def _root() -> Response:
    return redirect(url_for("dashboard.overview"))
