"""`/api/cron/preview` and `/api/cron/{id}/next`: what a schedule will do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.job_schemas import ScheduleFields
from webhookcron.api.schema_base import BaseSchema, Moment, QueryNumber, WholeNumber, Word
from webhookcron.api.services import services
from webhookcron.core.clock_changes import ClockChangeEffect, ClockChangeNote
from webhookcron.core.schedules import ScheduleType
from webhookcron.core.wallclock import ClockChangeKind
from webhookcron.service.previews import MAX_COUNT, FireTime, Preview
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint(
    "Schedules", __name__, url_prefix="/api/cron", description="See what a schedule will do before saving it."
)

DEFAULT_COUNT = 10


class PreviewRequestSchema(ScheduleFields):
    """A schedule, as a job would have it."""

    count = WholeNumber(
        1, MAX_COUNT, load_default=DEFAULT_COUNT, metadata={"description": "How many fire times"}
    )
    # `from` is no name in Python.
    start = Moment(
        data_key="from", load_default=None, metadata={"description": "The first moment; default: now"}
    )


class NextQuery(BaseSchema):
    """How much to show."""

    count = QueryNumber(
        1, MAX_COUNT, load_default=DEFAULT_COUNT, metadata={"description": "How many fire times"}
    )


class FireTimeSchema(BaseSchema):
    """One fire time."""

    utc = Moment(required=True)
    local = ma.fields.String(
        required=True,
        metadata={"description": "In the zone of the schedule", "example": "2030-03-31T09:00:00.000+02:00"},
    )


class ClockChangeSchema(BaseSchema):
    """A clock change that touches runs."""

    at = Moment(required=True, metadata={"description": "The first instant after the change"})
    kind = Word(
        ClockChangeKind, required=True, metadata={"description": "gap: times are skipped; fold: they repeat"}
    )
    effect = Word(ClockChangeEffect, required=True, metadata={"description": "What becomes of the runs"})
    wall_times = ma.fields.List(
        ma.fields.String(),
        required=True,
        metadata={"description": "The first few wall times of runs touched"},
    )
    wall_time_count = ma.fields.Integer(required=True)
    sentence = ma.fields.String(required=True)


class PreviewSchema(BaseSchema):
    """What a schedule will do."""

    schedule_type = Word(ScheduleType, required=True)
    timezone = ma.fields.String(required=True)
    description = ma.fields.String(
        required=True,
        metadata={"description": "In words", "example": "At 09:00, only on Monday, Europe/Berlin time"},
    )
    fire_times = ma.fields.List(ma.fields.Nested(FireTimeSchema), required=True)
    clock_changes = ma.fields.List(
        ma.fields.Nested(ClockChangeSchema),
        required=True,
        metadata={"description": "Clock changes within a year that skip, double or move runs"},
    )


@blueprint.route("/preview", endpoint="preview")
class PreviewSchedule(MethodView):
    """A schedule that is not saved."""

    @signed_in(Scope.READ)
    @blueprint.arguments(
        PreviewRequestSchema,
        example={"cronExpression": "30 2 * * *", "timezone": "Europe/Berlin", "count": 5},
    )
    @blueprint.response(200, PreviewSchema)
    @blueprint.doc(operationId="previewSchedule")
    def post(self, principal: Principal, values: dict[str, Any]) -> dict[str, Any]:
        """Preview a schedule

        Its next fire times in its zone and in UTC, a description in words, and the clock changes within a year that
        skip, double or move runs. Nothing is stored.
        """
        count, start = values.pop("count"), values.pop("start")
        return _resource(services().previews.of_fields(values, start=start, count=count))


@blueprint.route("/<job_id:job_id>/next", endpoint="next")
class NextFireTimes(MethodView):
    """The schedule of a job."""

    @signed_in(Scope.READ)
    @blueprint.arguments(NextQuery, location="query")
    @blueprint.response(200, PreviewSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="nextFireTimes")
    def get(self, principal: Principal, query: dict[str, int], job_id: str) -> dict[str, Any]:
        """Show the next fire times of a cron job

        For a paused job, those it would have if it were resumed now.
        """
        return _resource(services().previews.of_job(principal, job_id, count=query["count"]))


def _resource(preview: Preview) -> dict[str, Any]:
    return {
        "schedule_type": preview.schedule.type.value,
        "timezone": preview.schedule.timezone,
        "description": preview.description,
        "fire_times": [_fire_time(fire_time) for fire_time in preview.fire_times],
        "clock_changes": [_clock_change(note) for note in preview.clock_changes],
    }


def _fire_time(fire_time: FireTime) -> dict[str, Any]:
    return {"utc": fire_time.utc, "local": fire_time.local.isoformat(timespec="milliseconds")}


def _clock_change(note: ClockChangeNote) -> dict[str, Any]:
    return {
        "at": note.at,
        "kind": note.kind.value,
        "effect": note.effect.value,
        "wall_times": [_wall_time(wall) for wall in note.wall_times],
        "wall_time_count": note.wall_time_count,
        "sentence": note.sentence,
    }


def _wall_time(wall: datetime) -> str:
    return wall.isoformat(timespec="seconds")
