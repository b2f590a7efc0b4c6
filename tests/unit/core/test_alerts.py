"""What is told at once, and what waits for the digest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.alerts import (
    RETRY_DELAYS,
    Alert,
    AlertEvent,
    AlertState,
    Channel,
    Judged,
    after_digest,
    judge,
    next_try,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILURE, RECOVERY, MISSED = AlertEvent.FAILURE, AlertEvent.RECOVERY, AlertEvent.MISSED
EVERYTHING = frozenset(AlertEvent)
WELL = AlertState(alert_id="a", job_id="j")


def alert(*events: AlertEvent) -> Alert:
    return Alert(
        id="a",
        owner_id="ann",
        name="on call",
        channel=Channel.WEBHOOK,
        events=frozenset(events) or EVERYTHING,
        created_at=T0,
        updated_at=T0,
    )


def after(
    state: AlertState,
    *,
    failures: int = 0,
    well: bool = False,
    missed: int = 0,
    room: int = 5,
    minute: int = 0,
    of: Alert | None = None,
) -> Judged:
    return judge(
        of or alert(),
        state,
        failures=failures,
        failed_id="x" if failures else None,
        ends_well=well,
        missed=missed,
        room=room,
        now=T0 + timedelta(minutes=minute),
    )


def test_a_first_failure_is_told_at_once_and_the_next_ones_wait() -> None:
    first = after(WELL, failures=1)
    second = after(first.state, failures=2, minute=1)
    assert (first.tell, first.state.untold_failures) == ((FAILURE,), 0)
    assert (second.tell, second.state.untold_failures, second.state.failures) == ((), 2, 3)


def test_a_recovery_is_told_at_once_where_the_failure_was() -> None:
    failing = after(WELL, failures=1).state
    recovered = after(failing, well=True, minute=1)
    assert recovered.tell == (RECOVERY,)
    assert recovered.state.failing_since is None


def test_a_job_that_flaps_is_told_of_once_in_an_interval() -> None:
    state, told = WELL, []
    for minute in range(10):
        judged = after(state, failures=1, well=True, minute=minute)
        state = judged.state
        told += judged.tell
    assert told == [FAILURE, RECOVERY]
    assert (state.untold_failures, state.untold_recoveries) == (9, 9)


def test_after_the_digest_a_new_failure_is_a_first_one_again() -> None:
    state = after_digest(after(WELL, failures=1, well=True).state)
    assert not state.has_news
    assert after(state, failures=1, minute=90).tell == (FAILURE,)


def test_after_the_digest_a_job_that_fails_on_waits_for_the_next_one() -> None:
    state = after_digest(after(WELL, failures=3).state)
    judged = after(state, failures=1, minute=61)
    assert (judged.tell, judged.state.untold_failures) == ((), 1)
    assert after(judged.state, well=True, minute=62).tell == (RECOVERY,)


def test_without_room_everything_waits() -> None:
    judged = after(WELL, failures=1, well=True, missed=4, room=0)
    state = judged.state
    assert judged.tell == ()
    assert (state.untold_failures, state.untold_recoveries, state.untold_missed) == (1, 1, 4)


@pytest.mark.parametrize(
    ("events", "expected"),
    [((FAILURE,), (FAILURE,)), ((RECOVERY,), ()), ((MISSED,), (MISSED,)), ((AlertEvent.SILENCE,), ())],
)
def test_only_what_is_wanted_is_told(
    events: tuple[AlertEvent, ...], expected: tuple[AlertEvent, ...]
) -> None:
    assert after(WELL, failures=1, missed=1, of=alert(*events)).tell == expected


def test_an_alert_that_is_off_tells_nothing() -> None:
    off = replace(alert(), is_active=False)
    assert after(WELL, failures=1, well=True, missed=1, of=off).tell == ()


def test_a_success_of_a_job_that_is_well_is_no_news() -> None:
    assert after(WELL, well=True) == Judged(WELL)


STEPS = st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3), st.booleans())


@given(st.lists(STEPS, max_size=30))
def test_every_failure_and_missed_fire_time_is_told_or_waits(
    steps: list[tuple[int, bool, int, bool]],
) -> None:
    state, told_failures, told_missed, told_first = WELL, 0, 0, 0
    for minute, (failures, well, missed, digest) in enumerate(steps):
        judged = after(state, failures=failures, well=well, missed=missed, minute=minute)
        told_first += judged.tell.count(FAILURE)
        told_missed += missed if MISSED in judged.tell else 0
        state = judged.state
        if digest:
            told_failures += state.untold_failures
            told_missed += state.untold_missed
            state = after_digest(state)
    assert told_failures + told_first + state.untold_failures == sum(step[0] for step in steps)
    assert told_missed + state.untold_missed == sum(step[2] for step in steps)


def test_a_message_is_tried_again_ever_later_and_then_given_up() -> None:
    waits = [next_try(tries, T0) for tries in range(1, len(RETRY_DELAYS) + 2)]
    assert waits[-1] is None
    assert waits[:-1] == [T0 + delay for delay in RETRY_DELAYS]
