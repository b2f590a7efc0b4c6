"""What goes into the transport and what comes out of it, in the project's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from webhookcron.core.outcomes import Failure

MAX_KEPT_HEADERS = 64
MAX_KEPT_HEADER_BYTES = 16 * 1024
DEFAULT_KEPT_BODY_BYTES = 16 * 1024


Headers = tuple[tuple[str, str], ...]


class FixedHeaders(Headers):
    """Headers that are the same at every call of a job."""

    as_sent: Any = None
    """Left to the transport, which keeps here how it sends them."""


class PreparedHeaders(Headers):
    """Headers of one call of many, with what was made of them beforehand."""

    fixed: FixedHeaders
    """The first ones of them."""
    shown: Headers
    """All of them as logs show them, secrets redacted."""


@dataclass(slots=True, kw_only=True)
class HttpRequest:
    """One HTTP call. Treated as immutable. (Freezing it would triple what making one costs, which every fire pays.)

    method              upper case.
    url                 absolute, http or https; judged by the transport's policy before anything else.
    headers             sent in this order; values in ISO 8859-1. Host and Content-Length are the transport's.
                        `PreparedHeaders` save work where a job is called again and again.
    body                None = no body at all; b"" = an empty one, with `Content-Length: 0`.
    timeout_ms          one deadline for the whole transfer from the start of name resolution to the last byte
                        of the body, all redirects included. Waiting for a free connection is not part of it.
    max_response_bytes  how much of the response body is kept, counted after decompression.
    follow_redirects    go along with up to five redirects; otherwise a 3xx is the response.
    confidential        lower-case names of headers, besides Authorization, Cookie and the signature, that no
                        other origin may see when a redirect leads there.
    verify_tls          check certificate and host name.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes | None = None
    timeout_ms: int
    max_response_bytes: int = DEFAULT_KEPT_BODY_BYTES
    follow_redirects: bool = False
    confidential: frozenset[str] = frozenset()
    verify_tls: bool = True


class Phases(NamedTuple):
    """Milliseconds from the start of a transfer until each of its phases ended; None for one not reached.

    name_lookup  the host name was resolved.
    connect      the TCP connection stood.
    tls          the TLS handshake was done.
    first_byte   the first byte of the response arrived.
    total        the transfer was over.

    On a reused connection the first three are None. With redirects `total` is over all hops, and with an OAuth token
    over its fetching, too; the others are those of the last hop, from its own start.
    """

    name_lookup: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float = 0.0

    def later(self, ms: float) -> Phases:
        """The phases of a transfer that began so long after the lookup of its name did, counted from there."""
        name_lookup, *others = (self.name_lookup, self.connect, self.tls, self.first_byte)
        connect, tls, first_byte = (None if phase is None else phase + ms for phase in others)
        return Phases(
            name_lookup=(name_lookup or 0.0) + ms,
            connect=connect,
            tls=tls,
            first_byte=first_byte,
            total=self.total + ms,
        )


NO_PHASES = Phases()
"""Of a transfer that did not begin."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect that was followed: the status that asked for it, and the URL it led to."""

    status: int
    url: str


@dataclass(slots=True, kw_only=True)
class HttpResult:
    """How a call ended. Treated as immutable, like `HttpRequest`.

    status             of the last response; None when none came. It may be set together with `failure` when
                       the transfer broke off after the headers.
    headers            of the last response, at most 64 and 16 KiB.
    body               its beginning, decompressed, at most `max_response_bytes`.
    truncated          True when there was more body than is kept.
    failure            None when a complete response came, whatever its status (that is judged elsewhere).
    remote_address     the IP address that was connected; None when none was.
    http_version       "1.0", "1.1", "2" or "3"; None without a response.
    redirects          those followed, in order.
    reused_connection  True when no new connection was made for the last hop.
    """

    status: int | None = None
    headers: Headers = ()
    body: bytes = b""
    truncated: bool = False
    failure: Failure | None = None
    phases: Phases = NO_PHASES
    remote_address: str | None = None
    http_version: str | None = None
    redirects: tuple[Redirect, ...] = ()
    reused_connection: bool = False

    def header(self, name: str) -> str | None:
        """The value of the first response header of that name (case does not matter); None when absent."""
        lowered = name.lower()
        for key, value in self.headers:
            if key.lower() == lowered:
                return value
        return None
