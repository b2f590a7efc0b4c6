"""What is told of every request: an id, a line in the log, and its figures at `/metrics`."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

import structlog
from flask import Flask, Response, g, request

from webhookcron.metrics.api import CONTENT_TYPE, ApiMetrics

log = structlog.get_logger(__name__)

REQUEST_ID = "X-Request-Id"

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def register_observing(app: Flask, metrics: ApiMetrics) -> None:
    """Give each request an id (a proxy's, if it sent a sound one) that is in the log and in the answer."""
    app.before_request(_begin)
    app.after_request(_ended(metrics))
    app.teardown_request(_forget)
    app.add_url_rule("/metrics", "metrics", lambda: Response(metrics.exposition(), content_type=CONTENT_TYPE))


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
    g.request_began = time.monotonic()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _ended(metrics: ApiMetrics) -> Callable[[Response], Response]:
    def ended(response: Response) -> Response:
        began = g.get("request_began")
        if began is None:
            return response
        seconds = time.monotonic() - began
        route = None if request.url_rule is None else request.url_rule.rule
        metrics.answered(route=route, method=request.method, status=response.status_code, seconds=seconds)
        response.headers[REQUEST_ID] = g.request_id
        # Reads are many and change nothing: they are told on demand.
        telling = request.method not in ("GET", "HEAD", "OPTIONS") or response.status_code >= 500
        (log.info if telling else log.debug)(
            "api.request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
        )
        return response

    return ended


def _forget(_error: BaseException | None) -> None:
    structlog.contextvars.unbind_contextvars("request_id")
