"""`/api/alerts`: who is told when jobs fail."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, current_app, url_for
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.schema_base import (
    BaseSchema,
    Flag,
    Moment,
    QueryNumber,
    Text,
    WholeNumber,
    Word,
    at_most,
    length,
    said,
)
from webhookcron.core.alerts import Alert, AlertEvent, Channel, MessageStatus
from webhookcron.service.alerts import MOST_RECIPIENTS, AlertService
from webhookcron.service.principals import Principal, Scope
from webhookcron.storage.alerts import Message

blueprint = Blueprint(
    "Alerts",
    __name__,
    url_prefix="/api/alerts",
    description="Who is told when jobs fail, and when they recover.",
)

EXAMPLE = {"name": "On call", "channel": "email", "to": ["oncall@example.com"], "allJobs": True}


class AlertFields(BaseSchema):
    """The fields of an alert that are given."""

    name = Text(validate=length(1, 255), metadata=said("What it is called", "On call"))
    channel = Word(Channel, metadata=said("email needs `to`, webhook needs `url`, operator is for admins"))
    events = ma.fields.List(
        Word(AlertEvent),
        allow_none=True,
        validate=ma.validate.Length(1, len(AlertEvent), error="must name 1 to 5 events"),
        metadata=said("What to tell of; all but silence unless given", ["failure", "recovery"]),
    )
    all_jobs = Flag(
        allow_none=True,
        metadata=said("For all jobs of the owner; else for the jobs that name it in their `alerts`"),
    )
    is_active = Flag(allow_none=True, metadata=said("false = tells nothing"))
    to = ma.fields.List(
        Text(validate=length(3, 320)),
        allow_none=True,
        validate=at_most(MOST_RECIPIENTS),
        metadata=said("Mail addresses", ["oncall@example.com"]),
    )
    url = Text(allow_none=True, validate=length(1, 2048), metadata=said("The webhook to call"))
    signing_secret = Text(
        allow_none=True,
        load_only=True,
        validate=length(1, 200),
        metadata=said("`whsec_…`; generated unless given, and shown by the 201 only"),
    )
    silence_minutes = WholeNumber(
        1, 525_600, allow_none=True, metadata=said("No success for so long is silence", 1440)
    )


class CreateAlertSchema(AlertFields):
    """A new alert."""

    name = Text(required=True, validate=length(1, 255), metadata=said("What it is called", "On call"))
    channel = Word(Channel, required=True, metadata=said("email needs `to`, webhook needs `url`"))


class AlertSchema(AlertFields):
    """An alert."""

    id = ma.fields.String(required=True)
    owner_id = ma.fields.String(required=True)
    signing_secret = ma.fields.String(metadata=said("In the answer to its creation only"))  # type: ignore[assignment]
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    digest_at = Moment(
        allow_none=True, metadata=said("When what was not told at once is told; null = nothing waits")
    )


class AlertListSchema(BaseSchema):
    """A page of alerts."""

    items = ma.fields.List(ma.fields.Nested(AlertSchema), required=True)
    page = ma.fields.Integer(required=True)
    limit = ma.fields.Integer(required=True)
    total = ma.fields.Integer(required=True)


class AlertListQuery(BaseSchema):
    """Which page."""

    page = QueryNumber(1, 10_000, load_default=1, metadata=said("From 1"))
    limit = QueryNumber(1, 100, load_default=20, metadata=said("Alerts on a page"))


class MessageSchema(BaseSchema):
    """A message of an alert."""

    id = ma.fields.String(required=True, metadata=said("Also its `webhook-id`"))
    kind = ma.fields.String(required=True, metadata=said("An event, digest or test", "failure"))
    status = Word(MessageStatus, required=True)
    tries = ma.fields.Integer(required=True)
    notice = ma.fields.Dict(required=True, metadata=said("What it tells"))
    created_at = Moment(required=True)
    sent_at = Moment(allow_none=True)
    error = ma.fields.String(allow_none=True, metadata=said("Why the last try did not arrive"))


class MessageListSchema(BaseSchema):
    """The latest messages of an alert."""

    items = ma.fields.List(ma.fields.Nested(MessageSchema), required=True)


class MessageListQuery(BaseSchema):
    """How many messages."""

    limit = QueryNumber(1, 100, load_default=20, metadata=said("At most so many"))


def alerts() -> AlertService:
    """The service of the running app."""
    service: AlertService = current_app.extensions["webhookcron.alerts"]
    return service


def _resource(alert: Alert, *, with_secret: bool = False) -> dict[str, Any]:
    resource = {
        "id": alert.id,
        "owner_id": alert.owner_id,
        "name": alert.name,
        "channel": alert.channel.value,
        "events": sorted(event.value for event in alert.events),
        "all_jobs": alert.all_jobs,
        "is_active": alert.is_active,
        "to": list(alert.to),
        "url": alert.url or None,
        "silence_minutes": alert.silence_minutes,
        "created_at": alert.created_at,
        "updated_at": alert.updated_at,
        "digest_at": alert.digest_at,
    }
    if with_secret and alert.signing_secret:
        resource["signing_secret"] = alert.signing_secret
    return resource


def _message(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "kind": message.kind,
        "status": message.status.value,
        "tries": message.tries,
        "notice": dict(message.notice),
        "created_at": message.created_at,
        "sent_at": message.sent_at,
        "error": message.error,
    }


@blueprint.route("", endpoint="alerts")
class Alerts(MethodView):
    """All alerts."""

    @signed_in(Scope.WRITE)
    @blueprint.arguments(CreateAlertSchema, example=EXAMPLE)
    @blueprint.response(201, AlertSchema, description="The new alert, with its signing secret this once")
    @blueprint.alt_response(409, "CONFLICT")
    @blueprint.doc(operationId="createAlert")
    def post(
        self, principal: Principal, values: dict[str, Any]
    ) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Create an alert

        The first failure of a job is told at once, what follows in a digest until the job has recovered. 409: there
        are 100 alerts already.
        """
        alert = alerts().create(principal, values)
        return (
            _resource(alert, with_secret=True),
            201,
            {"Location": url_for("Alerts.alert", alert_id=alert.id)},
        )

    @signed_in(Scope.READ)
    @blueprint.arguments(AlertListQuery, location="query")
    @blueprint.response(200, AlertListSchema)
    @blueprint.doc(operationId="listAlerts")
    def get(self, principal: Principal, query: dict[str, int]) -> dict[str, Any]:
        """List alerts

        Page by page, newest first.
        """
        items, total = alerts().page(principal, **query)
        return {"items": [_resource(alert) for alert in items], **query, "total": total}


