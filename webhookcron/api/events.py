"""`/api/events`: executions as they happen, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response, request
from flask.views import MethodView

from webhookcron.api.auth import signed_in
from webhookcron.api.blueprints import Blueprint
from webhookcron.api.execution_schemas import ExecutionSchema
from webhookcron.api.executions import AnyJobFields, LogFilterSchema
from webhookcron.api.services import services
from webhookcron.service.events import Changes
from webhookcron.service.execution_log import LogQuery
from webhookcron.service.places import InPlace
from webhookcron.service.principals import Principal, Scope

blueprint = Blueprint("Events", __name__, url_prefix="/api/events", description="Executions as they happen.")

RECONNECT_MS = 250

EVENT_STREAM = "text/event-stream"

LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "description": "The `id` of the last event received: what happened since comes first. Without it, from now on.",
    "schema": {"type": "string"},
}


class EventQuery(LogFilterSchema, AnyJobFields):
    """Which executions to tell of."""


@blueprint.route("", endpoint="events")
class Events(MethodView):
    """The log, as it grows."""

    @signed_in(Scope.READ)
    @blueprint.arguments(EventQuery, location="query")
    @blueprint.response(200)
    @blueprint.doc(
        operationId="streamEvents",
        parameters=[LAST_EVENT_ID],
        responses={
            "200": {
                "description": "Events: `data` is an execution as lists show it",
                "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
            }
        },
    )
    def get(self, principal: Principal, query: LogQuery) -> Response:
        """Listen to executions as they happen

        An event for each execution that is new or has changed, among the latest 100 that match, looked at each second.
        A stream ends after 8 seconds; clients connect anew with Last-Event-ID, as browsers do by themselves, and miss
        nothing in between. 429: enough streams are open; ask for the list again and again instead.
        """
        changes = services().events.changes(principal, query, request.headers.get("Last-Event-ID"))
        response = Response(_events(changes), content_type=EVENT_STREAM)
        response.call_on_close(changes.close)
        # Asks proxies that gather answers to let this one through at once.
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _events(changes: InPlace[Changes]) -> Iterator[str]:
    schema = ExecutionSchema()
    yield f"retry: {RECONNECT_MS}\n\n"
    known = None
    for found in changes:
        for execution in found.executions[:-1]:
            yield f"event: execution\ndata: {json.dumps(schema.dump(execution))}\n\n"
        for execution in found.executions[-1:]:
            # Only the last one of a look names it: who has got less of it gets it all again.
            yield f"id: {found.cursor}\nevent: execution\ndata: {json.dumps(schema.dump(execution))}\n\n"
        if not found.executions:
            # A comment: tells that the stream lives, and finds out when the client has gone. At the beginning an id,
            # so that a stream in which nothing happened can be gone on with, too.
            yield f"id: {found.cursor}\n\n" if known is None else ":\n\n"
        known = found.cursor
