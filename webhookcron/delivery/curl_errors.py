"""libcurl's error codes in the project's closed list of failures (libcurl-errors(3))."""

from __future__ import annotations

import os

import pycurl

from webhookcron.core.outcomes import Failure, FailureKind

MAX_MESSAGE_LENGTH = 300

# Codes for which pycurl has no name.
_WEIRD_SERVER_REPLY = 8
_HTTP2_STREAM = 92
_HTTP3 = 95
_QUIC_CONNECT_ERROR = 96
_TOO_LARGE = 100

_KINDS = {
    pycurl.E_URL_MALFORMAT: FailureKind.INVALID_REQUEST,
    pycurl.E_BAD_FUNCTION_ARGUMENT: FailureKind.INVALID_REQUEST,
    pycurl.E_COULDNT_RESOLVE_HOST: FailureKind.DNS,
    pycurl.E_COULDNT_CONNECT: FailureKind.CONNECT,
    _QUIC_CONNECT_ERROR: FailureKind.CONNECT,
    pycurl.E_OPERATION_TIMEDOUT: FailureKind.TIMEOUT,
    pycurl.E_SSL_CONNECT_ERROR: FailureKind.TLS,
    pycurl.E_SSL_CIPHER: FailureKind.TLS,
    pycurl.E_SSL_CACERT_BADFILE: FailureKind.TLS,
    pycurl.E_SSL_CERTPROBLEM: FailureKind.TLS,
    pycurl.E_PEER_FAILED_VERIFICATION: FailureKind.CERTIFICATE,
    pycurl.E_SSL_ISSUER_ERROR: FailureKind.CERTIFICATE,
    pycurl.E_SSL_INVALIDCERTSTATUS: FailureKind.CERTIFICATE,
    pycurl.E_PARTIAL_FILE: FailureKind.RESET,
    pycurl.E_GOT_NOTHING: FailureKind.RESET,
    pycurl.E_SEND_ERROR: FailureKind.RESET,
    pycurl.E_RECV_ERROR: FailureKind.RESET,
    pycurl.E_SEND_FAIL_REWIND: FailureKind.RESET,
    _HTTP2_STREAM: FailureKind.RESET,
    pycurl.E_HTTP2: FailureKind.PROTOCOL,
    _HTTP3: FailureKind.PROTOCOL,
    _WEIRD_SERVER_REPLY: FailureKind.PROTOCOL,
    pycurl.E_BAD_CONTENT_ENCODING: FailureKind.PROTOCOL,
    _TOO_LARGE: FailureKind.PROTOCOL,
}


# Where libcurl has nothing more to say.
_MESSAGES = {_TOO_LARGE: "a line of the response is too long"}


def failure_of(code: int, message: str, os_error: int) -> Failure:
    """The failure for an error code; `os_error` is the errno of the last failed connection attempt, or 0."""
    kind = _KINDS.get(code, FailureKind.PROTOCOL)
    # A message may quote what the server sent, in whatever bytes.
    text = message.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:MAX_MESSAGE_LENGTH]
    if kind is FailureKind.CONNECT and os_error:
        text = f"{text} ({os.strerror(os_error)})"
    return Failure(kind, text or _MESSAGES.get(code) or f"libcurl ended the transfer with error {code}")
