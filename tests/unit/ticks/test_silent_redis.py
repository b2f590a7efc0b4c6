"""A Redis that takes connections and says nothing costs one wait, not one per question."""

import socket
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis.exceptions import TimeoutError

from webhookcron.ticks import client


@pytest.fixture
def silent_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(client, "SOCKET_TIMEOUT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_after_one_call_without_answer_the_next_ones_fail_at_once(silent_url: str) -> None:
    with client.connect(silent_url) as redis:
        waits: list[bool] = []
        for _ in range(10):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                redis.ping()
            waits.append(time.monotonic() - began >= 0.3)

    assert waits == [True] + [False] * 9


def test_when_the_silence_is_over_it_is_asked_again(silent_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE", timedelta(seconds=0.2))
    with client.connect(silent_url) as redis:
        asked = 0
        deadline = time.monotonic() + 20
        while asked < 2 and time.monotonic() < deadline:
            with pytest.raises(TimeoutError) as raised:
                redis.ping()
            asked += "a moment ago" not in str(raised.value)

    assert asked == 2
