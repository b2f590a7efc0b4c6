"""`/api/cron`: cron jobs."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, url_for
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.job_resource import job_resource
from webhookcron.api.job_schemas import (
    EXAMPLE_JOB,
    KEY_PATTERN,
    MAX_TAG,
    MAX_TAGS,
    CreateJobSchema,
    JobListSchema,
    JobSchema,
    PatchJobSchema,
    ReplaceJobSchema,
)
from webhookcron.api.request_headers import (
    IDEMPOTENCY_KEY_PARAMETER,
    IF_MATCH_PARAMETER,
    etag,
    idempotency_key,
    if_match,
)
from webhookcron.api.schema_base import (
    BaseSchema,
    CommaList,
    QueryFlag,
    QueryNumber,
    Text,
    Word,
    at_most,
    length,
    said,
)
from webhookcron.api.services import services
from webhookcron.core.executions import ExecutionStatus
from webhookcron.core.jobs import Job, JobStatus
from webhookcron.core.schedules import ScheduleType
from webhookcron.service.job_queries import MAX_LIMIT, MAX_PAGE, MAX_SORT_FIELDS, SORT_FIELDS, JobQuery
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Cron jobs",
    __name__,
    url_prefix="/api/cron",
    description="A cron job is a schedule, a webhook and policies.",
)

Answer = tuple[dict[str, Any], int, dict[str, str]]

_SORT_WORDS = tuple(sign + name for name in SORT_FIELDS for sign in ("", "-"))


class JobListQuery(BaseSchema):
    """Which jobs to list."""

    page = QueryNumber(1, MAX_PAGE, load_default=1, metadata={"description": "From 1"})
    limit = QueryNumber(1, MAX_LIMIT, load_default=20, metadata={"description": "Jobs on a page"})
    sort = CommaList(
        Word(_SORT_WORDS),
        load_default=["-createdAt"],
        validate=ma.validate.Length(1, MAX_SORT_FIELDS, error=f"must name 1 to {MAX_SORT_FIELDS} fields"),
        metadata={
            "description": f"Order by these fields, the most important first, `-` = descending: "
            f"{', '.join(SORT_FIELDS)}",
            "example": "-nextRunAt,name",
        },
    )
    status = CommaList(Word(JobStatus), load_default=[], metadata={"description": "Any of these statuses"})
    is_active = QueryFlag(metadata={"description": "false = the paused ones, true = all others"})
    schedule_type = Word(ScheduleType)
    search = Text(
        validate=length(1, 500),
        metadata=said("Words, each the beginning of a word of name, description or tags", "week rep"),
    )
    tag = Text(validate=length(1, MAX_TAG), metadata=said("Jobs with this tag"))
    tags = CommaList(
        Text(validate=length(1, MAX_TAG)),
        load_default=[],
        validate=at_most(MAX_TAGS),
        metadata=said("Jobs with any of these tags"),
    )
    all_tags = CommaList(
        Text(validate=length(1, MAX_TAG)),
        load_default=[],
        validate=at_most(MAX_TAGS),
        metadata=said("Jobs with all of these tags"),
    )
    host = Text(validate=length(1, 255), metadata=said("The host they call", "example.com"))
    last_status = CommaList(
        Word(ExecutionStatus), load_default=[], metadata=said("How their last execution ended; any of these")
    )
    owner_id = Text(validate=length(1, 100), metadata=said("Whose jobs; of use to admins and viewers"))
    key = Text(validate=ma.validate.Regexp(KEY_PATTERN, error="is no key of a job"))

    @ma.post_load
    def query(self, data: dict[str, Any], **_: Any) -> JobQuery:
        """The same in the service's words."""
        sort = tuple((word.lstrip("-"), -1 if word.startswith("-") else 1) for word in data.pop("sort"))
        return JobQuery(
            sort=sort,
            statuses=tuple(data.pop("status")),
            any_tags=tuple(data.pop("tags")),
            all_tags=tuple(data.pop("all_tags")),
            last_statuses=tuple(data.pop("last_status")),
            **data,
        )


class DeleteJobQuery(BaseSchema):
    """How to delete."""

    delete_logs = QueryFlag(load_default=False, metadata={"description": "Remove its execution log, too"})


def answer(job: Job, status: int = 200) -> Answer:
    """The answer that shows a job."""
    open_until = services().jobs.circuits([job]).get(job.origin)
    return job_resource(job, circuit_open_until=open_until), status, etag(job.version)


def created(job: Job) -> Answer:
    """The answer that shows a new job, with its signing secret this once."""
    location = url_for("Cron jobs.job", job_id=job.id)
    return job_resource(job, with_secret=True), 201, {**etag(job.version), "Location": location}


