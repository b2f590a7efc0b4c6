"""Chores: in turns, each at its pace, and one that fails holds up no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.maintenance.chores import Chore, Chores

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def chores(clock: Clock, *parts: Chore, hold_turn: Any = lambda *_: True) -> Chores:
    return Chores(parts, hold_turn=hold_turn, now=lambda: T0, monotonic=clock)


def test_a_chore_is_done_at_its_pace() -> None:
    clock, done = Clock(), []
    work = chores(clock, Chore("a", timedelta(seconds=5), lambda now: bool(done.append(now))))
    for clock.seconds in (0, 1, 4.9, 5, 6):
        work.step()
    assert done == [T0, T0]


def test_a_chore_with_more_to_do_goes_on_at_once() -> None:
    left = [3]

    def piece(_now: datetime) -> bool:
        left[0] -= 1
        return left[0] > 0

    work = chores(Clock(), Chore("a", timedelta(hours=1), piece))
    assert [work.step() for _ in range(4)] == [True, True, False, False]
    assert left == [0]


def test_nothing_is_done_out_of_turn() -> None:
    done: list[datetime] = []
    work = chores(
        Clock(), Chore("a", timedelta(0), lambda now: bool(done.append(now))), hold_turn=lambda *_: False
    )
    assert not work.step()
    assert done == []


def test_a_redis_that_is_away_is_waited_for() -> None:
    def away(*_: Any) -> bool:
        raise TickSourceUnavailable

    assert not chores(Clock(), Chore("a", timedelta(0), lambda _: False), hold_turn=away).step()


def test_a_chore_that_fails_holds_up_no_other_and_is_tried_again_later() -> None:
    clock, done = Clock(), []
    tries: list[float] = []

    def fails(_now: datetime) -> bool:
        tries.append(clock.seconds)
        raise StoreUnavailable if len(tries) % 2 else KeyError("unforeseen")

    work = chores(
        clock,
        Chore("bad", timedelta(seconds=1), fails),
        Chore("good", timedelta(seconds=1), lambda now: bool(done.append(now))),
    )
    for clock.seconds in range(30):
        work.step()
    assert len(done) == 30
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps[0] == 1
    assert max(gaps) == 5
