"""How often one may ask: Flask-Limiter with counts in Redis, told by the RateLimit headers.

While Redis is away each process counts for itself, so that nobody is kept out by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil

from flask import Flask, Response, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from limits.errors import StorageError
from redis import Redis
from redis.exceptions import RedisError

from webhookcron.api.callers import present_principal
from webhookcron.config import Settings

TRIGGER_ENDPOINTS = frozenset({"Cron job actions.trigger"})

STRATEGY = "sliding-window-counter"
"""Two counters each: no burst of twice the rate at the border of two windows."""


@dataclass(frozen=True, slots=True)
class _Rule:
    rate: str | None
    counted_by: Callable[[], str]
    applies: Callable[[], bool]
    name: str


def register_rate_limits(app: Flask, settings: Settings, redis: Redis) -> None:
    """Count requests below `/api` (not `/health`, the documentation or the dashboard) by caller."""
    rules = (
        _Rule(settings.rate_limit, _caller, lambda: _counted() and _signed_in(), "caller"),
        _Rule(settings.rate_limit_anonymous, _address, lambda: _counted() and not _signed_in(), "address"),
        _Rule(
            settings.rate_limit_trigger,
            _caller,
            lambda: _signed_in() and request.endpoint in TRIGGER_ENDPOINTS,
            "trigger",
        ),
    )
    limiter = Limiter(
        _caller,
        application_limits=[_limit(rule, rule.rate) for rule in rules if rule.rate is not None],
        strategy=STRATEGY,
        # With a pool of connections the URL counts for nothing but its scheme.
        storage_uri="redis://",
        storage_options={
            "connection_pool": redis.connection_pool,  # type: ignore[dict-item]
            "key_prefix": f"{settings.key_prefix}:limits",
        },
        in_memory_fallback_enabled=True,
        swallow_errors=True,
    )
    # Functions that run after a request do so in the opposite order: ours when the limiter has decided.
    app.after_request(_told(limiter))
    limiter.init_app(app)


def _limit(rule: _Rule, rate: str) -> ApplicationLimit:
    return ApplicationLimit(
        rate,
        key_function=rule.counted_by,
        exempt_when=lambda: not rule.applies(),
        error_message=f"too many requests: {rate} are allowed; try again after Retry-After seconds",
        scope=rule.name,
    )


def _counted() -> bool:
    return request.path.startswith("/api/") and request.method != "OPTIONS"


def _signed_in() -> bool:
    return _counted() and present_principal() is not None


def _caller() -> str:
    principal = present_principal()
    if principal is None:
        return _address()
    return f"key {principal.key_id}" if principal.key_id else f"user {principal.user_id}"


def _address() -> str:
    return f"address {request.remote_addr or 'local'}"


def _told(limiter: Limiter) -> Callable[[Response], Response]:
    def told(response: Response) -> Response:
        with suppress(StorageError, RedisError):
            limits = limiter.current_limits
            if limits:
                _tell(response, min(limits, key=_room))
        return response

    return told


def _room(limit: RequestLimit) -> tuple[bool, int]:
    return not limit.breached, limit.remaining


def _tell(response: Response, limit: RequestLimit) -> None:
    """RateLimit header fields as in draft-ietf-httpapi-ratelimit-headers-07; Reset in seconds from now."""
    item = limit.limit
    left = limit.window.reset_time - time.time()
    # A window that has just begun is told as one that ends now.
    reset = item.get_expiry() if left <= 0 else min(ceil(left), item.get_expiry())
    headers = response.headers
    headers["RateLimit-Limit"] = str(item.amount)
    headers["RateLimit-Remaining"] = str(max(0, limit.remaining))
    headers["RateLimit-Reset"] = str(reset)
    headers["RateLimit-Policy"] = f"{item.amount};w={item.get_expiry()}"
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and limit.breached:
        headers["Retry-After"] = str(max(1, reset))
