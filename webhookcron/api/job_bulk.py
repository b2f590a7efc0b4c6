"""`/api/cron/bulk` and `/api/cron/stats`: many jobs at once."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint, JobIdConverter
from webhookcron.api.errors import DEFAULT_MESSAGES, error_answer_of
from webhookcron.api.job_schemas import KEY_PATTERN, MAX_TAG, MAX_TAGS
from webhookcron.api.schema_base import BaseSchema, Flag, Moment, Text, Word, at_most, length, said
from webhookcron.api.services import services
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import JobStatus
from webhookcron.core.rollups import ROLLED_UP
from webhookcron.core.schedules import ScheduleType
from webhookcron.service.bulk import MOST_AT_ONCE, BulkAction, BulkItem
from webhookcron.service.job_queries import JobQuery
from webhookcron.service.principals import Principal, Scope
from webhookcron.service.statistics import PERIODS, PeriodStatistics

blueprint = Blueprint("Many jobs", __name__, url_prefix="/api/cron", description="Many cron jobs at once.")

_JOB_ID = ma.validate.Regexp(f"^{JobIdConverter.regex}$", error="must be the id of a job")
_MISSING = "name jobs by ids, or by a filter"


class JobFilterSchema(BaseSchema):
    """Which jobs; the empty object means all."""

    search = Text(validate=length(1, 500), metadata=said("Beginnings of words of name, description, tags"))
    owner_id = Text(validate=length(1, 100), metadata=said("Of use to admins"))
    status = ma.fields.List(Word(JobStatus), validate=at_most(len(JobStatus)))
    is_active = Flag()
    schedule_type = Word(ScheduleType)
    tags = ma.fields.List(Text(validate=length(1, MAX_TAG)), validate=at_most(MAX_TAGS))
    all_tags = ma.fields.List(Text(validate=length(1, MAX_TAG)), validate=at_most(MAX_TAGS))
    host = Text(validate=length(1, 255))
    last_status = ma.fields.List(Word(ExecutionStatus), validate=at_most(len(ExecutionStatus)))
    key = Text(validate=ma.validate.Regexp(KEY_PATTERN, error="is no key of a job"))

    @ma.post_load
    def query(self, data: dict[str, Any], **_: Any) -> JobQuery:
        """The same in the service's words."""
        return JobQuery(
            statuses=tuple(data.pop("status", ())),
            any_tags=tuple(data.pop("tags", ())),
            all_tags=tuple(data.pop("all_tags", ())),
            last_statuses=tuple(data.pop("last_status", ())),
            **data,
        )


class BulkRequestSchema(BaseSchema):
    """What to do with which jobs: `ids` or `filter`, and not both."""

    action = Word(
        BulkAction, required=True, metadata=said("activate resumes, deactivate pauses; delete; trigger")
    )
    ids = ma.fields.List(Text(validate=_JOB_ID), validate=at_most(MOST_AT_ONCE))
    filter = ma.fields.Nested(JobFilterSchema)
    dry_run = Flag(load_default=False, metadata=said("Only list the jobs"))

    @ma.validates_schema
    def one_of_both(self, data: dict[str, Any], **_: Any) -> None:
        """Exactly one way to name jobs."""
        if ("ids" in data) == ("filter" in data):
            raise ma.ValidationError(_MISSING, "ids")


class BulkErrorSchema(BaseSchema):
    """Why something was not done."""

    code = ma.fields.Integer(required=True, metadata=said("As the request for this job alone had", 404))
    message = ma.fields.String(required=True)


class BulkItemSchema(BaseSchema):
    """What became of one job."""

    id = ma.fields.String(required=True)
    ok = ma.fields.Boolean(required=True)
    error = ma.fields.Nested(BulkErrorSchema, allow_none=True, required=True)
    execution_id = ma.fields.String(allow_none=True, metadata=said("Of a trigger"))


class BulkResultSchema(BaseSchema):
    """What became of all."""

    action = Word(BulkAction, required=True)
    dry_run = ma.fields.Boolean(required=True)
    total = ma.fields.Integer(required=True)
    succeeded = ma.fields.Integer(required=True)
    failed = ma.fields.Integer(required=True)
    more = ma.fields.Boolean(required=True, metadata=said("Further jobs match the filter: ask again"))
    items = ma.fields.List(ma.fields.Nested(BulkItemSchema), required=True)


