"""`/api/cron/{id}/…`: what is done with a job besides changing its definition."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.execution_schemas import ExecutionSchema
from webhookcron.api.job_schemas import JobSchema, PatchJobSchema
from webhookcron.api.jobs import Answer, answer, created
from webhookcron.api.request_headers import (
    IDEMPOTENCY_KEY_PARAMETER,
    IF_MATCH_PARAMETER,
    etag,
    idempotency_key,
    if_match,
)
from webhookcron.api.schema_base import BaseSchema, Flag, Moment, WholeNumber
from webhookcron.api.services import services
from webhookcron.core.executions import Execution
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint("Cron job actions", __name__, url_prefix="/api/cron", description="Pause, resume, run.")

DEFAULT_OVERLAP_MS = 24 * 60 * 60 * 1000
MAX_OVERLAP_MS = 30 * DEFAULT_OVERLAP_MS


class TriggeredSchema(BaseSchema):
    """The execution that was made."""

    execution = ma.fields.Nested(ExecutionSchema, required=True)


class RotateSchema(BaseSchema):
    """How to rotate."""

    body_optional = True

    expire_old_after_ms = WholeNumber(
        0,
        MAX_OVERLAP_MS,
        load_default=DEFAULT_OVERLAP_MS,
        metadata={
            "description": f"The old secret signs beside the new one for so long; default {DEFAULT_OVERLAP_MS}"
        },
    )


class RotatedSchema(BaseSchema):
    """The new signing secret."""

    signing_secret = ma.fields.String(required=True, metadata={"description": "whsec_…; not shown again"})
    old_secret_expires_at = Moment(
        allow_none=True,
        metadata={"description": "Until when the one before signs, too; null = it does not any more"},
    )


class CloneJobSchema(PatchJobSchema):
    """Fields in which the new job differs."""

    body_optional = True


class BackfillRequestSchema(BaseSchema):
    """Which past fire times to run."""

    # `from` is no name in Python.
    first = Moment(required=True, data_key="from", metadata={"description": "The earliest fire time"})
    last = Moment(
        required=True,
        data_key="to",
        metadata={"description": "The latest fire time; the job's fire times must have come up to it"},
    )
    dry_run = Flag(load_default=False, metadata={"description": "Only list the fire times"})


class BackfillSchema(BaseSchema):
    """The fire times of a range, and the executions made for them."""

    count = ma.fields.Integer(required=True)
    dry_run = ma.fields.Boolean(required=True)
    fire_times = ma.fields.List(Moment(), required=True)
    executions = ma.fields.List(ma.fields.Nested(ExecutionSchema), required=True)


@blueprint.route("/<job_id:job_id>/pause", endpoint="pause")
class Pause(MethodView):
    """Stop the schedule."""

    @signed_in(Scope.WRITE)
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="pauseJob", parameters=[IF_MATCH_PARAMETER])
    def post(self, principal: Principal, job_id: str) -> Answer:
        """Pause a cron job

        Fire times inside the pause are neither run nor made up for. What runs goes on; manual triggers still work.
        """
        return answer(services().jobs.pause(principal, job_id, if_match()))


@blueprint.route("/<job_id:job_id>/resume", endpoint="resume")
class Resume(MethodView):
    """Go on with the schedule."""

    @signed_in(Scope.WRITE)
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="resumeJob", parameters=[IF_MATCH_PARAMETER])
    def post(self, principal: Principal, job_id: str) -> Answer:
        """Resume a paused or disabled cron job

        It goes on with its next fire time from now; when none is left it is completed. 409: it was completed before.
        """
        return answer(services().jobs.resume(principal, job_id, if_match()))


@blueprint.route("/<job_id:job_id>/trigger", endpoint="trigger")
class TriggerJob(MethodView):
    """Run now."""

    @signed_in(Scope.TRIGGER)
    @blueprint.response(202, TriggeredSchema, description="The execution, queued")
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="triggerJob", parameters=[IDEMPOTENCY_KEY_PARAMETER])
    def post(self, principal: Principal, job_id: str) -> dict[str, Execution]:
        """Run a cron job now

        Works on paused jobs, too, ignores `overlapPolicy` and does not count for `maxRuns`. The same Idempotency-Key
        gives the same execution again.
        """
        return {"execution": services().executions.trigger(principal, job_id, idempotency_key())}


@blueprint.route("/<job_id:job_id>/backfill", endpoint="backfill")
class BackfillJob(MethodView):
    """Run past fire times."""

    @signed_in(Scope.TRIGGER)
    @blueprint.arguments(
        BackfillRequestSchema,
        example={"from": "2030-01-01T00:00:00Z", "to": "2030-01-31T23:59:59Z", "dryRun": True},
    )
    @blueprint.response(202, BackfillSchema, description="The executions, queued")
    @blueprint.alt_response(200, schema=BackfillSchema, description="The list of a dry run", success=True)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="backfillJob", parameters=[IDEMPOTENCY_KEY_PARAMETER])
    def post(self, principal: Principal, values: dict[str, Any], job_id: str) -> tuple[dict[str, Any], int]:
        """Run past fire times of a cron job

        Makes an execution for each fire time of the present schedule in the range, at most 1,000. With the same
        Idempotency-Key each fire time gets one execution, however often this is repeated.
        """
        dry_run = values["dry_run"]
        backfill = services().executions.backfill(
            principal,
            job_id,
            first=values["first"],
            last=values["last"],
            dry_run=dry_run,
            idempotency_key=idempotency_key(),
        )
        body = {
            "count": len(backfill.fire_times),
            "dry_run": dry_run,
            "fire_times": backfill.fire_times,
            "executions": backfill.executions,
        }
        return body, 200 if dry_run else 202


@blueprint.route("/<job_id:job_id>/clone", endpoint="clone")
class CloneJob(MethodView):
    """Make another one like it."""

    @signed_in(Scope.WRITE)
    @blueprint.arguments(CloneJobSchema, required=False, example={"name": "Monthly report"})
    @blueprint.response(201, JobSchema, description="The new job, with its signing secret this once")
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="cloneJob")
    def post(self, principal: Principal, changes: dict[str, Any], job_id: str) -> Answer:
        """Copy a cron job

        The copy has no key, a signing secret of its own, and is paused, unless the fields given say otherwise.
        """
        return created(services().jobs.clone(principal, job_id, changes))


@blueprint.route("/<job_id:job_id>/secret/rotate", endpoint="rotate_secret")
class RotateSecret(MethodView):
    """Sign with another secret."""

    @signed_in(Scope.WRITE)
    @blueprint.arguments(RotateSchema, required=False, example={"expireOldAfterMs": DEFAULT_OVERLAP_MS})
    @blueprint.response(200, RotatedSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="rotateSecret", parameters=[IF_MATCH_PARAMETER])
    def post(self, principal: Principal, values: dict[str, int], job_id: str) -> Answer:
        """Give a cron job a new signing secret

        Calls carry a signature by each secret until the old one expires, so that receivers can change over in between.
        """
        job = services().jobs.rotate_secret(
            principal,
            job_id,
            expire_old_after=timedelta(milliseconds=values["expire_old_after_ms"]),
            condition=if_match(),
        )
        new, *old = job.request.signing_secrets
        body = {"signing_secret": new.secret, "old_secret_expires_at": old[0].expires_at if old else None}
        return body, 200, etag(job.version)
