"""Which request headers a job may set, and which names hold secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MAX_HEADERS = 50
MAX_HEADER_BYTES = 16 * 1024

# RFC 9110 section 5.6.2: token.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 9110 section 5.5: field-value of visible characters, spaces and tabs; obs-text up to ISO 8859-1.
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")

# Named by RFC 9110 sections 7.6.1 and 10.1.1 and RFC 9112 as belonging to one connection or to the message's
# framing, which is the transport's business; Host follows from the URL; and what the platform itself sets.
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_RESERVED_PREFIXES = ("proxy-", "x-webhookcron-")

# Secret whether the job's `secretHeaders` names them or not.
ALWAYS_SECRET = frozenset({"authorization", "cookie"})
REDACTED = "[redacted]"


def check_header_name(name: str) -> None:
    """Raise ValueError, fit for a user, when a job must not set this header."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name (RFC 9110: letters, digits and !#$%&'*+-.^_`|~)")
    lowered = name.lower()
    if lowered in _RESERVED or lowered.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"the header {name!r} is set by the platform and cannot be given")


def check_header_value(name: str, value: str) -> None:
    """Raise ValueError, fit for a user and without the value, when it cannot stand in a header."""
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of the header {name!r} holds a line break, a control character "
            "or a character outside ISO 8859-1"
        )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError, fit for a user, when a job must not send these headers.

    Checked are names, values, duplicates (names differ by more than case) and size: at most 50 headers and
    16 KiB, counted as `name: value` and a line end each.
    """
    if len(headers) > MAX_HEADERS:
        raise ValueError(f"at most {MAX_HEADERS} headers are allowed, not {len(headers)}")
    seen: set[str] = set()
    size = 0
    for name, value in headers.items():
        check_header_name(name)
        check_header_value(name, value)
        if name.lower() in seen:
            raise ValueError(f"the header {name!r} is given more than once (case does not matter)")
        seen.add(name.lower())
        size += len(name) + len(value) + 4
    if size > MAX_HEADER_BYTES:
        raise ValueError(f"the headers have {size} bytes; at most {MAX_HEADER_BYTES} are allowed")


def secret_names(named: Iterable[str]) -> frozenset[str]:
    """The lower-case names of all headers to hide: those named by a job, and those that always are."""
    return ALWAYS_SECRET | {name.lower() for name in named}


def redacted(
    headers: Iterable[tuple[str, str]], secret: frozenset[str] = ALWAYS_SECRET
) -> tuple[tuple[str, str], ...]:
    """The headers as logs and answers may show them; `secret` holds lower-case names."""
    return tuple([(name, REDACTED if name.lower() in secret else value) for name, value in headers])
