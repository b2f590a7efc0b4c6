"""The next request of a redirected call (RFC 9110 section 15.4), or why there is none."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.signing import SIGNATURE_HEADER
from webhookcron.core.target_urls import UrlUnusable, parse_target_url
from webhookcron.delivery.transport_types import HttpRequest

MAX_REDIRECTS = 5

REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})

_ALWAYS_CONFIDENTIAL = frozenset({"authorization", "cookie", "proxy-authorization", SIGNATURE_HEADER})
# RFC 9110 section 15.4: what describes the content goes when the content goes.
_OF_THE_BODY = frozenset(
    {"content-type", "content-encoding", "content-language", "content-location", "content-length", "digest"}
)


def next_hop(request: HttpRequest, status: int, location: str | None, followed: int) -> HttpRequest | Failure:
    """The request that a redirect leads to, with the same deadline; a Failure when it must not be followed.

    303 turns everything but HEAD into GET, 301 and 302 turn POST into GET; 307 and 308 keep method and body. Without
    its body a request has no signature either.
    Another origin (scheme, host or port) sees no Authorization, Cookie, signature or confidential header. The new
    URL is as yet unjudged. `followed` counts the redirects that came before.
    """
    if followed >= MAX_REDIRECTS:
        return Failure(FailureKind.REDIRECT, f"more than {MAX_REDIRECTS} redirects")
    if not location:
        return Failure(FailureKind.REDIRECT, f"status {status} came without a Location to go to")
    try:
        # Servers send Location in raw bytes; UTF-8 is what they mean.
        text = location.encode("latin-1", "replace").decode("utf-8", "replace")
        target = parse_target_url(urljoin(request.url, text))
        origin = parse_target_url(request.url).origin
    except (UrlUnusable, ValueError) as error:
        return Failure(
            FailureKind.REDIRECT, f"status {status} points to a URL that cannot be called: {error}"
        )
    method, body, headers = request.method, request.body, request.headers
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        headers = tuple(pair for pair in headers if pair[0].lower() not in _OF_THE_BODY)
        if request.body is not None:
            # It was made over the body that has gone.
            headers = tuple(pair for pair in headers if pair[0].lower() != SIGNATURE_HEADER)
    if target.origin != origin:
        hidden = _ALWAYS_CONFIDENTIAL | request.confidential
        headers = tuple(pair for pair in headers if pair[0].lower() not in hidden)
    return replace(request, method=method, url=target.text, headers=headers, body=body)
