"""One transfer on a reusable libcurl handle: its options, its callbacks, its result."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pycurl

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.target_urls import TargetUrl
from webhookcron.core.targets import Refusal, TargetPolicy
from webhookcron.delivery.curl_connections import ConnectionWatch
from webhookcron.delivery.curl_errors import failure_of
from webhookcron.delivery.transport_types import (
    MAX_KEPT_HEADER_BYTES,
    MAX_KEPT_HEADERS,
    Headers,
    HttpRequest,
    HttpResult,
    Phases,
    PreparedHeaders,
)

# How far a response body is read on beyond what is kept, after decompression. Reading to the end keeps the
# connection for the next call; past this bound the connection is given up instead.
MAX_READ_BYTES = 1024 * 1024

CUT_HEADERS = "the connection was closed before the headers of the response were complete"

_HTTP_VERSIONS = {
    pycurl.CURL_HTTP_VERSION_1_0: "1.0",
    pycurl.CURL_HTTP_VERSION_1_1: "1.1",
    pycurl.CURL_HTTP_VERSION_2_0: "2",
    pycurl.CURL_HTTP_VERSION_3: "3",
}

# Longer lines of responses are read anew each time, so that remembering them stays small.
_MOST_REMEMBERED_BYTES = 256

_KNOWN_CODINGS = frozenset({"", "identity", "none", "gzip", "x-gzip", "deflate", "br"})

_FORBIDDEN_IN_HEADERS = re.compile("[\r\n\0]")


class _LentSocket(socket.socket):
    """A socket of which libcurl is given a duplicate; this one closes as soon as nobody holds it."""

    def __del__(self) -> None:
        self.close()


class Transfer:
    """A libcurl handle with the state of the transfer it carries; used again and again, one at a time."""

    __slots__ = (
        "_body",
        "_connections",
        "_first_byte_at",
        "_header_bytes",
        "_header_lines",
        "_headers_ended",
        "_keep",
        "_local",
        "_on_refusal",
        "_opened",
        "_policy",
        "_received",
        "_requests",
        "_settings",
        "_shape",
        "_socket_error",
        "_stale",
        "_started_at",
        "call",
        "curl",
        "refusal",
        "target",
    )

    def __init__(
        self,
        *,
        policy: TargetPolicy,
        settings: Mapping[int, Any],
        connections: ConnectionWatch,
        on_refusal: Callable[[Transfer], None],
    ) -> None:
        """`settings` are libcurl options that hold for every transfer. `on_refusal` is told, within a libcurl
        callback, that the transfer must end because an address was refused.
        """
        self.curl = pycurl.Curl()
        self.call: Any = None
        self.refusal: Refusal | None = None
        self._policy = policy
        self._settings = settings
        self._connections = connections
        self._on_refusal = on_refusal
        self._shape: tuple[str, bool, bool] | None = None

    def prepare(
        self,
        request: HttpRequest,
        target: TargetUrl,
        timeout_ms: int,
        *,
        fresh: bool = False,
        addresses: Sequence[str] = (),
    ) -> None:
        """Make the handle ready for the request. `fresh` asks for a new connection.

        `addresses` are those that the target's name leads to, from now on and for a while; none = as told before.

        Raises ValueError when a header, or the method, cannot be sent as it is.
        """
        shape = (request.method, request.body is not None, request.verify_tls)
        if shape != self._shape:
            self._reshape(*shape)
        curl = self.curl
        self.target = target
        self.refusal = None
        self._keep = request.max_response_bytes
        self._body: list[bytes] = []
        self._received = 0
        self._header_lines: list[bytes] = []
        self._header_bytes = 0
        self._headers_ended = False
        self._requests = 0
        self._opened = False
        self._stale = False
        self._socket_error: OSError | None = None
        self._started_at = time.monotonic()
        curl.setopt(pycurl.URL, target.text)
        curl.setopt(pycurl.TIMEOUT_MS, max(timeout_ms, 1))
        curl.setopt(pycurl.HTTPHEADER, _header_lines(request))
        if request.body is not None:
            curl.setopt(pycurl.POSTFIELDS, request.body)
        if fresh:
            curl.setopt(pycurl.FRESH_CONNECT, 1)
            self._shape = None
        if addresses:
            # With "+" they are kept like answers of libcurl's own, for DNS_CACHE_TIMEOUT (CURLOPT_RESOLVE(3)).
            shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
            curl.setopt(pycurl.RESOLVE, [f"+{target.host}:{target.port}:{shown}"])
            self._shape = None

    def _reshape(self, method: str, has_body: bool, verify_tls: bool) -> None:
        """Set everything that stays from one transfer to the next of the same shape."""
        curl = self.curl
        curl.reset()
        for option, value in self._settings.items():
            curl.setopt(option, value)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        curl.setopt(pycurl.HEADERFUNCTION, self._on_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._on_body)
        if not verify_tls:
            curl.setopt(pycurl.SSL_VERIFYPEER, 0)
            curl.setopt(pycurl.SSL_VERIFYHOST, 0)
        if not method.isalpha():
            raise ValueError(f"{method!r} is not an HTTP method")
        if method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        elif has_body:
            curl.setopt(pycurl.POST, 1)
            if method != "POST":
                curl.setopt(pycurl.CUSTOMREQUEST, method)
        elif method != "GET":
            curl.setopt(pycurl.CUSTOMREQUEST, method)
        self._shape = (method, has_body, verify_tls)

    def _open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[Any, ...]]) -> Any:
        """Judge the resolved address; the socket, or SOCKET_BAD, which libcurl takes as refused."""
        family, kind, protocol, (ip, port, *_) = address
        if self.refusal is None:
            self.refusal = self._policy.judge_address(self.target.host, ip, port)
            if self.refusal is None:
                self._opened = True
                self._connections.opened()
                try:
                    return _LentSocket(family, kind, protocol)
                except OSError as error:
                    self._socket_error = error
                    return pycurl.SOCKET_BAD
            self._on_refusal(self)
        return pycurl.SOCKET_BAD

    def _before_request(self, _ip: str, local_ip: str, _port: int, local_port: int) -> int:
        """Let the request go out once, on a connection that is still good, and no second time.

        When a kept-alive connection dies without a response, libcurl sends the request again on another one,
        even if the target had received all of it and may have acted on it. Whether to try again then is the
        retry policy's business.
        """
        self._requests += 1
        self._local = (local_ip, local_port)
        if self._requests > 1:
            return int(pycurl.PREREQFUNC_ABORT)
        if not self._opened and not self._connections.is_usable(self._local):
            self._stale = True
            return int(pycurl.PREREQFUNC_ABORT)
        return int(pycurl.PREREQFUNC_OK)

    def _on_header(self, line: bytes) -> None:
        if not self._header_bytes:
            self._first_byte_at = time.monotonic()
            if line.startswith(b"HTTP/2"):
                self._connections.speaks_http2(self._local)
        self._header_bytes += len(line)
        if line == b"\r\n" or line == b"\n":
            self._headers_ended = True
        elif line.startswith(b"HTTP/"):
            self._headers_ended = False
        if self._header_bytes <= 2 * MAX_KEPT_HEADER_BYTES:
            self._header_lines.append(line)

    def _on_body(self, piece: bytes) -> int | None:
        room = self._keep - self._received
        self._received += len(piece)
        if room > 0:
            self._body.append(piece if len(piece) <= room else piece[:room])
        # Taking less than was offered ends the transfer (CURLOPT_WRITEFUNCTION(3)).
        return 0 if self._received > MAX_READ_BYTES else None

    @property
    def was_not_sent(self) -> bool:
        """After the transfer: True when it ended because a kept connection was dead before a byte was sent."""
        return self._stale or (self._requests > 1 and self.curl.getinfo(pycurl.REQUEST_SIZE) == 0)

    def result(self, code: int, message: str) -> HttpResult:
        """The ended transfer's result; `code` and `message` are libcurl's, 0 for success."""
        curl = self.curl
        status = curl.getinfo(pycurl.RESPONSE_CODE) or None
        headers = _parse_headers(self._header_lines)
        # The answer is there, though its body is in a coding that nobody asked for: there is nothing to be gained by
        # calling the target once more.
        unreadable = (
            code == pycurl.E_BAD_CONTENT_ENCODING and self._headers_ended and _unknown_coding(headers)
        )
        return HttpResult(
            status=status,
            headers=headers,
            body=b"".join(self._body),
            truncated=unreadable or self._received > self._keep,
            failure=None if unreadable else self._failure(code, message, status),
            phases=self._phases(),
            remote_address=curl.getinfo(pycurl.PRIMARY_IP) or None,
            http_version=_HTTP_VERSIONS.get(curl.getinfo(pycurl.INFO_HTTP_VERSION)) if status else None,
            reused_connection=self._requests > 0 and not self._opened,
        )

    def _failure(self, code: int, message: str, status: int | None) -> Failure | None:
        if code == 0:
            # libcurl takes a connection closed within the headers for the end of a response without body.
            return None if self._headers_ended else Failure(FailureKind.RESET, CUT_HEADERS)
        if self.refusal is not None:
            return Failure(FailureKind.BLOCKED, self.refusal.message)
        if code == pycurl.E_WRITE_ERROR and status is not None and self._received > MAX_READ_BYTES:
            return None
        if code == pycurl.E_ABORTED_BY_CALLBACK and self._requests > 1:
            return Failure(
                FailureKind.RESET,
                "the kept-alive connection was closed before a response came; the request was not sent again "
                "within this attempt, because the target may have acted on it",
            )
        if code == pycurl.E_COULDNT_CONNECT and self._socket_error is not None:
            return Failure(FailureKind.CONNECT, f"no socket could be opened: {self._socket_error.strerror}")
        return failure_of(code, message, self.curl.getinfo(pycurl.OS_ERRNO))

    def _phases(self) -> Phases:
        getinfo = self.curl.getinfo
        # Measured here, since libcurl's STARTTRANSFER_TIME may be set before anything has arrived.
        first_byte = (self._first_byte_at - self._started_at) * 1000 if self._header_bytes else None
        # libcurl's total is as of its last look, which on a busy machine may lie before the first byte was measured.
        total = max(getinfo(pycurl.TOTAL_TIME) * 1000, first_byte or 0.0)
        if not self._opened:
            return Phases(first_byte=first_byte, total=total)
        return Phases(
            name_lookup=getinfo(pycurl.NAMELOOKUP_TIME) * 1000 or None,
            connect=getinfo(pycurl.CONNECT_TIME) * 1000 or None,
            tls=getinfo(pycurl.APPCONNECT_TIME) * 1000 or None,
            first_byte=first_byte,
            total=total,
        )


def _header_lines(request: HttpRequest) -> list[str | bytes]:
    """The header lines of the request as libcurl takes them; those that a job always sends are made once."""
    headers: Headers = request.headers
    lines: list[str | bytes]
    if isinstance(headers, PreparedHeaders):
        fixed = headers.fixed
        if fixed.as_sent is None:
            fixed.as_sent = _encoded(fixed)
        lines = [*fixed.as_sent, *_encoded(headers[len(fixed) :])]
    else:
        lines = _encoded(headers)
    if request.body is not None:
        # No waiting for "100 Continue", and no form type invented for a body without one.
        lines.append("Expect:")
        if not any(name == "Content-Type" or name.lower() == "content-type" for name, _ in headers):
            lines.append("Content-Type:")
    return lines


def _unknown_coding(headers: Headers) -> bool:
    """Whether the response's content codings (RFC 9110 section 8.4) hold one that is not read here."""
    codings = ",".join(value for name, value in headers if name.lower() == "content-encoding").lower()
    return any(coding.strip() not in _KNOWN_CODINGS for coding in codings.split(","))


