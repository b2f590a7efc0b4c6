"""Places for calls: quick hosts find room however many others hang, and no host has more than its cap."""

import random

from hypothesis import given
from hypothesis import strategies as st

from webhookcron.delivery.in_flight import SLOW_AFTER, InFlight, Pace

SLOW = SLOW_AFTER.total_seconds()


def made_quick(calls: InFlight, host: str) -> None:
    calls.end(calls.start(host, 0.0), 0.1, answered=True)


def made_slow(calls: InFlight, host: str) -> None:
    calls.end(calls.start(host, 0.0), SLOW, answered=True)


def started(calls: InFlight, host: str, wanted: int, now: float = 0.0) -> list[int]:
    """Calls for all the places that `host` gets of those `wanted`."""
    granted = calls.reserve(host, wanted)
    calls.release(host, granted)
    return [calls.start(host, now) for _ in range(granted)]


def test_a_quick_host_may_use_all_places_and_others_only_a_share() -> None:
    calls = InFlight(most=100, most_per_host=1000)
    made_quick(calls, "quick")
    made_slow(calls, "slow")
    assert calls.reserve("slow", 200) == 25
    assert calls.reserve("new", 200) == 50, "three quarters for both"
    assert calls.reserve("quick", 200) == 25
    assert calls.room() == 0


def test_however_many_hosts_hang_a_quick_one_finds_room() -> None:
    calls = InFlight(most=40, most_per_host=10)
    made_quick(calls, "quick")
    for number in range(100):
        started(calls, f"hanging-{number}", 10)
    calls.look_at_slow_ones(SLOW)
    assert calls.reserve("quick", 10) == 10


def test_calls_that_turn_out_to_hang_do_not_keep_new_hosts_out() -> None:
    calls = InFlight(most=40, most_per_host=10)
    for number in range(100):
        started(calls, f"hanging-{number}", 10)
    assert calls.reserve("new", 10) == 0, "nobody knows yet that they hang"
    calls.look_at_slow_ones(SLOW)
    assert calls.reserve("new", 10) == 10


def test_there_are_never_more_than_twice_as_many_calls_as_places() -> None:
    calls, now = InFlight(most=40, most_per_host=10), 0.0
    for wave in range(10):
        for number in range(10):
            started(calls, f"hanging-{wave}-{number}", 10, now)
        now += SLOW
        calls.look_at_slow_ones(now)
    assert len(calls) == 80
    assert calls.room() == 0


def test_a_host_has_no_more_than_its_cap() -> None:
    calls = InFlight(most=100, most_per_host=4)
    assert calls.reserve("a", 10) == 4
    assert calls.reserve("a", 1) == 0
    calls.release("a")
    assert calls.reserve("a", 5) == 1


def test_a_host_is_known_by_its_last_call() -> None:
    calls = InFlight(most=10, most_per_host=10)
    assert calls.pace_of("a") is Pace.UNKNOWN
    calls.end(calls.start("a", 0.0), 0.5, answered=True)
    assert calls.pace_of("a") is Pace.QUICK
    calls.end(calls.start("a", 1.0), 1.1, answered=False)
    assert calls.pace_of("a") is Pace.SLOW, "quick to refuse is no answer"
    calls.end(calls.start("a", 2.0), 2.1, answered=True)
    assert calls.pace_of("a") is Pace.QUICK


def test_a_call_that_never_asked_its_host_says_nothing_about_it() -> None:
    calls = InFlight(8, 8)
    calls.end(calls.start("a", 0.0), 0.1, answered=None)
    assert calls.pace_of("a") is Pace.UNKNOWN

    made_quick(calls, "a")
    calls.end(calls.start("a", 1.0), 1.1, answered=None)
    assert (calls.pace_of("a"), len(calls), calls.room()) == (Pace.QUICK, 0, 8)


def test_a_call_under_way_for_too_long_makes_its_host_a_slow_one() -> None:
    calls = InFlight(most=10, most_per_host=10)
    made_quick(calls, "a")
    call = calls.start("a", 10.0)
    calls.look_at_slow_ones(10.0 + SLOW / 2)
    assert calls.pace_of("a") is Pace.QUICK
    calls.look_at_slow_ones(10.0 + SLOW)
    assert calls.pace_of("a") is Pace.SLOW
    assert calls.reserve("b", 10) == 6, "seven for all that are not quick, one of them taken by a slow one"
    calls.end(call, 20.0, answered=True)
    assert len(calls) == 0


def test_even_a_worker_with_one_place_calls_everyone() -> None:
    calls = InFlight(most=1, most_per_host=1)
    made_slow(calls, "slow")
    assert calls.reserve("slow", 1) == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "start", "end", "wait"]), st.sampled_from("abcd"), st.booleans()),
    max_size=60,
)


@given(STEPS, st.integers(0, 10**6))
def test_when_all_calls_have_ended_there_is_all_the_room_again(
    steps: list[tuple[str, str, bool]], seed: int
) -> None:
    calls, dice, clock = InFlight(most=8, most_per_host=3), random.Random(seed), 0.0
    under_way: list[int] = []
    reserved: list[str] = []
    for step, host, answered in steps:
        match step:
            case "reserve":
                reserved += [host] * calls.reserve(host, 2)
            case "start" if reserved:
                reserved_host = reserved.pop()
                calls.release(reserved_host)
                under_way.append(calls.start(reserved_host, clock))
            case "end" if under_way:
                calls.end(under_way.pop(dice.randrange(len(under_way))), clock, answered=answered)
            case "wait":
                clock += 1.0
                calls.look_at_slow_ones(clock)
        assert len(calls) == len(under_way)
        assert 8 - len(under_way) - len(reserved) <= calls.room() <= 8
    for call in under_way:
        calls.end(call, clock, answered=True)
    for host in reserved:
        calls.release(host)
    assert (len(calls), calls.room()) == (0, 8)
