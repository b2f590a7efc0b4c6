"""Executions and attempts on the wire."""

from __future__ import annotations

import marshmallow as ma

from webhookcron.api.schema_base import BaseSchema, Moment, Word, said
from webhookcron.core.executions import Attempt, Execution, ExecutionStatus, Trigger


class AttemptErrorSchema(BaseSchema):
    """What went wrong in an attempt."""

    kind = ma.fields.String(required=True, metadata=said("A word of a closed list", "connect"))
    message = ma.fields.String(required=True)


class RedirectSchema(BaseSchema):
    """A redirect that was followed."""

    status = ma.fields.Integer(required=True, metadata=said("That asked for it"))
    url = ma.fields.String(required=True, metadata=said("Where it led"))


class AttemptSchema(BaseSchema):
    """One HTTP request made for an execution."""

    number = ma.fields.Integer(required=True, metadata=said("From 1"))
    started_at = Moment(required=True)
    duration_ms = ma.fields.Integer(required=True)
    phases = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Float(allow_none=True),
        allow_none=True,
        metadata=said("Milliseconds by phase"),
    )
    lateness_ms = ma.fields.Integer(
        allow_none=True, metadata=said("Milliseconds from scheduledAt to startedAt")
    )
    request_method = ma.fields.String(allow_none=True)
    request_url = ma.fields.String(allow_none=True)
    request_headers = ma.fields.List(
        ma.fields.List(ma.fields.String()), metadata=said("Pairs of name and value; secrets are redacted")
    )
    redirects = ma.fields.List(
        ma.fields.Nested(RedirectSchema), metadata=said("Those that were followed, in order")
    )
    response_status = ma.fields.Integer(allow_none=True)
    response_headers = ma.fields.List(ma.fields.List(ma.fields.String()))
    response_body = ma.fields.String(allow_none=True, metadata=said("Its beginning, at most 16 KiB"))
    response_body_base64 = ma.fields.Boolean(metadata=said("The body is no text and is given in base64"))
    truncated = ma.fields.Boolean(metadata=said("There was more of the body"))
    error = ma.fields.Nested(AttemptErrorSchema, allow_none=True)


class ExecutionSchema(BaseSchema):
    """The run of a job for one fire time, trigger, backfill or replay."""

    id = ma.fields.String(
        required=True,
        metadata=said("Also the webhook-id of its calls", "6740d0c0a1b2c3d4e5f60718:1735689600000"),
    )
    job_id = ma.fields.String(required=True)
    job_name = ma.fields.String(required=True)
    owner_id = ma.fields.String(required=True)
    trigger = Word(Trigger, required=True, metadata=said("Why it exists"))
    status = Word(ExecutionStatus, required=True)
    reason = ma.fields.String(allow_none=True, metadata=said("Why it was skipped, cancelled or lost"))
    scheduled_at = Moment(required=True, metadata=said("The fire time, or when it was triggered"))
    queued_at = Moment(required=True)
    started_at = Moment(allow_none=True)
    completed_at = Moment(allow_none=True)
    duration_ms = ma.fields.Integer(allow_none=True)
    attempt_count = ma.fields.Integer(required=True)
    next_attempt_at = Moment(allow_none=True)
    replay_of = ma.fields.String(allow_none=True, metadata=said("The execution that this one repeats"))
    skipped_count = ma.fields.Integer(
        allow_none=True,
        metadata=said("A record of many missed fire times: how many; scheduledAt is the first"),
    )
    skipped_until = Moment(allow_none=True, metadata=said("Of such a record: the last fire time"))
    response_status = ma.fields.Integer(allow_none=True, metadata=said("Of the last attempt"))
    response_body = ma.fields.Method(
        "last_response_body", metadata={**said("Of the last attempt"), "type": "string", "nullable": True}
    )
    error = ma.fields.Nested(AttemptErrorSchema, allow_none=True, metadata=said("Of the last attempt"))

    def last_response_body(self, execution: Execution) -> str | None:
        """The body that the last attempt got."""
        last: Attempt | None = execution.attempts[-1] if execution.attempts else None
        return None if last is None else last.response_body


class ExecutionDetailSchema(ExecutionSchema):
    """An execution with all its attempts."""

    attempts = ma.fields.List(ma.fields.Nested(AttemptSchema), required=True)


class ExecutionListSchema(BaseSchema):
    """A page of executions, the latest fire time first."""

    items = ma.fields.List(ma.fields.Nested(ExecutionSchema), required=True)
    next_cursor = ma.fields.String(
        allow_none=True, required=True, metadata=said("Give it as `cursor` to go on; null at the end")
    )