def _encoded(headers: Headers) -> list[str | bytes]:
    # libcurl takes "Name:" as the wish to remove a header; "Name;" sends one without value.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers]
    text = "".join(lines)
    if _FORBIDDEN_IN_HEADERS.search(text):
        raise ValueError("a header holds a line break or NUL")
    # pycurl takes text of ASCII characters as it is.
    return [*lines] if text.isascii() else [line.encode("latin-1") for line in lines]


@lru_cache(maxsize=2048)
def _header(line: bytes) -> tuple[str, str] | None:
    """Name and value of a line; None for what is no header. Most lines come again with the next response."""
    name, colon, value = line.decode("latin-1").partition(":")
    return (name, value.strip()) if colon else None


def _parse_headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    """The headers of the last response among the raw lines (interim 1xx responses come before it)."""
    start = 0
    for index, line in enumerate(lines):
        if line.startswith(b"HTTP/"):
            start = index + 1
    headers: list[tuple[str, str]] = []
    size = 0
    for line in lines[start:]:
        header = _header(line) if len(line) <= _MOST_REMEMBERED_BYTES else _header.__wrapped__(line)
        if header is None:
            continue
        size += len(line)
        if size > MAX_KEPT_HEADER_BYTES or len(headers) == MAX_KEPT_HEADERS:
            break
        headers.append(header)
    return tuple(headers)
