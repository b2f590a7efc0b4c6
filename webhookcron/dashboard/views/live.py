"""Keeping a list of executions up to date: a stream, and the same by asking again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Response, copy_current_request_context, render_template, request

from webhookcron.api.services import services
from webhookcron.core.errors import WebhookcronError
from webhookcron.dashboard.blueprint import blueprint
from webhookcron.dashboard.guard import Viewer, signed_in
from webhookcron.dashboard.log_filters import log_query
from webhookcron.dashboard.state import dashboard
from webhookcron.dashboard.template_tools import viewer_zone
from webhookcron.service.execution_log import LogQuery
from webhookcron.service.live_log import changed_since, cursor_of

LOOK_EVERY_SECONDS = 1.0

STREAM_SECONDS = 8.0
"""How long one stream lasts before the browser connects anew: a server that is told to stop waits for it, and the
session is looked at again."""

RECONNECT_MS = 250


@blueprint.get("/executions/rows")
@signed_in()
def live_rows(viewer: Viewer) -> Any:
    """What changed since `cursor`, at once; 204 when nothing did."""
    update = _update(viewer, _query(), request.args.get("cursor", ""))
    return ("", 204) if update is None else update


@blueprint.get("/executions/stream")
@signed_in()
def live_stream(viewer: Viewer) -> Any:
    """The same as server-sent events (WHATWG HTML, section 9.2); 503 when all places for streams are taken."""
    slots = dashboard().stream_slots
    if not slots.acquire(blocking=False):
        return {"message": "all live streams are taken: ask again and again instead"}, 503
    query = _query()
    cursor = request.headers.get("Last-Event-ID") or request.args.get("cursor", "")
    # A context for each look, not one for the whole stream: nothing is held while it sleeps.
    look = copy_current_request_context(partial(_update, viewer, query))
    response = Response(_events(look, cursor), mimetype="text/event-stream")
    response.call_on_close(slots.release)
    # Asks proxies that gather answers to let this one through at once.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _events(look: Callable[[str], dict[str, Any] | None], cursor: str) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    ends_at = time.monotonic() + STREAM_SECONDS
    while time.monotonic() < ends_at:
        try:
            update = look(cursor)
        except WebhookcronError:
            # A store is away: the browser connects again, and learns it from the answer.
            return
        if update is None:
            # A comment: tells that the stream lives, and finds out when the browser has gone.
            yield ":\n\n"
        else:
            cursor = update["cursor"]
            yield f"id: {cursor}\ndata: {json.dumps(update)}\n\n"
        time.sleep(LOOK_EVERY_SECONDS)


def _query() -> LogQuery:
    return log_query({name: value for name, value in request.args.items() if name != "after"}, viewer_zone())


def _update(viewer: Viewer, query: LogQuery, cursor: str) -> dict[str, Any] | None:
    executions = services().executions.page(viewer.principal, query).items
    now = cursor_of(executions)
    if now == cursor:
        return None
    rows = {
        execution.id: render_template("dashboard/_execution_row.html", execution=execution)
        for execution in changed_since(cursor, executions)
    }
    return {"cursor": now, "order": [execution.id for execution in executions], "rows": rows}