@blueprint.route("/<job_id:alert_id>", endpoint="alert")
class SingleAlert(MethodView):
    """One alert."""

    @signed_in(Scope.READ)
    @blueprint.response(200, AlertSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="getAlert")
    def get(self, principal: Principal, alert_id: str) -> dict[str, Any]:
        """Show an alert

        Its signing secret is not shown again.
        """
        return _resource(alerts().get(principal, alert_id))

    @signed_in(Scope.WRITE)
    @blueprint.arguments(AlertFields, example={"isActive": False})
    @blueprint.response(200, AlertSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="patchAlert")
    def patch(self, principal: Principal, values: dict[str, Any], alert_id: str) -> dict[str, Any]:
        """Change fields of an alert

        `null` puts a field back to its default.
        """
        return _resource(alerts().patch(principal, alert_id, values))

    @signed_in(Scope.WRITE)
    @blueprint.response(204)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="deleteAlert")
    def delete(self, principal: Principal, alert_id: str) -> Response:
        """Delete an alert

        Jobs that name it go on without.
        """
        alerts().delete(principal, alert_id)
        return Response(status=204)


@blueprint.route("/<job_id:alert_id>/test", endpoint="alert_test")
class TestAlert(MethodView):
    """A message to try it with."""

    @signed_in(Scope.TRIGGER)
    @blueprint.response(202, MessageSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="testAlert")
    def post(self, principal: Principal, alert_id: str) -> dict[str, Any]:
        """Send a test message

        A worker sends it within seconds; `GET /api/alerts/{id}/messages` shows what became of it.
        """
        return _message(alerts().test(principal, alert_id))


@blueprint.route("/<job_id:alert_id>/messages", endpoint="alert_messages")
class Messages(MethodView):
    """What was sent."""

    @signed_in(Scope.READ)
    @blueprint.arguments(MessageListQuery, location="query")
    @blueprint.response(200, MessageListSchema)
    @blueprint.alt_response(404, "NOT_FOUND")
    @blueprint.doc(operationId="listAlertMessages")
    def get(self, principal: Principal, query: dict[str, int], alert_id: str) -> dict[str, Any]:
        """List the messages of an alert

        Newest first, kept for 30 days.
        """
        return {"items": [_message(m) for m in alerts().messages(principal, alert_id, query["limit"])]}
