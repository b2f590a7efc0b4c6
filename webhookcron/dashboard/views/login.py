"""Signing in and out."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.services import services
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.credentials import principal_of_key
from webhookcron.dashboard.guard import begin_session, present_session, present_viewer
from webhookcron.dashboard.safe_paths import local_path
from webhookcron.dashboard.sessions import CredentialKind, new_session
from webhookcron.dashboard.state import dashboard
from webhookcron.service.errors import LoginFailed, TooMany
from webhookcron.storage.api_keys import KEY_PREFIX

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
    """Open a session with an address and a password, or with an API key."""
    return _with_key() if "api_key" in request.form else _with_password()


@blueprint.post("/logout")
def logout() -> Any:
    """End the session, and the login that it was opened with."""
    viewer = present_viewer()
    if viewer is not None and viewer.session.kind == "account":
        services().accounts.logout(viewer.principal)
        services().authenticator.forget()
    begin_session(new_session(dashboard().now()))
    return redirect(url_for("dashboard.login"))


def _with_password() -> Any:
    email, password = request.form.get("email", "").strip(), request.form.get("password", "")
    if not email or not password:
        return _form(errors={"password": "Both the address and the password are needed."})
    try:
        logged_in = services().accounts.login(
            email, password, address=request.remote_addr, client=request.headers.get("User-Agent")
        )
    except LoginFailed:
        return _form(errors={"password": "Address or password is wrong."})
    except TooMany:
        return _form(errors={"password": "Too many attempts: wait a few minutes."}, status=429)
    return _signed_in("account", logged_in.session_id)


def _with_key() -> Any:
    key = request.form["api_key"].strip()
    is_key = key.startswith(KEY_PREFIX) and len(key) <= MAX_KEY_LENGTH and key.isascii()
    if not is_key or principal_of_key(key) is None:
        return _form(errors={"api_key": "This is no valid API key: it may have expired or been removed."})
    return _signed_in("key", key)


def _signed_in(kind: CredentialKind, credential: str) -> Any:
    begin_session(new_session(dashboard().now(), kind, credential))
    return redirect(local_path(request.form.get("next")) or url_for("dashboard.overview"))


def _form(errors: dict[str, str] | None = None, status: int = 422) -> Any:
    present_session()
    page = render_template(
        "dashboard/login.html",
        errors=errors or {},
        email=request.form.get("email", ""),
        next=local_path(request.values.get("next")),
    )
    return page, status if errors else 200
