"""Response headers of the dashboard."""

from __future__ import annotations

from flask import Response, request

# Everything comes from this server, and nothing is written into the pages themselves: neither scripts nor styles.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def secured(response: Response) -> Response:
    """Let browsers run only what this server serves; keep pages out of caches, and let assets be checked for news."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "same-origin"
    if (request.endpoint or "").endswith(".static"):
        # Answered by 304 until a new version of the platform brings other files.
        response.headers["Cache-Control"] = "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
    return response
