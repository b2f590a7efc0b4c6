"""Events that come very often are told in part."""

from __future__ import annotations

import io
from typing import Any

import pytest
import structlog

from webhookcron.log_limits import LINES, Calm
from webhookcron.logs import configure_logging


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def told(calm: Calm, event: str, level: str = "info", times: int = 1) -> list[dict[str, Any]]:
    lines = []
    for _ in range(times):
        try:
            lines.append(dict(calm(None, level, {"event": event})))
        except structlog.DropEvent:
            continue
    return lines


def test_what_is_too_much_is_dropped_and_counted_in_the_next_line() -> None:
    clock = Clock()
    calm = Calm(lines=3, seconds=10, monotonic=clock)
    assert len(told(calm, "job.completed", times=8)) == 3
    clock.seconds = 10
    assert told(calm, "job.completed") == [{"event": "job.completed", "suppressed": 5}]
    assert told(calm, "job.completed") == [{"event": "job.completed"}]


def test_each_event_has_its_own_bound() -> None:
    calm = Calm(lines=1, monotonic=Clock())
    assert len(told(calm, "a", times=2)) + len(told(calm, "b", times=2)) == 2


@pytest.mark.parametrize("level", ["debug", "error", "exception", "critical"])
def test_errors_are_always_told_and_so_is_what_was_asked_for(level: str) -> None:
    assert len(told(Calm(lines=1, monotonic=Clock()), "a", level, times=5)) == 5


def test_the_log_is_calm_by_default() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream)
    log = structlog.get_logger("webhookcron.test")
    for number in range(LINES * 3):
        log.info("test.flood", number=number)
    assert len(stream.getvalue().splitlines()) == LINES
