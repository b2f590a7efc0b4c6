"""When a host is left alone, when it is tried again, and what closes the circuit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.breakers import (
    CONNECTION_FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OPENS_AFTER,
    PROBE_TAKES,
    HostBreakers,
    reached,
)
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Redirect

ORIGIN = "https://dead.example:443"
PAUSE = FIRST_PAUSE.total_seconds()


def opened(now: float = 0.0) -> HostBreakers:
    """Breakers whose circuit for ORIGIN opened at `now`."""
    breakers = HostBreakers()
    for _ in range(OPENS_AFTER):
        breakers.ended(ORIGIN, False, now)
    return breakers


def test_it_opens_after_the_last_of_several_connection_failures_in_a_row() -> None:
    breakers = HostBreakers()

    pauses = [breakers.ended(ORIGIN, False, 0.0) for _ in range(OPENS_AFTER)]

    assert pauses == [None] * (OPENS_AFTER - 1) + [PAUSE]
    assert breakers.wait_of(ORIGIN, 0.0) == PAUSE
    assert breakers.admit(ORIGIN, 10, 1.0) == 0


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breakers = HostBreakers()
    for _ in range(OPENS_AFTER - 1):
        breakers.ended(ORIGIN, False, 0.0)

    assert breakers.ended(ORIGIN, True, 0.0) is None
    assert breakers.ended(ORIGIN, False, 0.0) is None
    assert breakers.wait_of(ORIGIN, 0.0) == 0


@pytest.mark.parametrize("reached", [True, None])
def test_other_failures_never_open_it(reached: bool | None) -> None:
    breakers = HostBreakers()

    assert [breakers.ended(ORIGIN, reached, 0.0) for _ in range(OPENS_AFTER * 3)] == [None] * OPENS_AFTER * 3
    assert breakers.admit(ORIGIN, 7, 0.0) == 7


def test_a_call_that_was_never_tried_neither_counts_nor_closes_it() -> None:
    breakers = HostBreakers()
    for _ in range(OPENS_AFTER - 1):
        breakers.ended(ORIGIN, False, 0.0)
        assert breakers.ended(ORIGIN, None, 0.0) is None
    assert breakers.ended(ORIGIN, False, 0.0) == PAUSE

    breakers.admit(ORIGIN, 1, PAUSE)
    assert breakers.ended(ORIGIN, None, PAUSE) is None
    assert breakers.admit(ORIGIN, 1, PAUSE) == 0


def test_other_hosts_and_other_ports_of_the_host_go_on() -> None:
    breakers = opened()
    for origin in ("https://alive.example:443", "https://dead.example:8443", "http://dead.example:443"):
        assert breakers.admit(origin, 9, 1.0) == 9


def test_one_probe_goes_out_when_the_time_is_over_and_the_others_wait_for_it() -> None:
    breakers = opened()

    assert breakers.admit(ORIGIN, 5, PAUSE) == 1
    assert breakers.admit(ORIGIN, 5, PAUSE) == 0
    assert breakers.wait_of(ORIGIN, PAUSE) == PROBE_TAKES.total_seconds()
    assert breakers.admit(ORIGIN, 5, PAUSE + PROBE_TAKES.total_seconds()) == 1, "a probe that was never sent"


def test_a_probe_that_is_answered_closes_it() -> None:
    breakers = opened()
    breakers.admit(ORIGIN, 1, PAUSE)

    assert breakers.ended(ORIGIN, True, PAUSE + 1) == 0
    assert breakers.admit(ORIGIN, 5, PAUSE + 1) == 5


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound() -> None:
    breakers, now, pauses = opened(), 0.0, [PAUSE]
    for _ in range(8):
        now += pauses[-1]
        assert breakers.admit(ORIGIN, 1, now) == 1
        pause = breakers.ended(ORIGIN, False, now)
        assert pause is not None
        pauses.append(pause)

    assert pauses[:4] == [PAUSE, PAUSE * 2, PAUSE * 4, PAUSE * 8]
    assert pauses[-1] == LONGEST_PAUSE.total_seconds()


def test_calls_that_went_out_before_it_opened_do_not_lengthen_it() -> None:
    breakers = opened()

    assert breakers.ended(ORIGIN, False, 1.0) is None
    assert breakers.wait_of(ORIGIN, 1.0) == PAUSE - 1


@given(
    st.lists(
        st.tuples(st.sampled_from([True, False, None]), st.floats(0, 100)),
        max_size=60,
    )
)
def test_it_is_never_open_for_longer_than_its_bound(events: list[tuple[bool | None, float]]) -> None:
    breakers, now = HostBreakers(), 0.0
    for got_through, step in events:
        now += step
        breakers.ended(ORIGIN, got_through, now)
        assert 0 <= breakers.wait_of(ORIGIN, now) <= LONGEST_PAUSE.total_seconds()
        if got_through:
            assert breakers.admit(ORIGIN, 3, now) == 3


REQUEST = HttpRequest(method="POST", url="https://dead.example/", timeout_ms=1000)
NEVER_TRIED = {FailureKind.BLOCKED, FailureKind.CANCELLED, FailureKind.INVALID_REQUEST}


@pytest.mark.parametrize("kind", FailureKind)
def test_only_connection_failures_say_that_a_host_was_not_reached(kind: FailureKind) -> None:
    failed = HttpResult(failure=Failure(kind, ""))

    expected = None if kind in NEVER_TRIED else kind not in CONNECTION_FAILURES
    assert reached(REQUEST, failed) is expected
    assert reached(None, failed) is None, "nothing was sent, as when there was no OAuth token"


def test_an_answer_says_that_it_was_even_a_redirect_to_a_host_that_was_not() -> None:
    assert reached(REQUEST, HttpResult(status=503)) is True
    cut_off = HttpResult(status=200, failure=Failure(FailureKind.RESET, ""))
    assert reached(REQUEST, cut_off) is True
    redirected = HttpResult(
        failure=Failure(FailureKind.CONNECT, ""), redirects=(Redirect(302, "http://127.0.0.1:1/"),)
    )
    assert reached(REQUEST, redirected) is True
