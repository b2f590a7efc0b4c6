"""The connection to Redis, and the one place where the driver's errors become the project's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from webhookcron.core.errors import TickSourceUnavailable

SOCKET_TIMEOUT_SECONDS = 1.0
"""A silent Redis is given up after this: the API must answer within 3 seconds, and it may have to ask twice."""


def connect(url: str) -> Redis:
    """A client for `url`; it connects when first used and from then on by itself.

    The driver's own retries would keep a caller waiting for up to a minute. So a broken connection is tried once more,
    as it may have broken long ago; a silent server is not.
    """
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=1, supported_errors=(ConnectionError,)),
        health_check_interval=0,
    )


_NOT_NOW = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
)
"""Beginnings of answers that mean that Redis can do it later: fail-over, full memory or disk, a script under way."""


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """Turn what the driver raises when Redis is away or cannot write into `TickSourceUnavailable`."""
    try:
        yield
    except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError) as error:
        raise TickSourceUnavailable(f"Redis did not answer: {type(error).__name__}") from error
    except ResponseError as error:
        code = str(error).partition(" ")[0]
        if code not in _NOT_NOW:
            raise
        raise TickSourceUnavailable(f"Redis cannot do it now: {code}") from error
