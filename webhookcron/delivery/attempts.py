"""What is kept of one HTTP call: pure."""

from __future__ import annotations

import base64
from datetime import datetime

from webhookcron.core.executions import Attempt, AttemptError
from webhookcron.core.headers import ALWAYS_SECRET, redacted
from webhookcron.core.outcomes import Outcome
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Phases


def attempt_of(
    *, number: int, started_at: datetime, request: HttpRequest | None, result: HttpResult, outcome: Outcome
) -> Attempt:
    """The attempt that a call was, secrets redacted; `request` is None when none could be sent."""
    body, is_base64 = _body_text(result.body)
    failure = outcome.failure
    return Attempt(
        number=number,
        started_at=started_at,
        duration_ms=round(result.phases.total),
        phases=_phases(result.phases),
        request_method=None if request is None else request.method,
        request_url=None if request is None else request.url,
        request_headers=()
        if request is None
        else redacted(request.headers, ALWAYS_SECRET | request.confidential),
        response_status=result.status,
        response_headers=result.headers,
        response_body=body if result.status is not None else None,
        response_body_base64=is_base64,
        truncated=result.truncated,
        error=None if failure is None else AttemptError(kind=failure.kind.value, message=failure.message),
    )


def _body_text(body: bytes) -> tuple[str, bool]:
    """The body as text, or in base64 with True. A character that the size limit cut in two is dropped."""
    try:
        return body.decode(), False
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start >= len(body) - 3:
            return body[: error.start].decode(), False
    return base64.b64encode(body).decode("ascii"), True


def _phases(phases: Phases) -> dict[str, float]:
    named = {
        "nameLookupMs": phases.name_lookup,
        "connectMs": phases.connect,
        "tlsMs": phases.tls,
        "firstByteMs": phases.first_byte,
        "totalMs": phases.total,
    }
    return {name: round(value, 1) for name, value in named.items() if value is not None}
