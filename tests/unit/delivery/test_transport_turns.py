"""Who may run next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from webhookcron.delivery.transport_turns import HostTurns


def _turns(most: int = 10, most_per_host: int = 2) -> HostTurns[str]:
    return HostTurns(most=most, most_per_host=most_per_host)


def _all_next(turns: HostTurns[str]) -> list[str]:
    items = []
    while (item := turns.next()) is not None:
        items.append(item)
    return items


def test_a_host_has_no_more_than_its_places() -> None:
    turns = _turns(most_per_host=2)
    assert [turns.enter("a", f"a{number}") for number in range(4)] == [True, True, False, False]
    assert turns.next() is None


def test_all_hosts_together_have_no_more_than_all_places() -> None:
    turns = _turns(most=2)
    assert [turns.enter(host, host) for host in ("a", "b", "c")] == [True, True, False]
    assert turns.next() is None
    turns.leave("a")
    assert turns.next() == "c"


def test_a_place_given_back_goes_to_the_first_who_waits_for_that_host() -> None:
    turns = _turns(most_per_host=1)
    for item in ("a0", "a1", "a2"):
        turns.enter("a", item)
    turns.leave("a")
    assert _all_next(turns) == ["a1"]
    turns.leave("a")
    assert _all_next(turns) == ["a2"]


def test_nobody_overtakes_those_who_wait_for_the_same_host() -> None:
    turns = _turns(most_per_host=1)
    turns.enter("a", "a0")
    turns.enter("a", "a1")
    turns.leave("a")
    assert not turns.enter("a", "a2")
    assert turns.next() == "a1"


def test_waiting_hosts_take_turns() -> None:
    turns = _turns(most=1, most_per_host=1)
    turns.enter("x", "x")
    for item in ("a0", "a1", "a2", "b0", "c0"):
        turns.enter(item[0], item)
    order = []
    running = "x"
    while True:
        turns.leave(running[0])
        item = turns.next()
        if item is None:
            break
        order.append(item)
        running = item
    assert [item[0] for item in order[:3]] == ["a", "b", "c"]
    assert sorted(order) == ["a0", "a1", "a2", "b0", "c0"]


def test_those_given_up_do_not_come_again() -> None:
    turns = _turns(most_per_host=1)
    for item in ("a0", "a1", "a2"):
        turns.enter("a", item)
    assert turns.give_up_waiting() == ["a1", "a2"]
    turns.leave("a")
    assert turns.next() is None
    assert turns.enter("a", "a3")


@given(
    most=st.integers(1, 4),
    most_per_host=st.integers(1, 4),
    steps=st.lists(st.sampled_from(["a", "b", "c", "leave"]), max_size=60),
)
def test_everyone_gets_a_place_once_and_the_bounds_hold(
    most: int, most_per_host: int, steps: list[str]
) -> None:
    turns = _turns(most, most_per_host)
    running: list[str] = []
    entered: list[str] = []
    ran: list[str] = []

    def start(item: str) -> None:
        running.append(item)
        ran.append(item)
        assert len(running) <= most
        assert max(Counter(name[0] for name in running).values()) <= most_per_host

    for step in [*steps, *["leave"] * 60]:
        if step != "leave":
            entered.append(f"{step}{len(entered)}")
            if turns.enter(step, entered[-1]):
                start(entered[-1])
        elif running:
            turns.leave(running.pop(0)[0])
        for item in _all_next(turns):
            start(item)
    assert sorted(ran) == sorted(entered)
    for host in "abc":
        assert [item for item in ran if item[0] == host] == [item for item in entered if item[0] == host]