@blueprint.route("", endpoint="jobs")
class Jobs(MethodView):
    """All jobs."""

    @signed_in(Scope.WRITE)
    @blueprint.arguments(CreateJobSchema, example=EXAMPLE_JOB)
    @blueprint.response(201, JobSchema, description="The new job, with its signing secret this once")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="createJob", parameters=[IDEMPOTENCY_KEY_PARAMETER])
    def post(self, principal: Principal, values: dict[str, Any]) -> Answer:
        """Create a cron job

        A name, a schedule and a webhook URL are enough. It is active at once unless `isActive` is false. Calls are
        signed with the `signingSecret` given, or a new one; this answer is the only one that shows it. Repeating the
        request with the same Idempotency-Key gives the same job again. 409: the `key` is in use.
        """
        return created(services().jobs.create(principal, values, idempotency_key()))

    @signed_in(Scope.READ)
    @blueprint.arguments(JobListQuery, location="query")
    @blueprint.response(200, JobListSchema)
    @blueprint.doc(operationId="listJobs")
    def get(self, principal: Principal, query: JobQuery) -> dict[str, Any]:
        """List cron jobs

        Page by page, newest first unless `sort` says otherwise.
        """
        page = services().jobs.page(principal, query)
        circuits = services().jobs.circuits(page.items)
        return {
            "items": [job_resource(job, circuit_open_until=circuits.get(job.origin)) for job in page.items],
            "page": page.page,
            "limit": page.limit,
            "total": page.total,
        }


@blueprint.route("/<job_id:job_id>", endpoint="job")
class SingleJob(MethodView):
    """One job."""

    @signed_in(Scope.READ)
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="getJob")
    def get(self, principal: Principal, job_id: str) -> Answer:
        """Show a cron job

        Its secrets are shown as `***`.
        """
        return answer(services().jobs.get(principal, job_id))

    @signed_in(Scope.WRITE)
    @blueprint.arguments(ReplaceJobSchema, example=EXAMPLE_JOB)
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="replaceJob", parameters=[IF_MATCH_PARAMETER])
    def put(self, principal: Principal, values: dict[str, Any], job_id: str) -> Answer:
        """Replace a cron job

        Fields that are left out get their defaults, except secrets (`auth`, `signingSecret`, secret `headers`), which
        stay, as they do where `***` comes back; a pause stays as well unless `isActive` says otherwise. Read-only
        fields that are sent back are ignored. What has the same fire times as before goes on undisturbed.
        """
        return answer(services().jobs.replace(principal, job_id, values, if_match()))

    @signed_in(Scope.WRITE)
    @blueprint.arguments(PatchJobSchema, example={"cronExpression": "30 9 * * 1"})
    @blueprint.response(200, JobSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="patchJob", parameters=[IF_MATCH_PARAMETER])
    def patch(self, principal: Principal, patch: dict[str, Any], job_id: str) -> Answer:
        """Change fields of a cron job

        Each field given replaces the whole field; `null` puts it back to its default. Naming another kind of schedule
        drops the fields of the present one. `status` or `isActive` pause and resume.
        """
        return answer(services().jobs.patch(principal, job_id, patch, if_match()))

    @signed_in(Scope.WRITE)
    @blueprint.arguments(DeleteJobQuery, location="query")
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="deleteJob", parameters=[IF_MATCH_PARAMETER])
    def delete(self, principal: Principal, query: dict[str, bool], job_id: str) -> Response:
        """Delete a cron job

        Its queued and retrying executions are cancelled, running ones finish. Its log stays until its retention ends,
        unless `deleteLogs` is true.
        """
        services().jobs.delete(principal, job_id, delete_logs=query["delete_logs"], condition=if_match())
        return Response(status=204)


@blueprint.route("/by-key/<job_key:key>", endpoint="job_by_key")
class JobByKey(MethodView):
    """A job under the name its owner gave it."""

    @signed_in(Scope.WRITE)
    @blueprint.arguments(ReplaceJobSchema, example=EXAMPLE_JOB)
    @blueprint.response(200, JobSchema, description="The job was there and is replaced")
    @blueprint.alt_response(201, schema=JobSchema, description="The job is new", success=True)
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.alt_response(412, "PRECONDITION_FAILED")
    @blueprint.doc(operationId="putJobByKey", parameters=[IF_MATCH_PARAMETER])
    def put(self, principal: Principal, values: dict[str, Any], key: str) -> Answer:
        """Create or replace the cron job with a key

        Sending the same definition twice changes nothing, so that jobs can be kept in files. Else as replacing by id.
        """
        job, is_new = services().jobs.put_by_key(principal, key, values, if_match())
        return created(job) if is_new else answer(job)
