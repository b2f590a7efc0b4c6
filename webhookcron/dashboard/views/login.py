"""Signing in and out."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.credentials import principal_of_key
from webhookcron.dashboard.guard import begin_session, present_viewer
from webhookcron.dashboard.safe_paths import local_path
from webhookcron.dashboard.sessions import new_session
from webhookcron.dashboard.state import dashboard

MAX_KEY_LENGTH = 200
"""As for the API; longer ones are no keys."""


@blueprint.get("/login")
def login() -> Any:
    """The form; who is signed in already goes on."""
    if present_viewer() is not None:
        return redirect(local_path(request.args.get("next")) or url_for("dashboard.overview"))
    return _form()


@blueprint.post("/login")
def sign_in() -> Any:
    """Open a session with an API key."""
    key = request.form.get("api_key", "").strip()
    if not key:
        return _form(errors={"api_key": "Paste an API key."})
    if len(key) > MAX_KEY_LENGTH or not key.isascii() or principal_of_key(key) is None:
        return _form(errors={"api_key": "This is no valid API key: it may have expired or been removed."})
    begin_session(new_session(dashboard().now(), "key", key))
    return redirect(local_path(request.form.get("next")) or url_for("dashboard.overview"))


@blueprint.post("/logout")
def logout() -> Any:
    """End the session."""
    begin_session(new_session(dashboard().now()))
    return redirect(url_for("dashboard.login"))


def _form(errors: dict[str, str] | None = None) -> Any:
    wanted = local_path(request.values.get("next"))
    status = 422 if errors else 200
    return render_template("dashboard/login.html", errors=errors or {}, next=wanted), status
