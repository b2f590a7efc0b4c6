"""From a job's request and the facts of a fire to the exact bytes that are sent.

`RequestTemplate.of` does once per job version what does not change from fire to fire; `build` does the rest.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from webhookcron.core.executions import from_ms, to_ms
from webhookcron.core.headers import check_header_value, redacted, secret_names
from webhookcron.core.placeholders import NAMES, Template, check_json, check_text
from webhookcron.core.request_spec import (
    MAX_PAYLOAD_BYTES,
    NO_PAYLOAD,
    AuthSpec,
    AuthType,
    FireContext,
    RequestSpec,
    SigningSecret,
)
from webhookcron.core.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signature_headers
from webhookcron.core.success import SuccessRule
from webhookcron.core.target_urls import MAX_URL_LENGTH
from webhookcron.delivery.transport_types import FixedHeaders, Headers, HttpRequest, PreparedHeaders

ENVELOPE_TYPE = "cron.fired"
JSON_TYPE = "application/json"
TRACE_HEADER = "traceparent"
"""W3C Trace Context section 3.2.1: lower case is preferred."""

# No placeholder's value is longer, percent-encoded: the id of a replay of a backfilled execution has 92 characters.
_LONGEST_VALUE = 128

# Without payload these carry no body (RFC 9110 section 9.3 gives a body in them no meaning); the others
# carry the envelope.
BODILESS_METHODS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

# The headers that the platform sets at every fire hold no secret, unless a job calls one of them so.
_OWN_HEADERS = frozenset(
    {
        "x-webhookcron-job-id",
        "x-webhookcron-execution-id",
        "x-webhookcron-scheduled-at",
        "x-webhookcron-scheduled-at-ms",
        "x-webhookcron-attempt",
        "x-webhookcron-trigger",
        ID_HEADER,
        TIMESTAMP_HEADER,
        TRACE_HEADER,
        SIGNATURE_HEADER,
    }
)

# Made once: `json.dumps` makes an encoder per call when it is asked for anything but its defaults.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """A job's request with everything prepared that does not depend on the fire. Made by `of`.

    success  judges the results of its calls.
    auth     the job's credentials; those of OAuth need a token at every `build`.
    """

    spec: RequestSpec
    success: SuccessRule
    auth: AuthSpec | None
    _url: Template
    _fixed: FixedHeaders
    _fixed_shown: Headers
    _all_plain: bool
    """Whether no header that differs from fire to fire holds a secret."""
    _filled_headers: tuple[tuple[str, Template], ...]
    _body: bytes | Template | None
    _escape: Callable[[str], str] | None
    _envelope: bool
    _confidential: frozenset[str]
    _signing_secrets: tuple[SigningSecret, ...]

    @classmethod
    def of(cls, spec: RequestSpec) -> RequestTemplate:
        """The template of a job's request.

        Raises ValueError, fit for a user, when the request cannot be built: an unknown placeholder, a payload
        that does not suit its content type or is larger than 256 KiB, a HEAD request with a payload,
        signing without a secret, unreadable success rules, a URL too long with its query. Header names and what
        the URL leads to are not judged here.
        """
        for value in (*(value for _, value in spec.headers), *(value for _, value in spec.query)):
            check_text(value)
        if spec.signing and not any(secret.expires_at is None for secret in spec.signing_secrets):
            raise ValueError("signing is on, but there is no signing secret")
        has_payload = spec.payload is not NO_PAYLOAD
        if has_payload and spec.method == "HEAD":
            raise ValueError("a HEAD request cannot carry a payload")
        check_url_length(spec)
        envelope = not has_payload and spec.method not in BODILESS_METHODS
        content_type = JSON_TYPE if envelope else content_type_of(spec)
        body: bytes | Template | None = None
        if has_payload:
            check_json(spec.payload)
            template = Template.of(encode_payload(spec.payload, content_type))
            body = template if template.names else template.fill({}).encode()
        constant, filled = _split_headers(spec, content_type if has_payload or envelope else None)
        auth_names = [spec.auth.header_name] if spec.auth and spec.auth.type is AuthType.HEADER else []
        confidential = secret_names((*spec.secret_headers, *auth_names))
        needs_token = spec.auth is not None and spec.auth.type is AuthType.OAUTH2
        return cls(
            spec=spec,
            success=SuccessRule.parse(spec.success_statuses, spec.success_body),
            auth=spec.auth,
            _url=_url_template(spec),
            _fixed=FixedHeaders(constant),
            _fixed_shown=redacted(constant, confidential),
            _all_plain=not filled and not needs_token and confidential.isdisjoint(_OWN_HEADERS),
            _filled_headers=filled,
            _body=body,
            _escape=_json_escaped if is_json(content_type) else None,
            _envelope=envelope,
            _confidential=confidential,
            _signing_secrets=spec.signing_secrets if spec.signing else (),
        )

    @property
    def payload_bytes(self) -> int:
        """About how much memory its payload takes; characters beyond ASCII make it more."""
        body = self._body
        return sum(map(len, body.pieces)) if isinstance(body, Template) else len(body or b"")

    @property
    def needs_token(self) -> bool:
        """True when `build` needs the access token of an OAuth grant."""
        return self.auth is not None and self.auth.type is AuthType.OAUTH2

    def build(
        self,
        context: FireContext,
        *,
        now: datetime,
        timeout_ms: int | None = None,
        access_token: str | None = None,
    ) -> HttpRequest:
        """The request of one attempt, signed for `now` (aware; the platform's time).

        `timeout_ms` is what is left of the job's deadline; None = all of it. Raises ValueError when an OAuth
        job is given no token, or a placeholder's value cannot stand in a header.
        """
        scheduled_at_ms = to_ms(context.scheduled_at)
        scheduled_at = _rfc3339(scheduled_at_ms)
        attempt = str(context.attempt)
        values = {
            "scheduledAt": scheduled_at,
            "executionId": context.execution_id,
            "jobId": context.job_id,
            "attempt": attempt,
        }
        if self._envelope:
            body: bytes | None = _envelope(context, scheduled_at)
        elif isinstance(self._body, Template):
            body = self._body.fill(values, self._escape).encode()
        else:
            body = self._body
        secrets = [
            secret.secret
            for secret in self._signing_secrets
            if secret.expires_at is None or now < secret.expires_at
        ]
        varying = (
            *self._fill_headers(values),
            ("X-Webhookcron-Job-Id", context.job_id),
            ("X-Webhookcron-Execution-Id", context.execution_id),
            ("X-Webhookcron-Scheduled-At", scheduled_at),
            ("X-Webhookcron-Scheduled-At-Ms", str(scheduled_at_ms)),
            ("X-Webhookcron-Attempt", attempt),
            ("X-Webhookcron-Trigger", context.trigger),
            *self._token_header(access_token),
            *self._trace_header(context.traceparent),
            *signature_headers(secrets, context.execution_id, int(now.timestamp()), body or b""),
        )
        headers = PreparedHeaders((*self._fixed, *varying))
        headers.fixed = self._fixed
        headers.shown = (
            *self._fixed_shown,
            *(varying if self._all_plain else redacted(varying, self._confidential)),
        )
        return HttpRequest(
            method=self.spec.method,
            url=self._url.fill(values, _query_escaped),
            headers=headers,
            body=body,
            timeout_ms=self.spec.timeout_ms if timeout_ms is None else timeout_ms,
            follow_redirects=self.spec.follow_redirects,
            confidential=self._confidential,
        )

    def _fill_headers(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        if not self._filled_headers:
            return ()
        filled = tuple((name, template.fill(values)) for name, template in self._filled_headers)
        for name, value in filled:
            check_header_value(name, value)
        return filled

    def _trace_header(self, traceparent: str | None) -> tuple[tuple[str, str], ...]:
        # A job that says what it is part of is believed.
        if traceparent is None or any(name.lower() == TRACE_HEADER for name, _ in self.spec.headers):
            return ()
        return ((TRACE_HEADER, traceparent),)

    def _token_header(self, access_token: str | None) -> tuple[tuple[str, str], ...]:
        if not self.needs_token:
            return ()
        if access_token is None:
            raise ValueError("the request needs an access token")
        return (("Authorization", f"Bearer {access_token}"),)


def build_request(
    spec: RequestSpec, context: FireContext, *, now: datetime, access_token: str | None = None
) -> HttpRequest:
    """The request of one attempt of a job that is called once; see RequestTemplate for many calls."""
    return RequestTemplate.of(spec).build(context, now=now, access_token=access_token)


def check_url_length(spec: RequestSpec) -> None:
    """Raise ValueError, fit for a user, when the URL with its query would be too long to be called."""
    length = len(_url_template(spec).fill(dict.fromkeys(NAMES, "x" * _LONGEST_VALUE)))
    if length > MAX_URL_LENGTH:
        raise ValueError(
            f"the URL with its query, percent-encoded, has {length} characters; at most {MAX_URL_LENGTH} are allowed"
        )


def encode_payload(payload: Any, content_type: str = JSON_TYPE) -> str:
    """A payload as it is sent under that content type, placeholders still in it.

    Raises ValueError, fit for a user, when it is neither JSON nor text that suits the type, or when it is larger
    than 256 KiB.
    """
    if is_json(content_type):
        try:
            text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the payload cannot be written as JSON: {error}") from error
    elif isinstance(payload, str):
        text = payload
    else:
        raise ValueError(f"with the content type {content_type!r} the payload must be text")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("the payload holds half of a surrogate pair, which UTF-8 cannot express") from error
    if size > MAX_PAYLOAD_BYTES:
        raise ValueError(f"the payload has {size} bytes; at most {MAX_PAYLOAD_BYTES} are allowed")
    return text


def content_type_of(spec: RequestSpec) -> str:
    """The content type of a job's payload: its own Content-Type header, else `contentType`, else JSON."""
    given = next((value for name, value in spec.headers if name.lower() == "content-type"), None)
    return given or spec.content_type or JSON_TYPE


def is_json(content_type: str) -> bool:
    """Whether the media type is JSON or built on it (RFC 6839 section 3.1), its parameters aside."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == JSON_TYPE or media_type.endswith("+json")


def _split_headers(
    spec: RequestSpec, content_type: str | None
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, Template], ...]]:
    """The headers that are the same at every fire, and those with placeholders."""
    constant: list[tuple[str, str]] = []
    filled: list[tuple[str, Template]] = []
    of_auth = _auth_headers(spec.auth)
    taken = {name.lower() for name, _ in of_auth}
    if spec.auth is not None and spec.auth.type is AuthType.OAUTH2:
        taken.add("authorization")
    if content_type is not None:
        constant.append(("Content-Type", content_type))
        taken.add("content-type")
    for name, value in spec.headers:
        if name.lower() in taken:
            continue
        template = Template.of(value)
        if template.names:
            filled.append((name, template))
        else:
            constant.append((name, value))
    return (*constant, *of_auth), tuple(filled)


def _auth_headers(auth: AuthSpec | None) -> tuple[tuple[str, str], ...]:
    if auth is None or auth.type is AuthType.OAUTH2:
        return ()
    if auth.type is AuthType.BASIC:
        credentials = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode("ascii")
        return (("Authorization", f"Basic {credentials}"),)
    if auth.type is AuthType.BEARER:
        return (("Authorization", f"Bearer {auth.token}"),)
    return ((auth.header_name, auth.header_value),)


def _url_template(spec: RequestSpec) -> Template:
    """The URL with its query, percent-encoded but for the placeholders (which are filled in encoded)."""
    base = spec.url.partition("#")[0]
    url = Template(pieces=(base,), names=())
    for number, (name, value) in enumerate(spec.query):
        separator = "&" if number or "?" in base else "?"
        template = Template.of(value)
        first, *rest = (_query_escaped(piece) for piece in template.pieces)
        *before, last = url.pieces
        url = Template(
            pieces=(*before, f"{last}{separator}{_query_escaped(name)}={first}", *rest),
            names=(*url.names, *template.names),
        )
    return url


def _envelope(context: FireContext, scheduled_at: str) -> bytes:
    """The body of jobs without payload, in the shape that Standard Webhooks 1.0 proposes for events."""
    text = (
        f'{{"type":"{ENVELOPE_TYPE}","timestamp":"{scheduled_at}","data":{{"jobId":{_to_json(context.job_id)},'
        f'"jobName":{_to_json(context.job_name)},"executionId":{_to_json(context.execution_id)},'
        f'"scheduledAt":"{scheduled_at}","attempt":{context.attempt},"trigger":{_to_json(context.trigger)}}}}}'
    )
    # A job name may hold half of a surrogate pair, which no UTF-8 can express.
    return text.encode(errors="replace")


def _rfc3339(ms: int) -> str:
    seconds, milliseconds = divmod(ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """A second since 1970, as many fires of a moment share it."""
    return from_ms(seconds * 1000).isoformat()[:-6]


def _query_escaped(text: str) -> str:
    return quote(text, safe="")


def _json_escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
