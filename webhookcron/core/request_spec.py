"""What a job asks for, as plain decrypted values: the input of request building."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

DEFAULT_TIMEOUT_MS = 30_000
MIN_TIMEOUT_MS = 1_000
MAX_TIMEOUT_MS = 300_000
MAX_PAYLOAD_BYTES = 256 * 1024
DEFAULT_SUCCESS_STATUSES = "200-299"

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class NoPayload:
    """The type of NO_PAYLOAD: a job without payload, as opposed to one whose payload is JSON null."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NO_PAYLOAD"


NO_PAYLOAD: Final = NoPayload()


class AuthType(StrEnum):
    """How a call proves who sends it.

    basic   `Authorization: Basic` of username and password (RFC 7617).
    bearer  `Authorization: Bearer` of a fixed token (RFC 6750).
    header  one header of any name with a secret value.
    oauth2  `Authorization: Bearer` of a token got by the client credentials grant (RFC 6749 section 4.4).
    """

    BASIC = "basic"
    BEARER = "bearer"
    HEADER = "header"
    OAUTH2 = "oauth2"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSpec:
    """The credentials of a job, flat as in the API; which fields count follows from `type`.

    basic: username, password · bearer: token · header: header_name, header_value ·
    oauth2: token_url, client_id, client_secret, and optionally scope and audience.
    """

    type: AuthType
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    header_name: str = ""
    header_value: str = field(default="", repr=False)
    token_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scope: str | None = None
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A `whsec_…` secret; one rotated out signs until `expires_at` (None = it is the present one)."""

    secret: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """One job's request, all secrets decrypted.

    url               the webhook URL, without the query parameters of `query`.
    headers           the job's own headers by name; values may hold placeholders.
    secret_headers    names of those whose values are hidden in logs; Authorization and Cookie always are.
    query             parameters added to the URL's own query; values may hold placeholders.
    payload           a JSON value, or text when `content_type` is not JSON; NO_PAYLOAD = the envelope.
    content_type      None = application/json. A string payload under a JSON content type is sent as a JSON
                      string; under any other, as that text.
    timeout_ms        one deadline for the whole attempt, redirects and token included.
    success_statuses  as "200-299,304".
    success_body      None, {"pattern": …} or {"jsonPath": …, "equals": …}.
    signing_secrets   all that sign at present, the newest first; ignored unless `signing`.
    """

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    secret_headers: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    payload: Any = NO_PAYLOAD
    content_type: str | None = None
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    success_statuses: str = DEFAULT_SUCCESS_STATUSES
    success_body: dict[str, Any] | None = None
    follow_redirects: bool = False
    auth: AuthSpec | None = None
    signing: bool = True
    signing_secrets: tuple[SigningSecret, ...] = ()


@dataclass(slots=True, kw_only=True)
class FireContext:
    """The facts of one attempt that its request tells the receiver.

    scheduled_at  the fire time, aware; for manual runs the moment of the trigger.
    attempt       from 1.
    trigger       schedule, manual, backfill or replay.
    traceparent   the attempt's place in a trace (W3C Trace Context); None = traces are off.
    """

    job_id: str
    job_name: str
    execution_id: str
    scheduled_at: datetime
    attempt: int
    trigger: str
    traceparent: str | None = None
