"""Reading JSON bodies strictly, before any schema looks at them."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import flask
import marshmallow as ma
from webargs.flaskparser import FlaskParser, abort, is_json_request

MAX_DEPTH = 64
"""Objects and arrays inside each other; far beyond any sensible payload."""

MAX_INTEGER = 2**64
"""Integers from here on lose digits in most receivers; they are refused, not rounded."""


class BadJson(ValueError):
    """The body is not JSON that can be taken as it is; the message says why and repeats none of it."""


def parse_json_body(body: bytes) -> Any:
    """The JSON value of `body`.

    Raises BadJson for what is not JSON in UTF-8 (RFC 8259), for NaN and Infinity, numbers that are too large, names
    that come twice in an object, nesting deeper than `MAX_DEPTH`, and escapes of half a character (lone surrogates).
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_each_name_once,
        )
    except UnicodeDecodeError:
        raise BadJson("the body is not UTF-8") from None
    except RecursionError:
        raise BadJson(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
    _check_depth(value)
    if b"\\u" in body:
        _check_text(value)
    return value


def _no_constant(name: str) -> NoReturn:
    raise BadJson(f"the body holds {name}, which is not JSON")


def _each_name_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    # Which of two is meant, readers disagree about (RFC 8259 section 4): a check could see one, and use see the other.
    value = dict(members)
    if len(value) != len(members):
        raise BadJson("the body holds an object with the same name twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise BadJson("the body holds a number that is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) >= MAX_INTEGER:
        raise BadJson("the body holds an integer of more than 64 bits; send it as text")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise BadJson(f"the body is nested deeper than {MAX_DEPTH} levels")


def _check_text(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadJson("the body holds half of a surrogate pair") from None


def body_of(req: flask.Request, *, optional: bool = False) -> Any:
    """The JSON value that `req` brings; the empty object when it brings none and that is `optional`.

    Aborts with 400 when it is no JSON, with 415 when it says that it is something else, with 413 when it is too large.
    """
    body = req.get_data(cache=True)
    if not body:
        if optional:
            return {}
        abort(400, message="a JSON body is needed")
    if req.mimetype and not is_json_request(req):
        abort(415, message="the body must be JSON: send it with Content-Type: application/json")
    try:
        return parse_json_body(body)
    except BadJson as error:
        abort(400, exc=error, message=str(error))


_UNKNOWN_REFUSED = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}


class StrictParser(FlaskParser):
    """Reads request parameters; unknown ones are refused wherever they come from."""

    DEFAULT_UNKNOWN_BY_LOCATION = _UNKNOWN_REFUSED

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        """The body's JSON value."""
        return body_of(req, optional=getattr(schema, "body_optional", False))

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        """The query string; aborts with 422 when a parameter comes twice, as only one could be heard."""
        twice = {name: ["is given more than once"] for name, values in req.args.lists() if len(values) > 1}
        if twice:
            abort(422, errors={"query": twice})
        return super().load_querystring(req, schema)