class PeriodSchema(BaseSchema):
    """Executions that ended in a period."""

    since = Moment(required=True, metadata=said("Its beginning, a whole hour"))
    by_status = ma.fields.Dict(
        keys=Word(ROLLED_UP), values=ma.fields.Integer(), required=True, metadata=said("Executions by status")
    )
    success_rate = ma.fields.Float(
        allow_none=True,
        required=True,
        metadata=said("success / (success + failed + timeout), 0 to 1; null when none ran", 0.998),
    )
    average_duration_ms = ma.fields.Float(allow_none=True, required=True)
    p95_duration_ms = ma.fields.Float(allow_none=True, required=True)


class ExecutionStatisticsSchema(BaseSchema):
    """The periods."""

    last24_hours = ma.fields.Nested(PeriodSchema, required=True, data_key="last24Hours")
    last7_days = ma.fields.Nested(PeriodSchema, required=True, data_key="last7Days")


class StatisticsSchema(BaseSchema):
    """Figures about jobs and executions."""

    total = ma.fields.Integer(required=True, metadata=said("Cron jobs"))
    by_status = ma.fields.Dict(keys=Word(JobStatus), values=ma.fields.Integer(), required=True)
    by_type = ma.fields.Dict(keys=Word(ScheduleType), values=ma.fields.Integer(), required=True)
    executions = ma.fields.Nested(ExecutionStatisticsSchema, required=True)


@blueprint.route("/bulk", endpoint="bulk")
class Bulk(MethodView):
    """One thing with many jobs."""

    @signed_in(None)
    @blueprint.arguments(
        BulkRequestSchema, example={"action": "deactivate", "filter": {"tags": ["reports"]}, "dryRun": True}
    )
    @blueprint.response(200, BulkResultSchema)
    @blueprint.doc(operationId="bulk")
    def post(self, principal: Principal, values: dict[str, Any]) -> dict[str, Any]:
        """Activate, deactivate, delete or trigger many cron jobs

        By `ids` or by `filter`, at most 10,000. Each job has its own result: one that fails does not hold up others.
        The scope needed is that of the action for one job: `write`, or `trigger`.
        """
        action = BulkAction(values["action"])
        principal.require(Scope.TRIGGER if action is BulkAction.TRIGGER else Scope.WRITE)
        bulk, more = services().bulk, False
        ids = values.get("ids", [])
        if "filter" in values:
            ids, more = bulk.select(principal, values["filter"])
        if values["dry_run"]:
            items = [BulkItem(id=id_) for id_ in dict.fromkeys(ids)]
        else:
            items = bulk.run(principal, action, ids)
        shown = [_shown(item) for item in items]
        failed = sum(not item["ok"] for item in shown)
        return {
            "action": action,
            "dry_run": values["dry_run"],
            "total": len(shown),
            "succeeded": len(shown) - failed,
            "failed": failed,
            "more": more,
            "items": shown,
        }


@blueprint.route("/stats", endpoint="stats")
class Stats(MethodView):
    """Figures."""

    @signed_in(Scope.READ)
    @blueprint.response(200, StatisticsSchema)
    @blueprint.doc(operationId="jobStatistics")
    def get(self, principal: Principal) -> dict[str, Any]:
        """Show figures about jobs and executions

        Of one's own jobs; admins and viewers see everyone's. Executions count by the hour in which they ended; the
        last half minute may be missing. The 95th percentile is taken from buckets.
        """
        found = services().statistics.of(principal)
        first, second = (_period(found.periods[name]) for name in PERIODS)
        return {
            "total": found.total,
            "by_status": found.by_status,
            "by_type": found.by_type,
            "executions": {"last24_hours": first, "last7_days": second},
        }


def _shown(item: BulkItem) -> dict[str, Any]:
    error = None
    if item.error is not None:
        body, code, _ = error_answer_of(item.error)
        error = {"code": code, "message": body["message"] or DEFAULT_MESSAGES.get(code, "")}
    return {"id": item.id, "ok": error is None, "error": error, "execution_id": item.execution_id}


def _period(period: PeriodStatistics) -> dict[str, Any]:
    return {
        "since": period.since,
        "by_status": period.by_status,
        "success_rate": period.success_rate,
        "average_duration_ms": period.average_duration_ms,
        "p95_duration_ms": period.p95_duration_ms,
    }
