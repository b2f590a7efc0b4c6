"""`/api/auth/api-keys`: one's own API keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, url_for
from flask.views import MethodView

from webhookcron.api.account_schemas import (
    ApiKeyListSchema,
    ApiKeySchema,
    CreateApiKeySchema,
    CreatedApiKeySchema,
)
from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.services import services
from webhookcron.service.principals import Principal, Scope
from webhookcron.storage.api_keys import ApiKey

blueprint = Blueprint(
    "API keys", __name__, url_prefix="/api/auth/api-keys", description="Keys for programs, with scopes."
)


@blueprint.route("", endpoint="keys")
class ApiKeys(MethodView):
    """All keys of the caller."""

    @signed_in(Scope.READ)
    @blueprint.response(200, ApiKeyListSchema)
    @blueprint.doc(operationId="listApiKeys")
    def get(self, principal: Principal) -> dict[str, Any]:
        """List one's own API keys

        The newest first; the keys themselves are not stored and cannot be shown.
        """
        return {"items": services().api_keys.list(principal)}

    @signed_in(Scope.WRITE, own_account=True)
    @blueprint.arguments(CreateApiKeySchema, example={"name": "deployment", "scopes": ["read", "write"]})
    @blueprint.response(201, CreatedApiKeySchema)
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="createApiKey")
    def post(
        self, principal: Principal, values: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Make an API key

        This answer is the only one that shows it. A key can make only keys that can do no more than itself, and not
        for longer. 409: there are 100 already.
        """
        made, key = services().api_keys.create(principal, **values)
        return {**asdict(made), "key": key}, 201, {"Location": url_for("API keys.key", key_id=made.id)}


@blueprint.route("/<object_id:key_id>", endpoint="key")
class SingleApiKey(MethodView):
    """One key."""

    @signed_in(Scope.READ)
    @blueprint.response(200, ApiKeySchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="getApiKey")
    def get(self, principal: Principal, key_id: str) -> ApiKey:
        """Show one of one's own API keys

        The key itself is not stored and cannot be shown.
        """
        return services().api_keys.get(principal, key_id)

    @signed_in(Scope.WRITE, own_account=True)
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="deleteApiKey")
    def delete(self, principal: Principal, key_id: str) -> Response:
        """Remove one of one's own API keys

        It is refused from then on, by other server processes after three seconds at the latest.
        """
        services().api_keys.remove(principal, key_id)
        services().authenticator.forget()
        return Response(status=204)
