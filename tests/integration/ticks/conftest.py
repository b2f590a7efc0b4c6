"""A clock and a connection to Redis for the tests of ticks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from webhookcron.ticks import client


class Clock:
    """Platform time, moved by hand."""

    start = datetime(2030, 1, 1, tzinfo=UTC)

    def __init__(self) -> None:
        self.moment = self.start

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connection(redis_url: str, redis_client: Any) -> Iterator[Any]:
    """A connection as the platform makes it; Redis is empty."""
    with client.connect(redis_url) as connection:
        yield connection
