"""`/api/execution-logs`: what became of every fire time."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint, JobIdConverter
from webhookcron.api.cursors import cursor_at, read_cursor
from webhookcron.api.execution_schemas import ExecutionDetailSchema, ExecutionListSchema
from webhookcron.api.schema_base import BaseSchema, CommaList, Moment, QueryNumber, Text, Word
from webhookcron.api.services import services
from webhookcron.core.executions import Execution, ExecutionStatus, Trigger
from webhookcron.service.executions import LogPage, LogQuery
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Execution logs",
    __name__,
    url_prefix="/api/execution-logs",
    description="What became of every fire time, trigger, backfill and replay.",
)

MAX_LIMIT = 100

JOB_ID = ma.validate.Regexp(f"^{JobIdConverter.regex}$", error="must be the id of a job")


class JobLogQuery(BaseSchema):
    """Which executions of a job to list."""

    # `from` is no name in Python.
    scheduled_from = Moment(data_key="from", metadata={"description": "Fire times from here on"})
    scheduled_to = Moment(data_key="to", metadata={"description": "Fire times before this"})
    status = CommaList(Word(ExecutionStatus), load_default=[], metadata={"description": "Any of these"})
    trigger = CommaList(Word(Trigger), load_default=[], metadata={"description": "Any of these"})
    limit = QueryNumber(1, MAX_LIMIT, load_default=20, metadata={"description": "Executions on a page"})
    cursor = Text(metadata={"description": "`nextCursor` of the page before"})

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


class LogListQuery(JobLogQuery):
    """Which executions to list."""

    job_id = Text(validate=JOB_ID)


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

        The latest fire time first. Executions that are added meanwhile do not shift later pages.
        """
        return _page(services().executions.page(principal, query))


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
