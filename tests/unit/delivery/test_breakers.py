"""When a host is left alone, when it is tried again, and what closes the circuit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.outcomes import FailureKind
from webhookcron.delivery.breakers import (
    CONNECTION_FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OPENS_AFTER,
    PROBE_TAKES,
    HostBreakers,
)

HOST = "dead.example"
PAUSE = FIRST_PAUSE.total_seconds()


def opened(now: float = 0.0) -> HostBreakers:
    """Breakers whose circuit for HOST opened at `now`."""
    breakers = HostBreakers()
    for _ in range(OPENS_AFTER):
        breakers.ended(HOST, FailureKind.CONNECT, now)
    return breakers


def test_it_opens_after_the_last_of_several_connection_failures_in_a_row() -> None:
    breakers = HostBreakers()

    pauses = [breakers.ended(HOST, FailureKind.CONNECT, 0.0) for _ in range(OPENS_AFTER)]

    assert pauses == [None] * (OPENS_AFTER - 1) + [PAUSE]
    assert breakers.wait_of(HOST, 0.0) == PAUSE
    assert breakers.admit(HOST, 10, 1.0) == 0


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breakers = HostBreakers()
    for _ in range(OPENS_AFTER - 1):
        breakers.ended(HOST, FailureKind.DNS, 0.0)

    assert breakers.ended(HOST, None, 0.0) is None
    assert breakers.ended(HOST, FailureKind.DNS, 0.0) is None
    assert breakers.wait_of(HOST, 0.0) == 0


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - CONNECTION_FAILURES))
def test_other_failures_never_open_it(kind: FailureKind) -> None:
    breakers = HostBreakers()

    assert [breakers.ended(HOST, kind, 0.0) for _ in range(OPENS_AFTER * 3)] == [None] * OPENS_AFTER * 3
    assert breakers.admit(HOST, 7, 0.0) == 7


def test_other_hosts_go_on() -> None:
    assert opened().admit("alive.example", 9, 1.0) == 9


def test_one_probe_goes_out_when_the_time_is_over_and_the_others_wait_for_it() -> None:
    breakers = opened()

    assert breakers.admit(HOST, 5, PAUSE) == 1
    assert breakers.admit(HOST, 5, PAUSE) == 0
    assert breakers.wait_of(HOST, PAUSE) == PROBE_TAKES.total_seconds()
    assert breakers.admit(HOST, 5, PAUSE + PROBE_TAKES.total_seconds()) == 1, "a probe that was never sent"


def test_a_probe_that_is_answered_closes_it() -> None:
    breakers = opened()
    breakers.admit(HOST, 1, PAUSE)

    assert breakers.ended(HOST, None, PAUSE + 1) == 0
    assert breakers.admit(HOST, 5, PAUSE + 1) == 5


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    breakers, now, pauses = opened(), 0.0, [PAUSE]
    for _ in range(8):
        now += pauses[-1]
        assert breakers.admit(HOST, 1, now) == 1
        pause = breakers.ended(HOST, FailureKind.CONNECT, now)
        assert pause is not None
        pauses.append(pause)

    assert pauses[:4] == [PAUSE, PAUSE * 2, PAUSE * 4, PAUSE * 8]
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()


def test_calls_that_went_out_before_it_opened_do_not_lengthen_it() -> None:
    breakers = opened()

    assert breakers.ended(HOST, FailureKind.CONNECT, 1.0) is None
    assert breakers.wait_of(HOST, 1.0) == PAUSE - 1


@given(
    st.lists(
        st.tuples(st.sampled_from([None, FailureKind.CONNECT, FailureKind.TIMEOUT]), st.floats(0, 100)),
        max_size=60,
    )
)
def test_it_is_never_open_for_longer_than_its_bound(events: list[tuple[FailureKind | None, float]]) -> None:
    breakers, now = HostBreakers(), 0.0
    for failure, step in events:
        now += step
        breakers.ended(HOST, failure, now)
        assert 0 <= breakers.wait_of(HOST, now) <= LONGEST_PAUSE.total_seconds()
        if failure is None:
            assert breakers.admit(HOST, 3, now) == 3
