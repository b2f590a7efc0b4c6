"""How often one may try to log in."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import Redis

from webhookcron.service.errors import TooMany

log = structlog.get_logger(__name__)

ASK_AGAIN_SECONDS = 5.0
"""Between two looks whether Redis is back."""

ADDRESS_FACTOR = 5
"""Attempts from one address at all accounts, as a multiple of those at one account: an office shares an address."""

ACCOUNT_FACTOR = 20
"""Attempts at one account from all addresses: high, as whoever reaches it keeps the owner out, too."""


class LoginAttempts:
    """Counts attempts in Redis; while that is away, each process counts for itself."""

    def __init__(
        self,
        redis: Redis,
        *,
        key_prefix: str,
        rate: str | None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rate` such as `10 per 15 minutes`, for one account from one address; None = no limit."""
        self._clock = clock
        self._monotonic = monotonic
        self._rules: list[tuple[str, RateLimitItem]] = []
        if rate is not None:
            one = parse(rate)
            self._rules = [
                ("pair", one),
                ("address", _multiplied(one, ADDRESS_FACTOR)),
                ("account", _multiplied(one, ACCOUNT_FACTOR)),
            ]
        storage = RedisStorage(
            # With a pool of connections the URL counts for nothing but its scheme.
            "redis://",
            connection_pool=redis.connection_pool,
            wrap_exceptions=True,
            key_prefix=f"{key_prefix}:limits",
        )
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    def spend(self, email: str, address: str | None) -> None:
        """Count an attempt. Raises TooMany when it is one too many; it is not to be made then."""
        for kind, item in self._rules:
            who = ("login", kind, *_who(kind, email, address))
            limiter, allowed = self._counted(item, who)
            if not allowed:
                wait = max(1, round(self._reset_at(limiter, item, who) - self._clock()))
                raise TooMany("too many attempts to log in; try again later", wait)

    def succeeded(self, email: str, address: str | None) -> None:
        """The password was right: attempts at this account from this address count from the start again."""
        for kind, item in self._rules:
            if kind == "pair":
                with suppress(StorageError):
                    self._limiter().clear(item, "login", kind, *_who(kind, email, address))

    def _counted(self, item: RateLimitItem, who: tuple[str, ...]) -> tuple[FixedWindowRateLimiter, bool]:
        limiter = self._limiter()
        try:
            return limiter, limiter.hit(item, *who)
        except StorageError as error:
            log.warning("login.counted_by_process", error=str(error))
            self._away_until = self._monotonic() + ASK_AGAIN_SECONDS
        return self._own, self._own.hit(item, *who)

    def _reset_at(self, limiter: FixedWindowRateLimiter, item: RateLimitItem, who: tuple[str, ...]) -> float:
        try:
            return limiter.get_window_stats(item, *who).reset_time
        except StorageError:
            return self._clock() + item.get_expiry()

    def _limiter(self) -> FixedWindowRateLimiter:
        return self._own if self._monotonic() < self._away_until else self._shared


def _who(kind: str, email: str, address: str | None) -> tuple[str, ...]:
    # Hashed: the addresses that people type do not belong into Redis.
    account = hashlib.sha256(email.encode()).hexdigest()[:32]
    return {"pair": (account, address or ""), "address": (address or "",), "account": (account,)}[kind]


def _multiplied(item: RateLimitItem, factor: int) -> RateLimitItem:
    return type(item)(item.amount * factor, item.multiples, namespace=item.namespace)
