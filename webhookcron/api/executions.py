"""`/api/execution-logs`: what became of every fire time."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint, JobIdConverter
from webhookcron.api.cursors import cursor_at, read_cursor
from webhookcron.api.execution_export import EXPORT_FORMATS, export_response
from webhookcron.api.execution_schemas import ExecutionDetailSchema, ExecutionListSchema
from webhookcron.api.schema_base import BaseSchema, CommaList, Moment, QueryNumber, Text, Word, length, said
from webhookcron.api.services import services
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.service.execution_log import Deletion, LogPage, LogQuery
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Execution logs",
    __name__,
    url_prefix="/api/execution-logs",
    description="What became of every fire time, trigger, backfill and replay.",
)

MAX_LIMIT = 100

JOB_ID = ma.validate.Regexp(f"^{JobIdConverter.regex}$", error="must be the id of a job")


class LogFilterSchema(BaseSchema):
    """Which executions."""

    # `from` is no name in Python.
    scheduled_from = Moment(data_key="from", metadata=said("Fire times from here on"))
    scheduled_to = Moment(data_key="to", metadata=said("Fire times before this"))
    status = CommaList(Word(ExecutionStatus), load_default=[], metadata=said("Any of these"))
    trigger = CommaList(Word(Trigger), load_default=[], metadata=said("Any of these"))
    host = Text(validate=length(1, 255), metadata=said("The host that was called", "example.com"))
    min_duration_ms = QueryNumber(0, 10**9, metadata=said("That took so long or longer"))
    error_text = Text(
        data_key="error",
        validate=length(1, 200),
        metadata=said("Part of the error's message; needs jobId, or from and to at most 24 hours apart"),
    )

    @ma.post_load
    def query(self, data: dict[str, Any], **_: Any) -> LogQuery:
        """The same in the service's words."""
        cursor = data.pop("cursor", None)
        try:
            after = None if cursor is None else read_cursor(cursor)
        except ValueError as error:
            raise ma.ValidationError(str(error), "cursor") from None
        return LogQuery(
            statuses=tuple(data.pop("status")), triggers=tuple(data.pop("trigger")), after=after, **data
        )


class JobLogQuery(LogFilterSchema):
    """Which executions of a job to list."""

    limit = QueryNumber(1, MAX_LIMIT, load_default=20, metadata=said("Executions on a page, at most"))
    cursor = Text(metadata=said("`nextCursor` of the page before"))


class AnyJobFields(BaseSchema):
    """Fields where no job is given otherwise."""

    job_id = Text(validate=JOB_ID, metadata=said("Those of this job"))
    owner_id = Text(validate=length(1, 100), metadata=said("Whose; of use to admins and viewers"))


class LogListQuery(JobLogQuery, AnyJobFields):
    """Which executions to list."""


class LogExportQuery(LogFilterSchema, AnyJobFields):
    """Which executions to export."""

    format = Word(EXPORT_FORMATS, load_default="ndjson", metadata=said("csv or ndjson"))

    @ma.post_load
    def query(self, data: dict[str, Any], **options: Any) -> Any:
        """(format, the rest in the service's words)."""
        format_ = data.pop("format")
        return format_, LogFilterSchema.query(self, data, **options)


class LogDeletionQuery(LogFilterSchema, AnyJobFields):
    """Which executions to remove."""


class DeletionSchema(BaseSchema):
    """What became of them."""

    deleted = ma.fields.Integer(required=True)
    kept = ma.fields.Integer(required=True, metadata=said("Under way, or not accounted for yet"))
    more = ma.fields.Boolean(required=True, metadata=said("Further ones match: ask again"))


_EXPORTED = {
    "description": "One execution a line: JSON as lists show it, or CSV",
    "content": {type_: {"schema": {"type": "string"}} for type_ in ("application/x-ndjson", "text/csv")},
}


def _page(page: LogPage) -> dict[str, Any]:
    return {
        "items": page.items,
        "next_cursor": None if page.next_after is None else cursor_at(page.next_after),
    }


@blueprint.route("", endpoint="executions")
class Executions(MethodView):
    """The log."""

    @signed_in(Scope.READ)
    @blueprint.arguments(LogListQuery, location="query")
    @blueprint.response(200, ExecutionListSchema)
    @blueprint.doc(operationId="listExecutions")
    def get(self, principal: Principal, query: LogQuery) -> dict[str, Any]:
        """List executions

        The latest fire time first. Executions that are added meanwhile do not shift later pages. With filters that no
        index serves a page may hold fewer than `limit`, or none, before the end: go on until `nextCursor` is null.
        """
        return _page(services().executions.page(principal, query))

    @signed_in(Scope.WRITE)
    @blueprint.arguments(LogDeletionQuery, location="query")
    @blueprint.response(200, DeletionSchema)
    @blueprint.doc(operationId="deleteExecutions")
    def delete(self, principal: Principal, query: LogQuery) -> Deletion:
        """Remove finished executions that match

        `jobId` or `to` has to be given. At most 10,000 at once; `more` tells that further ones match. Executions under
        way, and those whose fire time the platform has not accounted for, stay.
        """
        return services().executions.delete_matching(principal, query)


@blueprint.route("/export", endpoint="export")
class ExportExecutions(MethodView):
    """The log as a file."""

    @signed_in(Scope.READ)
    @blueprint.arguments(LogExportQuery, location="query")
    @blueprint.response(200)
    @blueprint.doc(
        operationId="exportExecutions",
        responses={"200": _EXPORTED},
    )
    def get(self, principal: Principal, request: tuple[str, LogQuery]) -> Response:
        """Export executions as CSV or as lines of JSON

        All that match, the latest fire time first, sent as they are read. In CSV a cell that a spreadsheet could take
        for a formula begins with an apostrophe. 429: too many exports at a time. A file that breaks off is not
        complete: the connection ends without its last chunk.
        """
        format_, query = request
        return export_response(format_, services().exports.rows(principal, query))


@blueprint.route("/job/<job_id:job_id>", endpoint="executions_of_job")
class ExecutionsOfJob(MethodView):
    """The log of one job."""

    @signed_in(Scope.READ)
    @blueprint.arguments(JobLogQuery, location="query")
    @blueprint.response(200, ExecutionListSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="listExecutionsOfJob")
    def get(self, principal: Principal, query: LogQuery, job_id: str) -> dict[str, Any]:
        """List the executions of a cron job

        As listing all executions. The log of a deleted job can be read as long as it is kept.
        """
        return _page(services().executions.page_of_job(principal, query, job_id))


@blueprint.route("/<execution_id:execution_id>", endpoint="execution")
class SingleExecution(MethodView):
    """One execution."""

    @signed_in(Scope.READ)
    @blueprint.response(200, ExecutionDetailSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="getExecution")
    def get(self, principal: Principal, execution_id: str) -> Execution:
        """Show an execution with all its attempts

        Each attempt holds what was sent (secrets redacted), what came back and how long it took.
        """
        return services().executions.get(principal, execution_id)

    @signed_in(Scope.WRITE)
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="deleteExecution")
    def delete(self, principal: Principal, execution_id: str) -> Response:
        """Remove an execution from the log

        Only a finished one whose fire time the platform has accounted for; else 409.
        """
        services().executions.delete(principal, execution_id)
        return Response(status=204)
