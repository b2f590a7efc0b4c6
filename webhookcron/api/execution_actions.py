"""`/api/execution-logs/…`: repeating and cancelling executions."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.execution_schemas import ExecutionSchema
from webhookcron.api.executions import JOB_ID
from webhookcron.api.job_actions import TriggeredSchema
from webhookcron.api.request_headers import IDEMPOTENCY_KEY_PARAMETER, idempotency_key
from webhookcron.api.schema_base import BaseSchema, Flag, Moment, Text, WholeNumber, Word
from webhookcron.api.services import services
from webhookcron.core.executions import FINAL_STATUSES, Execution, ExecutionStatus
from webhookcron.service.execution_log import LogQuery
from webhookcron.service.executions import MAX_AT_ONCE
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Execution actions", __name__, url_prefix="/api/execution-logs", description="Repeat and cancel."
)

_FINAL_WORDS = tuple(status for status in ExecutionStatus if status in FINAL_STATUSES)


class ReplayRequestSchema(BaseSchema):
    """Which finished executions to repeat."""

    scheduled_from = Moment(
        required=True, data_key="from", metadata={"description": "Fire times from here on"}
    )
    scheduled_to = Moment(required=True, data_key="to", metadata={"description": "Fire times before this"})
    job_id = Text(validate=JOB_ID)
    status = ma.fields.List(
        Word(_FINAL_WORDS),
        load_default=["failed", "timeout"],
        validate=ma.validate.Length(1, len(_FINAL_WORDS), error="must name at least one status"),
    )
    limit = WholeNumber(1, MAX_AT_ONCE, load_default=MAX_AT_ONCE, metadata={"description": "At most so many"})
    dry_run = Flag(load_default=False, metadata={"description": "Only list what would be repeated"})


class ReplaySchema(BaseSchema):
    """The replays that were made; of a dry run, the executions that would be repeated."""

    count = ma.fields.Integer(required=True)
    dry_run = ma.fields.Boolean(required=True)
    more = ma.fields.Boolean(required=True, metadata={"description": "Further ones match"})
    executions = ma.fields.List(ma.fields.Nested(ExecutionSchema), required=True)


@blueprint.route("/<execution_id:execution_id>/replay", endpoint="replay")
class ReplayExecution(MethodView):
    """Do it again."""

    @signed_in(Scope.TRIGGER)
    @blueprint.response(202, TriggeredSchema, description="The new execution, queued")
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="replayExecution", parameters=[IDEMPOTENCY_KEY_PARAMETER])
    def post(self, principal: Principal, execution_id: str) -> dict[str, Execution]:
        """Repeat a finished execution

        A new execution for the same fire time, with the job as it is now; `replayOf` names the old one. The same
        Idempotency-Key gives the same execution again.
        """
        return {"execution": services().executions.replay(principal, execution_id, idempotency_key())}


@blueprint.route("/<execution_id:execution_id>/cancel", endpoint="cancel")
class CancelExecution(MethodView):
    """Leave it."""

    @signed_in(Scope.TRIGGER)
    @blueprint.response(200, TriggeredSchema, description="The execution, cancelled")
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="cancelExecution")
    def post(self, principal: Principal, execution_id: str) -> dict[str, Execution]:
        """Cancel a queued or retrying execution

        A call that is under way is not cut off: 409.
        """
        return {"execution": services().executions.cancel(principal, execution_id)}


@blueprint.route("/replay", endpoint="replay_matching")
class ReplayMatching(MethodView):
    """Do many again."""

    @signed_in(Scope.TRIGGER)
    @blueprint.arguments(
        ReplayRequestSchema,
        example={"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z", "dryRun": True},
    )
    @blueprint.response(202, ReplaySchema, description="The new executions, queued")
    @blueprint.alt_response(200, schema=ReplaySchema, description="The list of a dry run", success=True)
    @blueprint.doc(operationId="replayExecutions", parameters=[IDEMPOTENCY_KEY_PARAMETER])
    def post(self, principal: Principal, values: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Repeat the finished executions that match

        By default those that ended `failed` or `timeout`; at most 1,000 at once, the latest first. `more` tells that
        further ones match.
        """
        dry_run = values.pop("dry_run")
        query = LogQuery(statuses=tuple(values.pop("status")), **values)
        page = services().executions.replay_matching(principal, query, idempotency_key(), dry_run=dry_run)
        body = {"count": len(page.items), "dry_run": dry_run, "more": page.more, "executions": page.items}
        return body, 200 if dry_run else 202
