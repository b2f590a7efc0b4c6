"""What stands between the network and the views: proxies, limits, other origins, compression."""

from __future__ import annotations

from flask import Flask, Response
from flask_compress import Compress
from flask_cors import CORS
from redis import Redis

from webhookcron.api.callers import identify
from webhookcron.api.proxies import TrustedProxies
from webhookcron.api.rate_limits import register_rate_limits
from webhookcron.api.slow_bodies import BodyDeadline
from webhookcron.config import Settings

EXPOSED_HEADERS = (
    "ETag", "Location", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
    "RateLimit-Policy", "X-Request-Id",
)  # fmt: skip
ACCEPTED_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Request-Id")

PREFLIGHT_SECONDS = 600

# No pages: those carry tokens beside what a request sent, which compression would let one guess (BREACH).
COMPRESSED_TYPES = [
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "text/css",
    "text/javascript",
    "text/plain",
]
COMPRESSED_FROM_BYTES = 1_000


def register_protection(app: Flask, settings: Settings, redis: Redis) -> None:
    """Put everything into its place. Call it before the blueprints are registered."""
    app.before_request(identify)
    register_rate_limits(app, settings, redis)
    _allow_origins(app, settings)
    _compress(app)
    app.wsgi_app = TrustedProxies(  # type: ignore[method-assign]
        BodyDeadline(app.wsgi_app), settings.trusted_proxies
    )


def _allow_origins(app: Flask, settings: Settings) -> None:
    if settings.allowed_origins:
        # Without credentials: the API knows no cookies, a page has to hold a key or token itself.
        CORS(
            app,
            resources=r"/api/*",
            origins=list(settings.allowed_origins),
            allow_headers=list(ACCEPTED_HEADERS),
            expose_headers=list(EXPOSED_HEADERS),
            max_age=PREFLIGHT_SECONDS,
            supports_credentials=False,
        )


def _compress(app: Flask) -> None:
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=COMPRESSED_TYPES,
        COMPRESS_MIN_SIZE=COMPRESSED_FROM_BYTES,
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["gzip"],
    )
    compress = Compress(app)

    def compressed(response: Response) -> Response:
        # An ETag is the version of a job, the same for every client; compressing would have to change it.
        return response if "ETag" in response.headers else compress.after_request(response)

    app.after_request(compressed)
