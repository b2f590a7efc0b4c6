"""How soon a worker notices that the broker is back."""

from typing import Any

import kombu.connection
import pytest

from webhookcron.delivery.broker import celery_app


def test_a_worker_looks_for_its_broker_every_two_seconds_however_long_it_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    def retry_over_time(*args: Any, **_options: Any) -> None:
        *_, start, step, longest, _callback = args
        waits.extend(min(start + step * number, longest) for number in range(100))

    monkeypatch.setattr(kombu.connection, "retry_over_time", retry_over_time)

    with celery_app("redis://127.0.0.1:1/0", key_prefix="x").connection_for_read() as connection:
        # As the library's consumer does, with no word about the pace.
        connection.ensure_connection(lambda *_: None, None, callback=lambda: None)

    assert len(waits) == 100
    assert max(waits) <= 2
