"""`/api/cron/test`: call a webhook once before saving a job."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.execution_schemas import AttemptSchema
from webhookcron.api.job_schemas import RequestFields
from webhookcron.api.schema_base import BaseSchema, Text, length, said
from webhookcron.api.services import services
from webhookcron.service.jobs import MAX_NAME
from webhookcron.service.principals import Principal, Scope
from webhookcron.service.trials import Trial

blueprint = Blueprint("Test calls", __name__, url_prefix="/api/cron", description="Call a webhook once.")


class TrialRequestSchema(RequestFields):
    """The request of a job; its name goes into the standard envelope."""

    name = Text(
        allow_none=True, validate=length(1, MAX_NAME), metadata=said("The name the envelope tells", "Try it")
    )


class TrialSchema(BaseSchema):
    """What the call came to."""

    succeeded = ma.fields.Boolean(required=True, metadata=said("By the success rules of the definition"))
    attempt = ma.fields.Nested(AttemptSchema, required=True)


@blueprint.route("/test", endpoint="trial")
class MakeTrial(MethodView):
    """One call."""

    @signed_in(Scope.TRIGGER)
    @blueprint.arguments(
        TrialRequestSchema,
        example={"webhookUrl": "https://example.com/hooks/report", "payload": {"report": "test"}},
    )
    @blueprint.response(200, TrialSchema)
    @blueprint.doc(operationId="testWebhook")
    def post(self, principal: Principal, values: dict[str, Any]) -> Trial:
        """Call a webhook once

        Sends the request as the first attempt of a job would, waits for the answer, at most 8 seconds, and shows it,
        whatever it is. Nothing is stored. 429: too many test calls at a time.
        """
        return services().trials.call(values)
