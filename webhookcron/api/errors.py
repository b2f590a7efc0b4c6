"""Every error answer: one body {code, status, message, errors}, and one table from exceptions to statuses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import marshmallow as ma
import structlog
from flask import Flask
from flask_smorest import Api
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from webhookcron.api.schema_base import camel_case
from webhookcron.core.errors import (
    BrokerUnavailable,
    CorruptDocument,
    EmailTaken,
    KeyTaken,
    NotFinal,
    NotFound,
    SecretUnreadable,
    StoreUnavailable,
    TickSourceUnavailable,
    VersionConflict,
    WebhookcronError,
)
from webhookcron.service.errors import (
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    LoginFailed,
    NotReached,
    SessionEnded,
    TooMany,
)

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "1"

MAX_ENTRIES = 50
MAX_KEY_LENGTH = 100
MAX_SENTENCE_LENGTH = 400
"""What an answer tells of errors at most: names and sentences may repeat parts of the request."""

DEFAULT_MESSAGES = {
    400: "the request cannot be read",
    401: "an API key or a login is needed: send Authorization: Bearer whk_… or an access token",
    403: "this is not allowed",
    404: "there is no such resource",
    405: "this resource does not know this method",
    412: "the resource has another version meanwhile",
    413: "the request body is too large",
    415: "the body must be JSON",
    422: "the request is not valid; errors says where",
    500: "something went wrong here; the log has the details",
}


CHALLENGE = {"WWW-Authenticate": 'Bearer realm="webhookcron"'}
"""RFC 6750 section 3."""

UNAUTHORIZED: tuple[int, str, None, dict[str, str]] = (401, DEFAULT_MESSAGES[401], None, CHALLENGE)
"""The arguments of `error_answer` for a request without a valid credential."""


class ErrorSchema(ma.Schema):
    """The body of every error answer."""

    code = ma.fields.Integer(required=True, metadata={"description": "HTTP status code", "example": 422})
    status = ma.fields.String(
        required=True, metadata={"description": "Its name", "example": "Unprocessable Entity"}
    )
    message = ma.fields.String(
        required=True,
        metadata={"description": "What is wrong, as a sentence", "example": DEFAULT_MESSAGES[422]},
    )
    errors = ma.fields.Dict(
        required=True,
        metadata={
            "description": "By location (json, query, headers) and field: lists of sentences; empty where none apply",
            "example": {"json": {"cronExpression": ["A cron expression has 5 or 6 fields, this one has 4."]}},
        },
    )


class RestApi(Api):  # type: ignore[misc]
    """flask-smorest's Api with this project's error body."""

    ERROR_SCHEMA = ErrorSchema

    DEFAULT_ERROR_RESPONSE_NAME = None
    """Each operation lists its errors; a default would make any answer a documented one."""

    def handle_http_exception(self, error: HTTPException) -> Any:
        """The answer for an error that Flask, the argument parser or a view raised as an HTTP exception."""
        if error.code is None or error.code < 400:
            return error
        data = getattr(error, "data", None) or {}
        errors = data.get("errors", data.get("messages", {}))
        message = data.get("message") or DEFAULT_MESSAGES.get(error.code) or error.description or error.name
        headers = dict(data.get("headers") or {})
        if error.code == 405 and (allowed := getattr(error, "valid_methods", None)):
            headers["Allow"] = ", ".join(sorted(allowed))
        return error_answer(error.code, message, errors, headers)


def error_answer(
    code: int, message: str, errors: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Body, status and headers of an error answer."""
    body = {
        "code": code,
        "status": HTTP_STATUS_CODES.get(code, "Error"),
        "message": message,
        "errors": _bounded(errors or {}),
    }
    return body, code, dict(headers or {})


def register_error_handlers(app: Flask) -> None:
    """Answer every exception of this project as the table below says."""
    app.register_error_handler(WebhookcronError, error_answer_of)


def error_answer_of(error: Exception) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Body, status and headers of the answer to an exception of this project."""
    match error:
        case Invalid():
            return error_answer(422, DEFAULT_MESSAGES[422], {error.location: _on_the_wire(error.errors)})
        case NotFound():
            return error_answer(404, DEFAULT_MESSAGES[404])
        case KeyTaken():
            return error_answer(409, str(error), {"json": {"key": ["is already used by another job"]}})
        case Conflict():
            return error_answer(409, str(error))
        case NotFinal():
            return error_answer(
                409,
                "the execution is still under way, or its job's log is not complete up to it yet; try again later",
            )
        case KeyReused():
            message = "was used for another request before"
            return error_answer(422, DEFAULT_MESSAGES[422], {"headers": {"Idempotency-Key": [message]}})
        case TooMany():
            return error_answer(429, str(error), headers={"Retry-After": str(error.retry_after_seconds)})
        case LoginFailed() | SessionEnded():
            return error_answer(401, str(error), headers=CHALLENGE)
        case EmailTaken():
            return error_answer(409, str(error), {"json": {"email": [str(error)]}})
        case NotReached():
            return error_answer(503, str(error), headers={"Retry-After": RETRY_AFTER_SECONDS})
        case Forbidden():
            return error_answer(403, str(error))
        case VersionConflict():
            headers = {} if error.current_version is None else {"ETag": f'"{error.current_version}"'}
            return error_answer(412, DEFAULT_MESSAGES[412], headers=headers)
        case StoreUnavailable() | TickSourceUnavailable() | BrokerUnavailable():
            log.warning("api.unavailable", error=str(error))
            which = "MongoDB" if isinstance(error, StoreUnavailable) else "Redis"
            message = (
                f"{which} is away or too slow; nothing is known about the request's effect, so try again"
            )
            return error_answer(503, message, headers={"Retry-After": RETRY_AFTER_SECONDS})
        case SecretUnreadable():
            log.error("api.secret_unreadable", error=str(error))
            return error_answer(
                500,
                "a stored secret cannot be decrypted with the present WEBHOOKCRON_SECRET_KEY of this server",
            )
        case CorruptDocument():
            log.error("api.corrupt_document", document_id=str(error.document_id), error=error.reason)
            return error_answer(500, "a stored document cannot be read; the log has the details")
        case _:
            log.error("api.unexpected", error=repr(error))
            return error_answer(500, DEFAULT_MESSAGES[500])


def _bounded(errors: Any) -> Any:
    """`errors` in a size fit for an answer, whatever the request held."""
    if isinstance(errors, Mapping):
        return {
            str(key)[:MAX_KEY_LENGTH]: _bounded(value) for key, value in islice(errors.items(), MAX_ENTRIES)
        }
    if isinstance(errors, list | tuple):
        return [_bounded(value) for value in errors[:MAX_ENTRIES]]
    text = str(errors)
    return text if len(text) <= MAX_SENTENCE_LENGTH else text[: MAX_SENTENCE_LENGTH - 1] + "…"


def _on_the_wire(errors: Any) -> Any:
    """`errors` with its field names as clients write them."""
    if isinstance(errors, Mapping):
        return {
            camel_case(key) if isinstance(key, str) else key: _on_the_wire(value)
            for key, value in errors.items()
        }
    return errors
