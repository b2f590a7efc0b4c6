"""Cron jobs on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from webhookcron.api.schema_base import (
    BaseSchema,
    Flag,
    Moment,
    Text,
    WholeNumber,
    Word,
    at_most,
    length,
    said,
)
from webhookcron.core.headers import MAX_HEADERS
from webhookcron.core.intervals import IntervalUnit
from webhookcron.core.jobs import JobStatus, MisfirePolicy, OverlapPolicy
from webhookcron.core.request_spec import (
    DEFAULT_SUCCESS_STATUSES,
    DEFAULT_TIMEOUT_MS,
    MAX_TIMEOUT_MS,
    METHODS,
    MIN_TIMEOUT_MS,
    AuthType,
)
from webhookcron.core.retries import (
    DEFAULT_DELAYS_MS,
    DEFAULT_RETRIES,
    MAX_DELAY_MS,
    MAX_DELAYS,
    MAX_RETRIES,
    Backoff,
)
from webhookcron.core.schedules import ScheduleType
from webhookcron.core.success import MAX_JSON_PATH_LENGTH, MAX_PATTERN_LENGTH, MAX_STATUSES_LENGTH
from webhookcron.core.target_urls import MAX_URL_LENGTH
from webhookcron.core.zones import MAX_NAME_LENGTH
from webhookcron.service.jobs import MAX_NAME

MAX_DESCRIPTION = 2000
MAX_TAGS = 20
MAX_TAG = 50
MAX_ALERTS = 20
MAX_QUERY_PARAMETERS = 50
MAX_SECRET = 4096
"""Characters of a credential."""
MAX_DELAY_FROM_NOW_MS = 10 * 366 * 24 * 3600 * 1000
"""Ten years; a longer delay is a mistaken unit."""
MAX_COUNT = 1_000_000_000

KEY_PATTERN = r"^[A-Za-z0-9._:~-]{1,128}$"

EXAMPLE_JOB = {
    "name": "Weekly report",
    "cronExpression": "0 9 * * 1",
    "timezone": "Europe/Berlin",
    "webhookUrl": "https://example.com/hooks/report",
    "payload": {"report": "weekly"},
}


class AuthSchema(BaseSchema):
    """Credentials of the calls: one flat object, the fields that count follow from `type`."""

    type = Word(AuthType, required=True, metadata=said("basic, bearer, header or oauth2", "bearer"))
    username = Text(allow_none=True, validate=length(0, MAX_SECRET), metadata=said("basic"))
    password = Text(allow_none=True, validate=length(0, MAX_SECRET), metadata=said("basic; shown as ***"))
    token = Text(allow_none=True, validate=length(0, MAX_SECRET), metadata=said("bearer; shown as ***"))
    header_name = Text(allow_none=True, validate=length(0, 255), metadata=said("header"))
    header_value = Text(
        allow_none=True, validate=length(0, MAX_SECRET), metadata=said("header; shown as ***")
    )
    token_url = Text(
        allow_none=True, validate=length(0, MAX_URL_LENGTH), metadata=said("oauth2: the token endpoint")
    )
    client_id = Text(allow_none=True, validate=length(0, MAX_SECRET), metadata=said("oauth2"))
    client_secret = Text(
        allow_none=True, validate=length(0, MAX_SECRET), metadata=said("oauth2; shown as ***")
    )
    scope = Text(allow_none=True, validate=length(0, 1000), metadata=said("oauth2, optional"))
    audience = Text(allow_none=True, validate=length(0, 1000), metadata=said("oauth2, optional"))


class SuccessBodySchema(BaseSchema):
    """What a successful response body holds: `pattern`, or `jsonPath` with `equals`."""

    pattern = Text(
        lines=True,
        validate=length(1, MAX_PATTERN_LENGTH),
        metadata=said("A regular expression (RE2) that must match", '"ok":\\s*true'),
    )
    json_path = Text(validate=length(1, MAX_JSON_PATH_LENGTH), metadata=said("Where to look in a JSON body"))
    equals = ma.fields.Raw(allow_none=True, metadata=said("The JSON value that must be found there"))

    @ma.post_load
    def as_written(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The core knows the rule as it is written."""
        return {"jsonPath" if name == "json_path" else name: value for name, value in data.items()}

    @ma.pre_dump
    def from_written(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The other way round."""
        return {"json_path" if name == "jsonPath" else name: value for name, value in data.items()}


class ScheduleFields(BaseSchema):
    """The fields that make a schedule."""

    schedule_type = Word(
        ScheduleType, allow_none=True, metadata=said("cron, interval or once; follows from the other fields")
    )
    # Tabs and a line break at the end are white space; what has no place in an expression its own reader refuses.
    cron_expression = Text(
        lines=True,
        allow_none=True,
        validate=length(1, 1000),
        metadata=said("Five fields, six with seconds first, or a macro such as @daily", "0 9 * * 1"),
    )
    interval = Word(IntervalUnit, allow_none=True, metadata=said("The unit of an interval"))
    interval_value = WholeNumber(1, 3_155_760_000, allow_none=True, metadata=said("Units per interval"))
    run_at = Moment(
        wall_time=True,
        allow_none=True,
        metadata=said("Fires once, at this moment; without an offset, at this wall time in `timezone`"),
    )
    delay_ms = WholeNumber(
        0,
        MAX_DELAY_FROM_NOW_MS,
        allow_none=True,
        load_only=True,
        metadata=said("Fires once, so long from now; 0 = at once. Answers show the moment as `runAt`"),
    )
    timezone = Text(
        allow_none=True,
        validate=length(1, MAX_NAME_LENGTH),
        metadata=said("IANA name; default: WEBHOOKCRON_TIMEZONE of the server", "Europe/Berlin"),
    )
    start_at = Moment(allow_none=True, metadata=said("No fire time earlier; the first one of an interval"))
    end_at = Moment(allow_none=True, metadata=said("No fire time later"))


class NameFields(BaseSchema):
    """The fields that say what a job is."""

    name = Text(
        required=True, validate=length(1, MAX_NAME), metadata=said("What it is called", "Weekly report")
    )
    key = Text(
        allow_none=True,
        validate=ma.validate.Regexp(KEY_PATTERN, error="must be 1 to 128 letters, digits or . _ : ~ -"),
        metadata=said(
            "Your own name for it, unique among your jobs; addresses it in PUT /api/cron/by-key/{key}"
        ),
    )
    description = Text(
        lines=True, allow_none=True, validate=length(0, MAX_DESCRIPTION), metadata=said("Free text")
    )
    tags = ma.fields.List(
        Text(validate=length(1, MAX_TAG)),
        allow_none=True,
        validate=at_most(MAX_TAGS),
        metadata=said("Labels"),
    )
    alerts = ma.fields.List(
        Text(validate=ma.validate.Regexp(r"^[0-9a-f]{24}$", error="must be the id of an alert")),
        allow_none=True,
        validate=at_most(MAX_ALERTS),
        metadata=said("Ids of the alerts to raise"),
    )


class BoundFields(BaseSchema):
    """The fields that bound and spread a schedule."""

    max_runs = WholeNumber(
        1,
        MAX_COUNT,
        allow_none=True,
        metadata=said("The schedule is over after so many scheduled executions"),
    )
    jitter_ms = WholeNumber(
        0,
        3_600_000,
        allow_none=True,
        metadata=said("Spread: each fire acts up to so much after its fire time"),
    )
    delete_after_completion = Flag(allow_none=True, metadata=said("Remove the job when its schedule is over"))


class RequestFields(BaseSchema):
    """The fields that make the request."""

    webhook_url = Text(
        required=True,
        validate=length(1, MAX_URL_LENGTH),
        metadata=said("The http or https URL to call", "https://example.com/hooks/report"),
    )
    method = Word(METHODS, allow_none=True, metadata=said("Default: POST"))
    headers = ma.fields.Dict(
        keys=Text(),
        values=Text(),
        allow_none=True,
        validate=at_most(MAX_HEADERS),
        metadata=said("Request headers by name; secret ones are shown as ***", {"X-Team": "billing"}),
    )
    secret_headers = ma.fields.List(
        Text(),
        allow_none=True,
        validate=at_most(MAX_HEADERS),
        metadata=said("Names of headers whose values are secret; Authorization and Cookie always are"),
    )
    query = ma.fields.Dict(
        keys=Text(),
        values=Text(),
        allow_none=True,
        validate=at_most(MAX_QUERY_PARAMETERS),
        metadata=said("Query parameters added to the URL", {"source": "webhookcron"}),
    )
    payload = ma.fields.Raw(
        allow_none=True,
        metadata=said("Any JSON value, or text under another contentType; null = the standard envelope"),
    )
    content_type = Text(allow_none=True, validate=length(1, 255), metadata=said("Default: application/json"))
    timeout_ms = WholeNumber(
        MIN_TIMEOUT_MS,
        MAX_TIMEOUT_MS,
        allow_none=True,
        metadata=said(f"One deadline for a whole call; default {DEFAULT_TIMEOUT_MS}"),
    )
    success_statuses = Text(
        allow_none=True,
        validate=length(1, MAX_STATUSES_LENGTH),
        metadata=said("Which response statuses are success", DEFAULT_SUCCESS_STATUSES),
    )
    success_body = ma.fields.Nested(
        SuccessBodySchema, allow_none=True, metadata=said("What the response body must hold besides")
    )
    follow_redirects = Flag(allow_none=True, metadata=said("Default: false, a redirect is a failure"))
    auth = ma.fields.Nested(AuthSchema, allow_none=True, metadata=said("Credentials of the call"))
    signing = Flag(allow_none=True, metadata=said("Sign calls to Standard Webhooks 1.0; default: true"))
    signing_secret = Text(
        allow_none=True,
        load_only=True,
        validate=length(1, 200),
        metadata=said("whsec_…; generated when left out, shown only by the 201 and by secret/rotate"),
    )


class PolicyFields(BaseSchema):
    """The fields that say how to deal with failure, lateness and overlap."""

    max_retries = WholeNumber(
        0,
        MAX_RETRIES,
        allow_none=True,
        metadata=said(f"Attempts after the first; default {DEFAULT_RETRIES}"),
    )
    retry_delays_ms = ma.fields.List(
        WholeNumber(0, MAX_DELAY_MS),
        allow_none=True,
        validate=ma.validate.Length(1, MAX_DELAYS, error=f"must have 1 to {MAX_DELAYS} entries"),
        metadata=said(
            "Delay before each retry, the last repeats; not with retryDelayMs", list(DEFAULT_DELAYS_MS)
        ),
    )
    retry_delay_ms = WholeNumber(
        0, MAX_DELAY_MS, allow_none=True, metadata=said("First delay of a curve; not with retryDelaysMs")
    )
    retry_backoff = Word(Backoff, allow_none=True, metadata=said("How retryDelayMs grows; default: fixed"))
    retry_max_delay_ms = WholeNumber(
        0, MAX_DELAY_MS, allow_none=True, metadata=said("The longest delay of the curve")
    )
    misfire_policy = Word(
        MisfirePolicy, allow_none=True, metadata=said("What becomes of missed fire times; default: fireOnce")
    )
    misfire_grace_ms = WholeNumber(
        15_000, 86_400_000, allow_none=True, metadata=said("How late is still in time; default 60000")
    )
    catch_up_limit = WholeNumber(
        1, 1_000, allow_none=True, metadata=said("fireAll makes up for so many at most; default 100")
    )
    overlap_policy = Word(
        OverlapPolicy,
        allow_none=True,
        metadata=said(
            "What becomes of a fire time while the previous execution is not final; default: allow"
        ),
    )
    disable_after_failures = WholeNumber(
        0,
        MAX_COUNT,
        allow_none=True,
        metadata=said("Failed executions in a row that disable the job; 0 = never"),
    )
    retention_days = WholeNumber(
        1, 3650, allow_none=True, metadata=said("Days that its finished executions are kept")
    )
    is_active = Flag(allow_none=True, metadata=said("false pauses the job, true ends the pause"))


# Later bases come first on the wire.
class JobFields(PolicyFields, RequestFields, BoundFields, ScheduleFields, NameFields):
    """Everything that the owner of a job writes."""


class JobState(BaseSchema):
    """What the platform keeps about a job."""

    id = ma.fields.String(required=True, metadata=said("24 hexadecimal digits", "6740d0c0a1b2c3d4e5f60718"))
    owner_id = ma.fields.String(required=True)
    status = Word(JobStatus, required=True, metadata=said("active, paused, completed or disabled"))
    status_reason = ma.fields.String(allow_none=True, metadata=said("Why it is completed or disabled"))
    circuit_open_until = Moment(
        allow_none=True,
        metadata=said(
            "Until when its host and port are left alone, as they could not be connected to several times in a row"
        ),
    )
    next_run_at = Moment(allow_none=True, metadata=said("Its next fire time"))
    last_run_at = Moment(allow_none=True)
    last_status = ma.fields.String(allow_none=True, metadata=said("How its last execution ended"))
    total_runs = ma.fields.Integer(
        required=True, metadata=said("Executions that ended after at least one attempt")
    )
    successful_runs = ma.fields.Integer(required=True)
    failed_runs = ma.fields.Integer(required=True, metadata=said("Ended failed or timeout"))
    consecutive_failures = ma.fields.Integer(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = ma.fields.Integer(required=True, metadata=said("Grows with every change; the ETag"))


READ_ONLY = frozenset(field.data_key for field in JobState().fields.values()) - {"status"}


class JobSchema(JobFields, JobState):
    """A cron job as answers show it."""

    class Meta(BaseSchema.Meta):
        exclude = ("delay_ms",)

    signing_secret = Text(metadata=said("whsec_…; only in the answer that creates the job"))


class CreateJobSchema(JobFields):
    """A new cron job: a name, a schedule and a webhook URL are enough."""


class ReplaceJobSchema(JobFields):
    """The whole definition of a cron job. What answers show besides is ignored when it is sent back."""

    @ma.pre_load
    def without_state(self, data: Any, **_: Any) -> Any:
        """A job as it was read can be sent back."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in READ_ONLY and name != "status"}


class PatchJobSchema(JobFields):
    """Top-level fields to change; null puts a field back to its default."""

    status = Word(
        (JobStatus.ACTIVE, JobStatus.PAUSED), metadata=said("active resumes the job, paused pauses it")
    )

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Nothing has to be given; marshmallow's `partial` would let go of fields inside objects as well."""
        super().on_bind_field(field_name, field_obj)
        field_obj.required = False


class JobListSchema(BaseSchema):
    """A page of cron jobs."""

    items = ma.fields.List(ma.fields.Nested(JobSchema), required=True)
    page = ma.fields.Integer(required=True)
    limit = ma.fields.Integer(required=True)
    total = ma.fields.Integer(required=True)
