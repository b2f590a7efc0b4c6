"""`/api/users` and `/api/audit`: for admins."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, url_for
from flask.views import MethodView

from webhookcron.api.account_schemas import (
    EXAMPLE_EMAIL,
    AuditListSchema,
    CreatedUserSchema,
    CreateUserSchema,
    PatchUserSchema,
    UserListSchema,
    UserSchema,
)
from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.schema_base import BaseSchema, Moment, QueryNumber, Text, length
from webhookcron.api.services import services
from webhookcron.service.audit import AuditPage
from webhookcron.service.principals import Principal, Scope
from webhookcron.service.users import UserPage
from webhookcron.storage.audit import AuditFilter
from webhookcron.storage.users import User

blueprint = Blueprint("Users", __name__, url_prefix="/api/users", description="Accounts; for admins.")
audit_blueprint = Blueprint(
    "Audit", __name__, url_prefix="/api/audit", description="Who did what; for admins."
)

MAX_PAGE = 10_000


class PageQuery(BaseSchema):
    """Which page."""

    page = QueryNumber(1, MAX_PAGE, load_default=1, metadata={"description": "From 1"})
    limit = QueryNumber(1, 100, load_default=20, metadata={"description": "Items on a page"})


class AuditQuery(PageQuery):
    """Which entries of the audit trail to list."""

    user_id = Text(validate=length(1, 100), metadata={"description": "What this user did"})
    resource_id = Text(
        validate=length(1, 400), metadata={"description": "What was done to this job, user, key or execution"}
    )
    action = Text(
        validate=length(1, 50), metadata={"description": "Such as job.create", "example": "job.delete"}
    )
    # `from` is no name in Python.
    at_from = Moment(data_key="from", metadata={"description": "From here on"})
    at_to = Moment(data_key="to", metadata={"description": "Before this"})


@blueprint.route("", endpoint="users")
class Users(MethodView):
    """All accounts."""

    @signed_in(Scope.READ, admin=True)
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, UserListSchema)
    @blueprint.doc(operationId="listUsers")
    def get(self, principal: Principal, query: dict[str, int]) -> UserPage:
        """List accounts

        In the order of their ids.
        """
        return services().users.page(principal, **query)

    @signed_in(Scope.WRITE, admin=True)
    @blueprint.arguments(CreateUserSchema, example={"email": EXAMPLE_EMAIL, "role": "member"})
    @blueprint.response(201, CreatedUserSchema)
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="createUser")
    def post(
        self, principal: Principal, values: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Create an account

        Without a password one is made, and shown by this answer only. 409: there is an account with this address.
        """
        user, password = services().users.create(principal, **values)
        body = {**asdict(user), **({} if password is None else {"password": password})}
        return body, 201, {"Location": url_for("Users.user", user_id=user.id)}


@blueprint.route("/<user_id:user_id>", endpoint="user")
class SingleUser(MethodView):
    """One account."""

    @signed_in(Scope.READ, admin=True)
    @blueprint.response(200, UserSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="getUser")
    def get(self, principal: Principal, user_id: str) -> User:
        """Show an account

        As the list shows it.
        """
        return services().users.get(principal, user_id)

    @signed_in(Scope.WRITE, admin=True)
    @blueprint.arguments(PatchUserSchema, example={"role": "viewer"})
    @blueprint.response(200, UserSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="patchUser")
    def patch(self, principal: Principal, values: dict[str, Any], user_id: str) -> User:
        """Change an account

        A new password ends its logins. An account that is not active is refused, and its jobs go on. 409: the address
        is taken, or these are one's own rights.
        """
        user = services().users.change(principal, user_id, values)
        services().authenticator.forget()
        return user

    @signed_in(Scope.WRITE, admin=True)
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="deleteUser")
    def delete(self, principal: Principal, user_id: str) -> Response:
        """Remove an account with its API keys and logins

        409: it has jobs, or it is one's own. Its log stays until its retention ends.
        """
        services().users.remove(principal, user_id)
        services().authenticator.forget()
        return Response(status=204)


@audit_blueprint.route("", endpoint="audit")
class Audit(MethodView):
    """The audit trail."""

    @signed_in(Scope.READ, admin=True)
    @audit_blueprint.arguments(AuditQuery, location="query")
    @audit_blueprint.response(200, AuditListSchema)
    @audit_blueprint.doc(operationId="listAudit")
    def get(self, principal: Principal, query: dict[str, Any]) -> AuditPage:
        """List who did what, when, from where

        The latest first; kept for WEBHOOKCRON_AUDIT_RETENTION_DAYS.
        """
        page, limit = query.pop("page"), query.pop("limit")
        return services().audit.page(principal, AuditFilter(**query), page=page, limit=limit)
