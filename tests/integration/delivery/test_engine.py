"""The delivery engine with a caller that does as it is told: room, fairness, outages, stops."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.breakers import OPENS_AFTER
from webhookcron.delivery.caller import WebhookCall
from webhookcron.delivery.engine import Engine
from webhookcron.delivery.intake import OriginsOfJobs
from webhookcron.delivery.transport_types import HttpRequest, HttpResult


class Calls:
    """Caller and transport at once: calls stay under way until they are told to end."""

    def __init__(self) -> None:
        self.closed = False
        self.started: list[str] = []
        self.most: Counter[str] = Counter()
        self.answers: Callable[[str], bool] = lambda _host: True
        self._under_way: dict[str, tuple[str, WebhookCall]] = {}
        self._lock = threading.Lock()
        self._on_pause: Callable[[], None] = lambda: None

    def tell_of_pauses(self, on_pause: Callable[[], None]) -> None:
        self._on_pause = on_pause

    def call_many(self, calls: list[WebhookCall]) -> None:
        for call in calls:
            host = str(call.template.spec.url).split("/")[2]
            with self._lock:
                self.started.append(call.context.execution_id)
                self._under_way[call.context.execution_id] = (host, call)
                for name, count in self.under_way().items():
                    self.most[name] = max(self.most[name], count)
                self.most["in all"] = max(self.most["in all"], len(self._under_way))
            if self.closed:
                self.end(call.context.execution_id, CANCELLED)
            elif self.answers(host):
                self.end(call.context.execution_id)

    def under_way(self) -> Counter[str]:
        return Counter(host for host, _ in self._under_way.values())

    def under_way_ids(self) -> list[str]:
        return list(self._under_way)

    def end(
        self, execution_id: str, result: HttpResult | None = None, request: HttpRequest | None = None
    ) -> None:
        with self._lock:
            _, call = self._under_way.pop(execution_id)
        call.on_done(request, result or HttpResult(status=200))
        self._on_pause()

    def close(self, _drain_seconds: float) -> None:
        self.closed = True
        for execution_id in list(self._under_way):
            self.end(execution_id, CANCELLED)


REQUEST = HttpRequest(method="POST", url="http://shop.example:81/hook", timeout_ms=1000)
CANCELLED = HttpResult(failure=Failure(FailureKind.CANCELLED, "the worker stops"))


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def start_engine(world: Any, calls: Calls) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def start(
        *, most: int = 100, per_host: int = 100, claimer: Any = None, recorder: Any = None, **more: Any
    ) -> Engine:
        now = world.at(700)
        holder = SimpleNamespace(engine=None)
        recorder = recorder or world.recorder(now, on_recorded=lambda count: holder.engine.recorded(count))
        holder.engine = engine = Engine(
            claimer=claimer or world.claimer(now),
            origins=OriginsOfJobs(world.jobs),
            caller=calls,  # type: ignore[arg-type]
            transport=calls,  # type: ignore[arg-type]
            recorder=recorder,
            enqueue=world.pushed.extend,
            now=lambda: now,
            most_in_flight=most,
            most_per_host=per_host,
            stopping=threading.Event(),
            on_broken=lambda: None,
            put_off=lambda _ids, _seconds: None,
            on_circuit=lambda _host, _seconds: None,
            **more,
        )
        engines.append(engine)
        engine.start()
        return engine

    yield start
    for engine in engines:
        engine.stop(timedelta(seconds=1))


def fire(world: Any, **hosts: int) -> dict[str, list[str]]:
    """So many executions for each host, queued; their ids by host."""
    jobs = {
        host: world.job(world.every(1), url=f"http://{host}.example/hook", misfire_grace_ms=3_600_000)
        for host in hosts
    }
    world.tick(world.at(max(hosts.values())))
    ids = world.take_pushed()
    return {
        host: [execution_id for execution_id in ids if execution_id.startswith(job.id)][: hosts[host]]
        for host, job in jobs.items()
    }


def statuses(world: Any, ids: list[str]) -> Counter[str]:
    return Counter(status.value for status in world.executions.statuses(ids).values())


def test_what_is_offered_is_called_once_and_recorded(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    engine = start_engine()
    ids = fire(world, a=50)["a"]
    engine.offer(ids)
    engine.offer(ids)
    eventually(lambda: statuses(world, ids) == {"success": 50})
    assert sorted(calls.started) == sorted(ids)
    eventually(lambda: engine.load == (0, 0, 0))
    engine.offer(ids)
    eventually(lambda: engine.load == (0, 0, 0))
    assert len(calls.started) == 50


def test_no_more_calls_are_under_way_than_there_is_room_for(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    calls.answers = lambda _host: False
    engine = start_engine(most=8, per_host=3)
    ids = fire(world, a=20, b=20, c=20)
    engine.offer([execution_id for part in ids.values() for execution_id in part])
    done: set[str] = set()

    def end_all() -> bool:
        for execution_id in [i for i in calls.started if i not in done]:
            done.add(execution_id)
            calls.end(execution_id)
        return len(done) == 60

    eventually(end_all)
    assert calls.most["in all"] <= 8
    assert max(calls.most[f"{host}.example"] for host in "abc") <= 3


def test_a_hanging_host_does_not_keep_the_others_waiting(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    calls.answers = lambda host: not host.startswith("hanging")
    engine = start_engine(most=10, per_host=4)
    ids = fire(world, hanging=300, quick=60)
    engine.offer(ids["hanging"])
    engine.offer(ids["quick"])
    eventually(lambda: statuses(world, ids["quick"]) == {"success": 60})
    assert calls.under_way() == {"hanging.example": 4}


def test_a_port_that_refuses_keeps_nothing_from_another_port_of_its_host(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Callable[..., Any]
) -> None:
    closed = world.job(world.every(1), url="http://shop.example:81/hook", misfire_grace_ms=3_600_000)
    world.tick(world.at(20))
    to_closed = world.take_pushed()
    calls.answers = lambda host: host == "shop.example"
    engine = start_engine(per_host=1)
    engine.offer(to_closed)
    for _ in range(OPENS_AFTER):
        eventually(lambda: bool(calls.under_way_ids()))
        calls.end(
            calls.under_way_ids()[0],
            HttpResult(failure=Failure(FailureKind.CONNECT, "refused")),
            request=REQUEST,
        )

    open_ = world.job(world.every(1), url="http://shop.example/hook", misfire_grace_ms=3_600_000)
    world.tick(world.at(22))
    ids = [execution_id for execution_id in world.take_pushed() if execution_id.startswith(open_.id)]
    engine.offer(ids)

    eventually(lambda: statuses(world, ids) == {"success": len(ids)})
    assert ids
    assert len(calls.started) == OPENS_AFTER + len(ids), "the closed port was left alone"
    assert closed.host == open_.host


def test_what_is_claimed_elsewhere_gives_its_place_back(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    ids = fire(world, a=30)["a"]
    world.claim(world.at(600), ids[:20])
    engine = start_engine(most=5, per_host=5)
    engine.offer(ids)
    eventually(lambda: sorted(calls.started) == sorted(ids[20:]))
    eventually(lambda: engine.load == (0, 0, 0))


def test_a_worker_that_was_stopped_between_claim_and_call_until_its_lease_was_over_does_not_call(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    class StoppedAfter:
        def __init__(self, inner: Any) -> None:
            self._inner, self._late = inner, 3

        def claim(self, ids: Any) -> Any:
            claimed = self._inner.claim(ids)
            for claim in claimed.calls[: self._late]:
                claim.lease_until = world.at(699)
            self._late = 0
            return claimed

    ids = fire(world, a=5)["a"]
    engine = start_engine(claimer=StoppedAfter(world.claimer(world.at(700))))
    engine.offer(ids)
    eventually(lambda: statuses(world, ids) == {"running": 3, "success": 2})
    assert len(calls.started) == 2
    eventually(lambda: engine.load == (0, 0, 0))
    world.sweep(world.at(800))
    engine.offer(world.take_pushed())
    eventually(lambda: sorted(calls.started) == sorted(ids))


def test_a_batch_over_which_mongodb_goes_away_is_delivered_when_it_is_back(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    class AwayTwice:
        def __init__(self, inner: Any) -> None:
            self._inner, self.times = inner, 2

        def claim(self, ids: Any) -> Any:
            self.times -= 1
            if self.times >= 0:
                raise StoreUnavailable("away")
            return self._inner.claim(ids)

    ids = fire(world, a=5)["a"]
    start_engine(claimer=AwayTwice(world.claimer(world.at(700)))).offer(ids)
    eventually(lambda: statuses(world, ids) == {"success": 5})
    assert sorted(calls.started) == sorted(ids)


def test_a_batch_that_cannot_be_handled_does_not_end_the_worker_nor_spin(
    world: Any, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    class Broken:
        def __init__(self, inner: Any) -> None:
            self._inner, self.claims = inner, 0

        def claim(self, ids: Any) -> Any:
            self.claims += 1
            if self.claims == 1:
                raise ZeroDivisionError
            return self._inner.claim(ids)

    ids = fire(world, a=5, b=5)
    broken = Broken(world.claimer(world.at(700)))
    engine = start_engine(claimer=broken)
    engine.offer(ids["a"])
    eventually(lambda: broken.claims == 1 and engine.load == (0, 0, 0))
    engine.offer(ids["b"])
    eventually(lambda: statuses(world, ids["b"]) == {"success": 5})
    assert broken.claims == 2, "the first batch comes again by the sweep"


def test_a_stop_puts_back_what_was_not_over(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    calls.answers = lambda _host: False
    engine = start_engine(most=4, per_host=4)
    ids = fire(world, a=10)["a"]
    engine.offer(ids)
    eventually(lambda: len(calls.started) >= 3)
    calls.end(calls.started[0])
    engine.stop(timedelta(seconds=1))
    found = statuses(world, ids)
    assert found == {"success": 1, "queued": 9}
    assert set(world.pushed) == set(ids) - {calls.started[0]}, "they go to other workers at once"
    assert all(
        execution.attempt_count == 0
        for execution in world.executions.get_many(ids[1:])
        if not execution.status.final
    )


def test_an_attempt_that_cannot_be_built_is_recorded_as_failed(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    job = world.job()
    world.database["jobs"].update_one({"_id": job.id}, {"$set": {"successStatuses": "odd"}})
    world.tick(world.at(60))
    start_engine().offer(world.take_pushed())
    eventually(lambda: world.found(job) == {60: "failed"})
    assert world.log(job)[0].error.kind == "invalid_request"
    assert calls.started == []


# --- reading ahead


def test_an_idle_worker_has_read_what_fires_next(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    ids = fire(world, a=2, b=2)
    jobs = {i.partition(":")[0]: 1 for part in ids.values() for i in part}
    claimer = world.claimer(world.at(700))
    engine = start_engine(claimer=claimer, upcoming=lambda: jobs)
    eventually(lambda: not claimer.prepared.unknown(jobs))
    engine.offer([*ids["a"], *ids["b"]])
    eventually(lambda: len(calls.started) == 4)


@pytest.mark.parametrize("error", [TickSourceUnavailable("away"), StoreUnavailable("away")])
def test_a_worker_that_cannot_read_ahead_delivers_all_the_same(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any, error: Exception
) -> None:
    asked = []

    def upcoming() -> dict[str, int]:
        asked.append(True)
        raise error

    engine = start_engine(upcoming=upcoming)
    eventually(lambda: len(asked) >= 2)
    ids = fire(world, a=3)["a"]
    engine.offer(ids)
    eventually(lambda: statuses(world, ids) == {"success": 3})


def test_records_come_after_the_claims_of_a_burst(
    world: Any, calls: Calls, start_engine: Callable[..., Engine], eventually: Any
) -> None:
    said: list[bool] = []
    recorder = world.recorder(world.at(700))
    yield_to_claims = recorder.yield_to_claims

    def noted(yields: bool) -> None:
        said.append(yields)
        yield_to_claims(yields)

    recorder.yield_to_claims = noted
    engine = start_engine(recorder=recorder)
    ids = fire(world, a=300)["a"]
    engine.offer(ids)
    eventually(lambda: statuses(world, ids) == {"success": 300})
    first = said.index(True)
    assert said[first : first + 3] == [True, True, True], (
        "three claims of a hundred each, with nothing between"
    )
    eventually(lambda: said[-1] is False)
