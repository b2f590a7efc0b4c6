"""What is kept of one HTTP call: pure."""

from __future__ import annotations

import base64
import codecs
import re
from datetime import datetime
from functools import lru_cache

from webhookcron.core.executions import MILLISECOND, Attempt, AttemptError, FollowedRedirect
from webhookcron.core.headers import ALWAYS_SECRET, redacted
from webhookcron.core.outcomes import Outcome
from webhookcron.delivery.transport_types import Headers, HttpRequest, HttpResult, Phases, PreparedHeaders

# A target may redirect to URLs as long as any, and an execution may have a hundred attempts with five of them each.
MAX_SHOWN_URL = 2_000

# Text is kept as text in these charsets, too, when the target names one. Any other name is the target's fancy: Python
# knows "charsets" that decompress, or run for long.
_CHARSETS = frozenset(
    [
        "us-ascii",
        "iso-8859-1",
        "iso-8859-2",
        "iso-8859-5",
        "iso-8859-7",
        "iso-8859-9",
        "iso-8859-15",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
        "windows-1254",
        "koi8-r",
        "koi8-u",
        "shift_jis",
        "euc-jp",
        "iso-2022-jp",
        "gbk",
        "gb2312",
        "gb18030",
        "big5",
        "euc-kr",
        "utf-16",
        "utf-16le",
        "utf-16be",
    ]
)
_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([A-Za-z0-9_-]{1,20})', re.IGNORECASE)

# Cookies that the target sets are what the Cookie header would hold.
_SECRET_IN_RESPONSES = ALWAYS_SECRET | {"set-cookie"}


def attempt_of(
    *,
    number: int,
    scheduled_at: datetime,
    started_at: datetime,
    request: HttpRequest | None,
    result: HttpResult,
    outcome: Outcome,
) -> Attempt:
    """The attempt that a call was, secrets redacted; `request` is None when none could be sent."""
    body, is_base64 = _body_text(result.body, result.header("content-type"))
    secret = frozenset() if request is None else request.confidential
    failure = outcome.failure
    return Attempt(
        number=number,
        started_at=started_at,
        duration_ms=round(result.phases.total),
        phases=_phases(result.phases),
        lateness_ms=(started_at - scheduled_at) // MILLISECOND,
        request_method=None if request is None else request.method,
        request_url=None if request is None else request.url,
        request_headers=() if request is None else _shown(request),
        redirects=tuple(
            FollowedRedirect(status=r.status, url=r.url[:MAX_SHOWN_URL]) for r in result.redirects
        ),
        response_status=result.status,
        response_headers=redacted(result.headers, _secret_in_responses(secret)),
        response_body=body if result.status is not None else None,
        response_body_base64=is_base64,
        truncated=result.truncated,
        error=None if failure is None else AttemptError(kind=failure.kind.value, message=failure.message),
    )


@lru_cache(maxsize=256)
def _secret_in_responses(confidential: frozenset[str]) -> frozenset[str]:
    return _SECRET_IN_RESPONSES | confidential


def _shown(request: HttpRequest) -> Headers:
    headers = request.headers
    if isinstance(headers, PreparedHeaders):
        return headers.shown
    return redacted(headers, ALWAYS_SECRET | request.confidential)


def _body_text(body: bytes, content_type: str | None) -> tuple[str, bool]:
    """The body as text, or in base64 with True. A character that the size limit cut in two is dropped."""
    named = _CHARSET.search(content_type or "")
    if named is not None and (charset := named[1].lower()) in _CHARSETS:
        try:
            return codecs.getincrementaldecoder(charset)().decode(body), False
        except UnicodeError:
            # The name is wrong; perhaps it is UTF-8 all the same.
            pass
    try:
        return body.decode(), False
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start >= len(body) - 3:
            return body[: error.start].decode(), False
    return base64.b64encode(body).decode("ascii"), True


def _phases(phases: Phases) -> dict[str, float]:
    name_lookup, connect, tls, first_byte, total = phases
    if name_lookup is connect is tls is None and first_byte is not None:
        # On a kept connection, as most calls are.
        return {"firstByteMs": round(first_byte, 1), "totalMs": round(total, 1)}
    named = (
        ("nameLookupMs", name_lookup),
        ("connectMs", connect),
        ("tlsMs", tls),
        ("firstByteMs", first_byte),
        ("totalMs", total),
    )
    return {name: round(value, 1) for name, value in named if value is not None}
