"""Executions as they happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from webhookcron.core.errors import StoreUnavailable
from webhookcron.service.events import MOST_STREAMS, STREAM_SECONDS, EventService


@dataclass
class Listener:
    """What a client of `/api/events` has got, and the time of its server, which passes while the stream sleeps."""

    seconds: float = 0.0
    meanwhile: Callable[[], object] = lambda: None
    """What happens when the stream sleeps first."""
    events: list[dict[str, Any]] = field(default_factory=list)
    last_id: str = ""

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()

    def listen(self, caller: Any, query: str = "") -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with caller("GET", f"/api/events{query}", headers=headers) as response:
            assert (response.status_code, response.mimetype) == (200, "text/event-stream")
            for block in response.get_data(as_text=True).split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    assert fields["event"] == "execution"
                    self.events.append(json.loads(fields["data"]))

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]


@pytest.fixture
def listener(app: Any) -> Listener:
    made = Listener()
    services = app.extensions["webhookcron"]
    events = EventService(services.executions, monotonic=lambda: made.seconds, sleep=made.sleep)
    object.__setattr__(services, "events", events)
    return made


def trigger(caller: Any, job: dict[str, Any]) -> str:
    return str(caller("POST", f"/api/cron/{job['id']}/trigger").get_json()["execution"]["id"])


def test_what_happens_while_one_listens_is_told_once(caller: Any, listener: Listener) -> None:
    job = caller.created()
    trigger(caller, job)
    made: list[str] = []
    listener.meanwhile = lambda: made.append(trigger(caller, job))
    listener.listen(caller)
    assert listener.ids == made
    assert listener.seconds == STREAM_SECONDS
    shown = caller("GET", f"/api/execution-logs?jobId={job['id']}").get_json()["items"]
    assert listener.events[-1] == shown[0]


def test_a_change_is_told(caller: Any, listener: Listener) -> None:
    execution = trigger(caller, caller.created())
    listener.meanwhile = lambda: caller("POST", f"/api/execution-logs/{execution}/cancel")
    listener.listen(caller)
    assert [(event["id"], event["status"]) for event in listener.events] == [(execution, "cancelled")]


def test_what_happened_between_two_streams_is_told_first(caller: Any, listener: Listener) -> None:
    job = caller.created()
    listener.listen(caller)
    first = [trigger(caller, job), trigger(caller, job)]
    listener.listen(caller)
    assert sorted(listener.ids) == sorted(first)
    listener.listen(caller)
    then = trigger(caller, job)
    listener.listen(caller)
    assert listener.ids[2:] == [then]


def test_each_hears_of_their_own(caller: Any, new_caller: Any, listener: Listener) -> None:
    job = caller.created()
    heard = []
    for other in (new_caller(), new_caller("viewer")):
        listener.meanwhile = lambda: trigger(caller, job)
        listener.seconds, listener.events, listener.last_id = 0.0, [], ""
        listener.listen(other)
        heard.append(bool(listener.events))
    assert heard == [False, True]


def test_filters_hold(caller: Any, listener: Listener) -> None:
    one, other = caller.created(), caller.created()
    listener.meanwhile = lambda: [trigger(caller, job) for job in (one, other)]
    listener.listen(caller, f"?jobId={one['id']}&status=queued")
    assert {event["jobId"] for event in listener.events} == {one["id"]}


def test_a_store_that_goes_away_ends_the_stream(
    caller: Any, listener: Listener, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StoreUnavailable("MongoDB did not answer in time")

    executions = app.extensions["webhookcron"].executions
    listener.meanwhile = lambda: monkeypatch.setattr(executions, "page", away)
    listener.listen(caller)
    assert (listener.seconds, listener.events) == (1.0, [])


def test_too_many_at_a_time_are_refused_and_places_come_back(caller: Any, listener: Listener) -> None:
    streams = [caller("GET", "/api/events") for _ in range(MOST_STREAMS)]
    refused = caller("GET", "/api/events")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    for stream in streams:
        stream.close()
    assert caller("GET", "/api/events?to=x").status_code == 422
    assert caller("GET", "/api/events?from=2030-01-02T00:00:00Z&to=2030-01-01T00:00:00Z").status_code == 422
    for _ in range(MOST_STREAMS + 1):
        listener.listen(caller)


def test_an_id_that_was_never_given_gives_the_latest(caller: Any, listener: Listener) -> None:
    execution = trigger(caller, caller.created())
    listener.last_id = "made-up"
    listener.listen(caller)
    assert listener.ids == [execution]
