"""One's own account: password, API keys, logins."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.services import services
from webhookcron.core.errors import NotFound, WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, begin_session, leave_notice, signed_in
from webhookcron.dashboard.sessions import new_session
from webhookcron.dashboard.state import dashboard
from webhookcron.service.errors import Invalid, LoginFailed
from webhookcron.service.principals import Scope

LIFETIMES = {"30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}
"""How long a new key may be good, in days; anything else = for ever."""

MAX_KEY_NAME = 100

Errors = dict[str, list[str]]


@blueprint.get("/account")
@signed_in()
def account(viewer: Viewer) -> Any:
    """The page."""
    return _page(viewer)


@blueprint.post("/account/password")
@signed_in()
def change_password(viewer: Viewer) -> Any:
    """Set another password; all other logins end."""
    viewer.principal.require_scope(Scope.WRITE)
    current, new = request.form.get("current_password", ""), request.form.get("new_password", "")
    try:
        services().accounts.change_password(viewer.principal, current, new)
    except LoginFailed:
        return _page(viewer, {"current_password": ["is wrong"]})
    except Invalid as error:
        return _page(viewer, error.errors)
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        services().authenticator.forget()
        leave_notice("The password is changed. All other logins have ended.")
    return redirect(url_for("dashboard.account"))


@blueprint.post("/account/keys")
@signed_in()
def create_key(viewer: Viewer) -> Any:
    """Make an API key; the page shows it once."""
    viewer.principal.require_scope(Scope.WRITE)
    name = request.form.get("name", "").strip()
    scopes = [scope.value for scope in Scope if scope.value in request.form.getlist("scopes")]
    errors: Errors = {}
    if not 0 < len(name) <= MAX_KEY_NAME:
        errors["name"] = [f"must have 1 to {MAX_KEY_NAME} characters"]
    if not scopes:
        errors["scopes"] = ["choose at least one"]
    if errors:
        return _page(viewer, errors)
    lifetime = LIFETIMES.get(request.form.get("expires", ""))
    expires_at = None if lifetime is None else dashboard().now() + lifetime
    try:
        made, key = services().api_keys.create(
            viewer.principal, name=name, scopes=scopes, expires_at=expires_at
        )
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        leave_notice(f"This is the API key “{made.name}”.", secret=key, secret_is="key")
    return redirect(url_for("dashboard.account"))


@blueprint.post("/account/keys/<key_id>/remove")
@signed_in()
def remove_key(viewer: Viewer, key_id: str) -> Any:
    """Remove an API key."""
    viewer.principal.require_scope(Scope.WRITE)
    services().api_keys.remove(viewer.principal, key_id)
    services().authenticator.forget()
    leave_notice("The key is removed.")
    return redirect(url_for("dashboard.account"))


@blueprint.post("/account/logout-everywhere")
@signed_in()
def logout_everywhere(viewer: Viewer) -> Any:
    """End all logins of the account, this one too."""
    services().accounts.logout(viewer.principal, everywhere=True)
    services().authenticator.forget()
    begin_session(new_session(dashboard().now()))
    return redirect(url_for("dashboard.login"))


def _page(viewer: Viewer, errors: Errors | None = None) -> Any:
    try:
        user = services().accounts.user(viewer.principal)
    except NotFound:
        user = None
    page = render_template(
        "dashboard/account.html",
        user=user,
        keys=services().api_keys.list(viewer.principal),
        scopes=[scope.value for scope in Scope if scope.value in viewer.principal.scopes],
        values=request.form,
        errors=errors or {},
        now=dashboard().now(),
    )
    return page, 422 if errors else 200
