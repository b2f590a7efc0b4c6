"""Ids that wait for room: each once, hosts in turn, no more of a host than it has room for."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from webhookcron.delivery.backlog import Backlog


def host_of(execution_id: str) -> str:
    return execution_id.partition("-")[0]


def hosted(ids: list[str]) -> list[tuple[str, str]]:
    return [(execution_id, host_of(execution_id)) for execution_id in ids]


def ids(host: str, count: int) -> list[str]:
    return [f"{host}-{number}" for number in range(count)]


def any_room(_host: str, wanted: int) -> int:
    return wanted


class Rooms:
    """Places per host: what is reserved is gone."""

    def __init__(self, places: int, **others: int) -> None:
        self._places = places
        self._left = dict(others)

    def reserve(self, host: str, wanted: int) -> int:
        granted = min(wanted, self._left.get(host, self._places))
        self._left[host] = self._left.get(host, self._places) - granted
        return granted


def taken(backlog: Backlog, limit: int, reserve: Callable[[str, int], int] = any_room) -> list[str]:
    batch = backlog.take(limit, reserve)
    assert all(host == host_of(execution_id) for execution_id, host in batch)
    return [execution_id for execution_id, _ in batch]


def test_ids_come_in_the_order_they_were_added() -> None:
    backlog = Backlog()
    backlog.add(hosted(ids("a", 5)))
    assert taken(backlog, 3) == ids("a", 3)
    assert taken(backlog, 3) == ["a-3", "a-4"]
    assert len(backlog) == 0


def test_an_id_that_waits_already_is_not_taken_twice_but_may_come_again_later() -> None:
    backlog = Backlog()
    backlog.add(hosted(["a-1", "a-1"]))
    backlog.add(hosted(["a-1"]))
    assert taken(backlog, 10) == ["a-1"]
    backlog.add(hosted(["a-1"]))
    assert taken(backlog, 10) == ["a-1"]


def test_hosts_take_turns() -> None:
    backlog = Backlog()
    backlog.add(hosted([*ids("a", 1000), *ids("b", 10), *ids("c", 10)]))
    hosts = Counter(map(host_of, taken(backlog, 60)))
    assert hosts["b"] == hosts["c"] == 10
    assert hosts["a"] == 40


def test_a_host_without_room_does_not_hold_up_the_others() -> None:
    backlog = Backlog()
    backlog.add(hosted([*ids("full", 100), *ids("free", 3)]))
    assert taken(backlog, 50, Rooms(5, full=0).reserve) == ids("free", 3)
    assert len(backlog) == 100


def test_what_is_beyond_the_bounds_is_dropped_and_counted() -> None:
    backlog = Backlog(most_per_host=3, most_in_all=5)
    assert backlog.add(hosted(ids("a", 5))) == 2
    assert backlog.add(hosted(ids("b", 5))) == 3
    assert len(backlog) == 5


def test_hosts_of_which_all_was_dropped_hold_up_no_one() -> None:
    backlog = Backlog(most_in_all=1)
    backlog.add(hosted(["b-1"]))
    backlog.add(hosted([*ids("a", 1), *ids("c", 1)]))
    assert taken(backlog, 1) == ["b-1"]
    backlog.add(hosted(["d-1"]))
    assert taken(backlog, 1) == ["d-1"]


def test_everything_can_be_taken_at_once() -> None:
    backlog = Backlog()
    backlog.add(hosted([*ids("a", 100), *ids("b", 3)]))
    assert sorted(backlog.take_all()) == sorted([*ids("a", 100), *ids("b", 3)])
    assert len(backlog) == 0


STEPS = st.lists(
    st.one_of(
        st.lists(st.sampled_from([f"{host}-{n}" for host in "abc" for n in range(6)]), max_size=12),
        st.tuples(st.integers(0, 20), st.integers(0, 4)),
    ),
    max_size=12,
)


@given(STEPS)
def test_each_id_added_is_taken_exactly_once_and_no_host_beyond_its_room(
    steps: list[list[str] | tuple[int, int]],
) -> None:
    backlog = Backlog()
    waiting: Counter[str] = Counter()
    for step in steps:
        if isinstance(step, list):
            backlog.add(hosted(step))
            waiting = Counter(set(waiting) | set(step))
            continue
        limit, room = step
        batch = taken(backlog, limit, Rooms(room).reserve)
        per_host = Counter(map(host_of, waiting))
        assert len(batch) == min(limit, sum(min(room, count) for count in per_host.values()))
        assert all(count <= room for count in Counter(map(host_of, batch)).values())
        waiting.subtract(batch)
        assert min(waiting.values(), default=0) >= 0
        waiting = +waiting
        assert len(backlog) == len(waiting)
    assert sorted(backlog.take_all()) == sorted(waiting)
