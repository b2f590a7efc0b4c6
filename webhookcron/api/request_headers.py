"""Request headers with a meaning here: If-Match and Idempotency-Key."""

from __future__ import annotations

import re

from flask import request
from flask_smorest import abort

from webhookcron.api.errors import DEFAULT_MESSAGES
from webhookcron.service.conditions import UNCONDITIONAL, Condition

_ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')
_ENTITY_TAGS = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

IF_MATCH_PARAMETER = {
    "in": "header",
    "name": "If-Match",
    "description": "Change only this version: the ETag that you read, or `*`. 412 when there is another one by now.",
    "schema": {"type": "string", "example": '"3"'},
}

IDEMPOTENCY_KEY_PARAMETER = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "1 to 255 visible ASCII characters of your choice. Repeating a request with the same key has no "
    "further effect.",
    "schema": {"type": "string", "example": "4fe2a1c0-report-2030-01-31"},
}


def if_match() -> Condition:
    """The condition of the present request (RFC 9110 section 13.1.1): strong comparison with versions."""
    header = request.headers.get("If-Match")
    if header is None:
        return UNCONDITIONAL
    if header.strip() == "*":
        return Condition(None, given=True)
    if not _ENTITY_TAGS.fullmatch(header):
        _refuse("If-Match", 'must be an ETag in quotes such as "3", several of them, or *')
    versions = frozenset(
        int(tag)
        for weak, tag in _ENTITY_TAG.findall(header)
        # A weak tag never matches, and neither does one that is no version.
        if not weak and re.fullmatch(r"[0-9]{1,18}", tag, re.ASCII)
    )
    return Condition(versions, given=True)


def idempotency_key() -> str | None:
    """The Idempotency-Key of the present request; None without one."""
    header = request.headers.get("Idempotency-Key")
    if header is not None and not _IDEMPOTENCY_KEY.fullmatch(header):
        _refuse("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    return header


def etag(version: int) -> dict[str, str]:
    """The response header that names a version."""
    return {"ETag": f'"{version}"'}


def _refuse(name: str, message: str) -> None:
    abort(422, message=DEFAULT_MESSAGES[422], errors={"headers": {name: [message]}})
