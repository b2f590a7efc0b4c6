"""Nothing that a request says goes unheard: what an operation does not know is refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import request
from flask_smorest import abort

from webhookcron.api.json_body import body_of

BODILESS_METHODS = frozenset({"GET", "HEAD"})

_UNKNOWN = ["is not a known field"]

ERRORS_OF_ALL = (422, 429, 503)
ERRORS_WITH_BODIES = (400, 413, 415)
"""Statuses that operations may answer with, whatever they do."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an operation reads of a request."""

    query: bool
    body: bool

    @classmethod
    def by(cls, doc: Mapping[str, Any]) -> Heard:
        """What the operation with this flask-smorest documentation reads."""
        places = {parameter["in"] for parameter in doc.get("arguments", {}).get("parameters", ())}
        return cls(query="query" in places, body="json" in places)

    def refuse_the_rest(self) -> None:
        """Abort with 422 when the present request has parameters or a body that nobody would read.

        An empty object passes as a body. What is no JSON gets the answers of `body_of`.
        """
        if not self.query and request.args:
            abort(422, errors={"query": dict.fromkeys(request.args, _UNKNOWN)})
        if not self.body and request.method not in BODILESS_METHODS:
            given = body_of(request, optional=True)
            if not isinstance(given, dict):
                abort(422, errors={"json": {"_schema": ["this operation takes no body"]}})
            if given:
                abort(422, errors={"json": dict.fromkeys(given, _UNKNOWN)})


def document_errors(doc: dict[str, Any], method: str) -> None:
    """Add to `doc` what any operation with `method` may answer."""
    responses = doc.setdefault("response", {}).setdefault("responses", {})
    for status in (*ERRORS_OF_ALL, *(() if method in BODILESS_METHODS else ERRORS_WITH_BODIES)):
        # By their names in this version of Python, as flask-smorest does it.
        responses.setdefault(status, [HTTPStatus(status).name])
