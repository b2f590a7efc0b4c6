"""Accounts, for admins."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for

from webhookcron.api.services import services
from webhookcron.core.errors import EmailTaken, WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.errors import sentence_of
from webhookcron.dashboard.guard import Viewer, leave_notice, signed_in
from webhookcron.dashboard.job_filters import page_number
from webhookcron.service.accounts import MAX_NAME
from webhookcron.service.errors import Invalid
from webhookcron.service.principals import Role, Scope

PER_PAGE = 50

Errors = dict[str, list[str]]


@blueprint.get("/users")
@signed_in()
def users(viewer: Viewer) -> Any:
    """The list, and the form for a new one."""
    return _page(viewer)


@blueprint.post("/users")
@signed_in(Scope.WRITE)
def create_user(viewer: Viewer) -> Any:
    """Make an account; a password that was made for it is shown once."""
    viewer.principal.require_admin()
    role = request.form.get("role", "")
    try:
        user, password = services().users.create(
            viewer.principal,
            email=request.form.get("email", "").strip(),
            name=request.form.get("name", "").strip()[:MAX_NAME],
            role=role if role in {known.value for known in Role} else Role.MEMBER.value,
            password=request.form.get("password") or None,
        )
    except Invalid as error:
        return _page(viewer, error.errors)
    except EmailTaken:
        return _page(viewer, {"email": ["has an account already"]})
    leave_notice(f"{user.email} can sign in now.", secret=password or "", secret_is="password")
    return redirect(url_for("dashboard.users"))


@blueprint.post("/users/<user_id>")
@signed_in(Scope.WRITE)
def change_user(viewer: Viewer, user_id: str) -> Any:
    """Another role, or whether the account may come in."""
    values: dict[str, Any] = {}
    if request.form.get("role") in {role.value for role in Role}:
        values["role"] = request.form["role"]
    if "is_active" in request.form:
        values["is_active"] = request.form["is_active"] == "on"
    return _done(
        lambda: services().users.change(viewer.principal, user_id, values), "The account is changed."
    )


@blueprint.post("/users/<user_id>/remove")
@signed_in(Scope.WRITE)
def remove_user(viewer: Viewer, user_id: str) -> Any:
    """Remove the account."""
    return _done(lambda: services().users.remove(viewer.principal, user_id), "The account is removed.")


def _done(act: Any, sentence: str) -> Any:
    try:
        act()
    except WebhookcronError as error:
        leave_notice(sentence_of(error)[1], "bad")
    else:
        services().authenticator.forget()
        leave_notice(sentence)
    return redirect(url_for("dashboard.users"))


def _page(viewer: Viewer, errors: Errors | None = None) -> Any:
    found = services().users.page(viewer.principal, page=page_number(request.args), limit=PER_PAGE)
    page = render_template(
        "dashboard/users.html",
        page=found,
        pages=max(1, -(-found.total // found.limit)),
        roles={role.value: role.value.capitalize() for role in Role},
        values=request.form or {"role": Role.MEMBER.value},
        errors=errors or {},
    )
    return page, 422 if errors else 200
