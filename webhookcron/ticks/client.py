"""The connection to Redis, and the one place where the driver's errors become the project's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

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

SILENCE = timedelta(seconds=2)
"""After a call that got no answer the next ones fail at once for so long.

One request of the API asks Redis several times, and must not wait for each.
"""


class _Silence:
    """Whether the server let a call without answer just now; shared by all connections of a client."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + SILENCE.total_seconds()

    def check(self) -> None:
        if time.monotonic() < self._until:
            raise TimeoutError("the server did not answer a moment ago")


class _Impatient:
    """What a connection does besides: it notes silence, and fails at once while it lasts."""

    silence: _Silence

    def connect(self) -> None:
        self.silence.check()
        super().connect()  # type: ignore[misc]

    def send_packed_command(self, *args: Any, **options: Any) -> None:
        self.silence.check()
        super().send_packed_command(*args, **options)  # type: ignore[misc]

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except TimeoutError:
            self.silence.begin()
            raise


def connect(url: str) -> Redis:
    """A client for `url`; it connects when first used and from then on by itself.

    The driver's own retries would keep a caller waiting for up to a minute. So a broken connection is tried once more,
    as it may have broken long ago; a silent server is not.
    """
    client = Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries=1, supported_errors=(ConnectionError,)),
        health_check_interval=0,
    )
    pool = client.connection_pool
    pool.connection_class = type(
        "ImpatientConnection", (_Impatient, pool.connection_class), {"silence": _Silence()}
    )
    return client


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
