"""The OpenAPI document, finished: examples of every answer, and the headers that answers carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from werkzeug.http import HTTP_STATUS_CODES

from webhookcron.api.openapi_examples import BY_OPERATION, BY_SCHEMA, ERRORS, STREAMS

DESCRIPTION = """\
Calls webhooks on schedule.

**Signing in**: every operation below `/api` takes `Authorization: Bearer …` with an API key (`whk_…`) or the access
token of a login. To try operations on this page, try out *Log in* (Accounts), which signs the page in, or press
*Authorize* and give a key.

**Errors** all have the body `{code, status, message, errors}`; `errors` names the place (`json`, `query`, `headers`),
then the field. **Moments** are RFC 3339 in UTC with milliseconds. Nothing is ignored: unknown fields and parameters
are refused. Answers of `/api` carry `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` and
`RateLimit-Policy`; every answer carries `X-Request-Id`, which the log of the server names, too.
"""

_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Location": {"description": "Where what is new can be found", "schema": {"type": "string"}},
    "ETag": {"description": "The version, for If-Match", "schema": {"type": "string", "example": '"3"'}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "example": 17}},
    "WWW-Authenticate": {
        "description": "How to sign in",
        "schema": {"type": "string", "example": 'Bearer realm="webhookcron"'},
    },
}

_OF_ERRORS = {401: "WWW-Authenticate", 412: "ETag", 429: "Retry-After", 503: "Retry-After"}


def finish(document: dict[str, Any]) -> dict[str, Any]:
    """`document`, with everything added that no single schema or view can say; it is changed in place."""
    for name, response in document["components"]["responses"].items():
        _finish_error(response, HTTPStatus[name].value)
    for operation in operations(document):
        versioned = _takes_version(operation)
        for code, response in operation["responses"].items():
            status = int(code)
            for type_, content in response.get("content", {}).items():
                content["example"] = _example(operation["operationId"], status, type_, content["schema"])
            if status == HTTPStatus.CREATED:
                _add_header(response, "Location")
            if versioned and status in (HTTPStatus.OK, HTTPStatus.CREATED):
                _add_header(response, "ETag")
    return document


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All operations of an OpenAPI document."""
    for item in document["paths"].values():
        yield from (operation for method, operation in item.items() if method != "parameters")


def _finish_error(response: dict[str, Any], status: int) -> None:
    # The library knows many more statuses than are used here; unused ones are not in the document.
    message, errors = ERRORS[status]
    response["content"]["application/json"]["example"] = {
        "code": status,
        "status": HTTP_STATUS_CODES[status],
        "message": message,
        "errors": errors,
    }
    if status in _OF_ERRORS:
        _add_header(response, _OF_ERRORS[status])


def _takes_version(operation: Mapping[str, Any]) -> bool:
    schemas = (
        content["schema"].get("$ref", "")
        for response in operation["responses"].values()
        for content in response.get("content", {}).values()
    )
    return any(schema.rpartition("/")[2] in ("Job", "Rotated") for schema in schemas)


def _example(operation_id: str, status: int, type_: str, schema: Mapping[str, Any]) -> Any:
    if (operation_id, status) in BY_OPERATION:
        return BY_OPERATION[operation_id, status]
    return STREAMS[type_] if type_ in STREAMS else BY_SCHEMA[schema["$ref"].rpartition("/")[2]]


def _add_header(response: dict[str, Any], name: str) -> None:
    response.setdefault("headers", {})[name] = _HEADERS[name]
