"""Looking names up: each on a thread of its own, once for all who wait, with a deadline for each of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.names import MOST_ADDRESSES, Addresses, Names

LATER = 1e9


class Resolver:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Sequence[str] | Exception] = {}
        self.wakes = threading.Semaphore(0)
        self._gates: dict[str, threading.Event] = {}

    def hold(self, name: str) -> threading.Event:
        return self._gates.setdefault(name, threading.Event())

    def look_up(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name in self._gates:
            assert self._gates[name].wait(30)
        answer = self.answers.get(name, ["192.0.2.1"])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def release_all(self) -> None:
        for gate in self._gates.values():
            gate.set()


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.release_all()


def names_of(resolver: Resolver, **options: int) -> Names[str]:
    return Names(look_up=resolver.look_up, wake=resolver.wakes.release, **options)


def answered(names: Names[str]) -> list[str]:
    """Who got addresses."""
    return [item for item, answer in names.answers() if isinstance(answer, Addresses)]


def woken(resolver: Resolver) -> None:
    assert resolver.wakes.acquire(timeout=30)


def test_an_answer_serves_all_who_wait_and_those_who_come_soon_after(resolver: Resolver) -> None:
    names, gate = names_of(resolver), resolver.hold("a.example")
    names.wait("a.example", "first", LATER)
    names.wait("a.example", "second", LATER)
    assert len(names) == 2
    gate.set()
    woken(resolver)

    assert answered(names) == ["first", "second"]
    known = names.known("a.example")
    assert known is not None
    assert known.texts == ("192.0.2.1",)
    assert known.fresh_until > time.monotonic()
    assert (resolver.asked, len(names), names.seconds_left()) == (["a.example"], 0, None)


def test_names_that_hang_hold_up_no_other_name(resolver: Resolver) -> None:
    names = names_of(resolver)
    for number in range(100):
        resolver.hold(f"slow{number}.example")
        names.wait(f"slow{number}.example", f"slow{number}", LATER)
    names.wait("quick.example", "quick", LATER)
    woken(resolver)

    assert answered(names) == ["quick"]


def test_beyond_the_bound_names_wait_for_a_thread(resolver: Resolver) -> None:
    names, gate = names_of(resolver, most_threads=1), resolver.hold("slow.example")
    for name in ("slow.example", "b.example", "c.example"):
        names.wait(name, name, LATER)
    gate.set()
    for _ in range(3):
        woken(resolver)

    assert answered(names) == resolver.asked == ["slow.example", "b.example", "c.example"]


def test_who_waits_for_too_long_waits_no_more_and_the_others_do(resolver: Resolver) -> None:
    names, gate = names_of(resolver), resolver.hold("a.example")
    names.wait("a.example", "late", time.monotonic() - 1)
    names.wait("a.example", "patient", LATER)

    assert names.seconds_left() == 0
    assert names.overdue() == ["late"]
    assert names.overdue() == []
    left = names.seconds_left()
    assert left is not None
    assert left > 0
    gate.set()
    woken(resolver)
    assert answered(names) == ["patient"]


@pytest.mark.parametrize(
    "answer", [OSError(-2, "Name or service not known"), [], ValueError("no lookup does this")]
)
def test_a_failure_is_told_and_not_remembered(
    resolver: Resolver, answer: Sequence[str] | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    names = names_of(resolver)
    resolver.answers["a.example"] = answer
    names.wait("a.example", "item", LATER)
    woken(resolver)

    ((item, failure),) = names.answers()
    assert item == "item"
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.DNS
    assert "a.example" in failure.message
    assert names.known("a.example") is None
    assert bool(caplog.records) is isinstance(answer, ValueError)

    resolver.answers["a.example"] = ["192.0.2.7"]
    names.wait("a.example", "again", LATER)
    woken(resolver)
    assert answered(names) == ["again"]


def test_without_a_thread_to_be_had_names_fail_and_may_be_asked_for_again(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = names_of(resolver)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        names.wait("a.example", "item", LATER)
    ((_, failure),) = names.answers()
    assert isinstance(failure, Failure)
    assert "new thread" in failure.message

    names.wait("a.example", "again", LATER)
    woken(resolver)
    woken(resolver)
    assert answered(names) == ["again"]


def test_an_answer_is_kept_without_doubles_and_to_a_bound(resolver: Resolver) -> None:
    names = names_of(resolver)
    resolver.answers["a.example"] = ["192.0.2.1", "192.0.2.1", *(f"198.51.100.{n}" for n in range(100))]
    names.wait("a.example", "item", LATER)
    woken(resolver)
    names.answers()

    known = names.known("a.example")
    assert known is not None
    assert len(known.texts) == len(set(known.texts)) == MOST_ADDRESSES


def test_after_the_end_nobody_is_woken(resolver: Resolver) -> None:
    names, gate = names_of(resolver, most_threads=1), resolver.hold("a.example")
    names.wait("a.example", "item", LATER)
    names.wait("b.example", "other", LATER)
    assert sorted(names.give_up()) == ["item", "other"]
    names.close()
    gate.set()

    threads = [thread for thread in threading.enumerate() if thread.name == "names"]
    for thread in threads:
        thread.join(30)
    assert not resolver.wakes.acquire(blocking=False)
    assert names.answers() == []
