"""`/api/auth`: logging in and out, and one's own account."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for
from flask.views import MethodView

from webhookcron.api.account_schemas import (
    EXAMPLE_EMAIL,
    EXAMPLE_PASSWORD,
    CredentialsSchema,
    LoggedInSchema,
    LogoutSchema,
    MeSchema,
    PasswordChangeSchema,
    RefreshSchema,
    RegistrationSchema,
)
from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint, open_to_all
from webhookcron.api.services import services
from webhookcron.service.accounts import LoggedIn
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Accounts",
    __name__,
    url_prefix="/api/auth",
    description="Log in and out; one's own account and API keys.",
)

EXAMPLE_CREDENTIALS = {"email": EXAMPLE_EMAIL, "password": EXAMPLE_PASSWORD}


@blueprint.route("/register", endpoint="register")
class Register(MethodView):
    """A new account."""

    @open_to_all
    @blueprint.arguments(RegistrationSchema, example={**EXAMPLE_CREDENTIALS, "name": "Ann"})
    @blueprint.response(201, LoggedInSchema)
    @blueprint.alt_response(403, "FORBIDDEN")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="register")
    def post(self, values: dict[str, str]) -> tuple[LoggedIn, int, dict[str, str]]:
        """Register an account and log in

        The first account of an installation is its admin. Afterwards 403, unless WEBHOOKCRON_OPEN_REGISTRATION is
        true: then new accounts are members. 409: there is an account with this address.
        """
        logged_in = services().accounts.register(
            values["email"],
            values["password"],
            values["name"],
            address=request.remote_addr,
            client=_client(),
        )
        return logged_in, 201, {"Location": url_for("Accounts.me")}


@blueprint.route("/login", endpoint="login")
class Login(MethodView):
    """Coming in."""

    @open_to_all
    @blueprint.arguments(CredentialsSchema, example=EXAMPLE_CREDENTIALS)
    @blueprint.response(200, LoggedInSchema)
    @blueprint.alt_response(401, "UNAUTHORIZED")
    @blueprint.doc(operationId="login")
    def post(self, values: dict[str, str]) -> LoggedIn:
        """Log in

        The access token goes into the Authorization header and ends after 15 minutes; the refresh token gives new
        tokens, for 30 days. 401: address or password is wrong. 429: too many attempts, see Retry-After.
        """
        return services().accounts.login(
            values["email"], values["password"], address=request.remote_addr, client=_client()
        )


@blueprint.route("/refresh", endpoint="refresh")
class Refresh(MethodView):
    """Staying in."""

    @open_to_all
    @blueprint.arguments(RefreshSchema, example={"refreshToken": "whr_…"})
    @blueprint.response(200, LoggedInSchema)
    @blueprint.alt_response(401, "UNAUTHORIZED")
    @blueprint.doc(operationId="refreshLogin")
    def post(self, values: dict[str, str]) -> LoggedIn:
        """Get new tokens for a refresh token

        Each refresh token is good once. One that comes a second time ends the login, as it may have been stolen: 401.
        """
        return services().accounts.refresh(values["refresh_token"], address=request.remote_addr)


@blueprint.route("/logout", endpoint="logout")
class Logout(MethodView):
    """Going out."""

    @signed_in(Scope.READ, own_account=True)
    @blueprint.arguments(LogoutSchema, required=False, example={"everywhere": False})
    @blueprint.response(204)
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="logout")
    def post(self, principal: Principal, values: dict[str, bool]) -> Response:
        """End this login, or all logins of the account

        Its tokens are refused from then on, by other server processes after three seconds at the latest. 409: called
        with an API key, which is no login.
        """
        services().accounts.logout(principal, everywhere=values["everywhere"])
        services().authenticator.forget()
        return Response(status=204)


@blueprint.route("/password", endpoint="password")
class Password(MethodView):
    """Another password."""

    @signed_in(Scope.WRITE, own_account=True)
    @blueprint.arguments(
        PasswordChangeSchema,
        example={"currentPassword": EXAMPLE_PASSWORD, "newPassword": "another horse battery"},
    )
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="changePassword")
    def post(self, principal: Principal, values: dict[str, str]) -> Response:
        """Change one's own password

        All other logins of the account end. 401: the current password is wrong. 409: the account has no login.
        """
        services().accounts.change_password(principal, values["current_password"], values["new_password"])
        services().authenticator.forget()
        return Response(status=204)


@blueprint.route("/me", endpoint="me")
class Me(MethodView):
    """Who one is."""

    @signed_in(Scope.READ)
    @blueprint.response(200, MeSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="me")
    def get(self, principal: Principal) -> dict[str, Any]:
        """Show one's own account

        And what the credential in use may do.
        """
        return {
            "user": services().accounts.user(principal),
            "scopes": sorted(principal.scopes),
            "key_id": principal.key_id,
        }


def _client() -> str | None:
    return request.headers.get("User-Agent")
