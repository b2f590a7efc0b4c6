"""What a worker makes of messages, those of other releases and garbage among them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from celery import Celery

from webhookcron.delivery.broker import DELIVER_TASK, MESSAGE_VERSION
from webhookcron.delivery.worker import register


@pytest.fixture
def received() -> Any:
    """Receives messages as Celery's consumer does; the ids that the engine was offered."""
    offered: list[str] = []
    app = Celery("test", broker="memory://", set_as_current=False)
    register(app, SimpleNamespace(offer=offered.extend))  # type: ignore[arg-type]
    receive = app.tasks[DELIVER_TASK].start_strategy(app, None)

    def take(*args: Any) -> list[str]:
        receive(SimpleNamespace(payload=(list(args), {}, {})), None)
        return offered

    yield take
    app.close()


@pytest.mark.parametrize("more", [(), (MESSAGE_VERSION,), (MESSAGE_VERSION, "of a release to come")])
def test_messages_of_older_present_and_compatible_releases_are_taken(received: Any, more: Any) -> None:
    assert received(["a", "b"], *more) == ["a", "b"]


def test_a_message_that_only_newer_workers_may_act_on_is_left(received: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        assert received({"ids": ["a"]}, MESSAGE_VERSION + 1) == []
    assert [line["event"] for line in logs] == ["worker.message_left"]


@pytest.mark.parametrize("args", [("a",), ({"a": 1},), (["a"] * 10_001,), ([1, None, ""],)])
def test_garbage_is_told_and_dropped(received: Any, args: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        assert received(*args) == []
    assert [line["log_level"] for line in logs] == ["error"]
