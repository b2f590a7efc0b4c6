"""An attempt as a cURL command line, to make the call again from a terminal."""

from __future__ import annotations

import json
import shlex

from webhookcron.core.executions import Attempt
from webhookcron.core.request_spec import NoPayload, RequestSpec

# What cURL writes itself, and what would not be true of another call.
_LEFT_OUT = frozenset({"host", "content-length", "accept-encoding", "connection"})

LONGEST_BODY = 8_000
"""Characters; shells and terminals take no pleasure in more."""

BODY_FILE = "@body.json"


def curl_command(attempt: Attempt, request: RequestSpec | None) -> str | None:
    """The command; None when the attempt sent nothing.

    Secrets are redacted as in the log. The body is the payload of the job as `request` has it now; a job that sends
    the standard envelope, or is gone, or has a long payload, leaves `@body.json` to be filled in.
    """
    if attempt.request_method is None or attempt.request_url is None:
        return None
    parts = ["curl", "-X", attempt.request_method, shlex.quote(attempt.request_url)]
    lines = [" ".join(parts)]
    for name, value in attempt.request_headers:
        if name.lower() not in _LEFT_OUT:
            lines.append(f"-H {shlex.quote(f'{name}: {value}')}")
    if attempt.request_method not in ("GET", "HEAD"):
        lines.append(f"--data-binary {shlex.quote(_body(request))}")
    return " \\\n  ".join(lines)


def _body(request: RequestSpec | None) -> str:
    body = _payload(request)
    return body if len(body) <= LONGEST_BODY else BODY_FILE


def _payload(request: RequestSpec | None) -> str:
    if request is None or isinstance(request.payload, NoPayload):
        return BODY_FILE
    is_json = request.content_type is None or "json" in request.content_type.lower()
    if isinstance(request.payload, str) and not is_json:
        return request.payload
    return json.dumps(request.payload, ensure_ascii=False, separators=(",", ":"))
