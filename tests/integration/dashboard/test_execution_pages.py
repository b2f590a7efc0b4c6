"""Executions: their list, which keeps itself up to date, and the page of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.executions import (
    Attempt,
    AttemptError,
    Execution,
    ExecutionStatus,
    Reason,
    Trigger,
    schedule_execution_id,
)
from webhookcron.dashboard.state import MAX_STREAMS
from webhookcron.dashboard.views import live
from webhookcron.storage.execution_documents import attempt_document

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def new_execution(platform: Any, new_job: Callable[..., Any]) -> Callable[..., Execution]:
    """Puts an execution into the log; of a new job unless one is given."""

    def make(seconds_ago: int = 0, job: Any = None, **values: Any) -> Execution:
        job = job or new_job()
        moment = NOW - timedelta(seconds=seconds_ago)
        execution = Execution(
            id=schedule_execution_id(job.id, moment),
            job_id=job.id,
            owner_id=job.owner_id,
            job_name=job.name,
            host=job.host,
            trigger=Trigger.SCHEDULE,
            status=ExecutionStatus.SUCCESS,
            scheduled_at=moment,
            queued_at=moment,
            attempt_count=1,
        )
        execution = replace(execution, **values)
        platform.executions.insert([execution])
        # Attempts are written when a call was made, not when an execution is.
        attempts = [attempt_document(attempt) for attempt in execution.attempts]
        platform.database["executions"].update_one({"_id": execution.id}, {"$set": {"attempts": attempts}})
        return execution

    return make


FAILED_ATTEMPT = Attempt(
    number=1,
    started_at=NOW,
    duration_ms=12,
    phases={"connectMs": 2.0, "firstByteMs": 10.0, "totalMs": 12.0},
    request_method="POST",
    request_url="https://example.com/hook",
    request_headers=(("Content-Type", "application/json"), ("Authorization", "***")),
    response_status=503,
    response_headers=(("Retry-After", "5"),),
    response_body='{"error":"busy"}',
    error=AttemptError(kind="temporary_status", message="the target answered with status 503"),
)


def failed(**values: Any) -> dict[str, Any]:
    return {
        "status": ExecutionStatus.FAILED,
        "error": FAILED_ATTEMPT.error,
        "response_status": 503,
        "attempts": (FAILED_ATTEMPT,),
        "completed_at": NOW,
        "duration_ms": 12,
        **values,
    }


def test_a_page_shows_attempts_phases_and_bodies(visitor: Any, new_execution: Callable[..., Any]) -> None:
    page = visitor.get(f"/dashboard/executions/{new_execution(**failed()).id}")
    assert "the target answered with status 503" in page.text
    assert "Wait for the first byte 8 ms" in page.text
    assert "&#34;error&#34;: &#34;busy&#34;" in page.html
    assert "curl -X POST https://example.com/hook" in page.text
    assert "Authorization: ***" in page.text


def test_a_failure_can_be_replayed(
    visitor: Any, new_execution: Callable[..., Any], pushed: list[str]
) -> None:
    failure = new_execution(**failed())
    page = visitor.submit(visitor.get(f"/dashboard/executions/{failure.id}"), "/replay")
    assert page.response.request.path == f"/dashboard/executions/{pushed[0]}"
    assert f"/dashboard/executions/{failure.id}" in page.links


def test_what_waits_can_be_cancelled_and_what_is_final_removed(
    visitor: Any, new_execution: Callable[..., Any], services: Any
) -> None:
    waiting = new_execution(status=ExecutionStatus.QUEUED)
    page = visitor.get(f"/dashboard/executions/{waiting.id}")
    assert not [form for form in page.forms if form.action.endswith(("/replay", "/delete"))]
    assert "Cancelled." in visitor.submit(page, "/cancel").text
    done = new_execution(seconds_ago=3600)
    removed = visitor.submit(visitor.get(f"/dashboard/executions/{done.id}"), "/delete")
    assert "Removed from the log." in removed.text


def test_what_cannot_be_done_any_more_is_told(visitor: Any, new_execution: Callable[..., Any]) -> None:
    done = new_execution()
    response = visitor.client.post(
        f"/dashboard/executions/{done.id}/cancel",
        data={"csrf_token": visitor.token()},
        follow_redirects=True,
    )
    assert "only queued and retrying ones can be cancelled" in response.text


def test_the_log_of_a_deleted_job_can_be_looked_at(
    visitor: Any, new_execution: Callable[..., Any], services: Any
) -> None:
    execution = new_execution(**failed())
    services.jobs.delete(visitor.principal, execution.job_id)
    page = visitor.get(f"/dashboard/executions/{execution.id}")
    assert "(deleted)" in page.text
    assert not [form for form in page.forms if form.action.endswith("/replay")]


def test_a_record_of_many_missed_fire_times_says_so(visitor: Any, new_execution: Callable[..., Any]) -> None:
    record = new_execution(
        status=ExecutionStatus.SKIPPED,
        reason=Reason.MISFIRE.value,
        skipped_count=4_321,
        skipped_until=NOW,
        attempt_count=0,
    )
    assert "4,321 fire times" in visitor.get(f"/dashboard/executions/{record.id}").text
    assert "found too late (4,321 fire times)" in visitor.get("/dashboard/executions").text


def test_the_list_can_be_filtered_and_paged(
    visitor: Any, new_execution: Callable[..., Any], new_job: Any
) -> None:
    job = new_job(name="busy")
    for number in range(60):
        new_execution(number, job)
    failure = new_execution(5, **failed())
    page = visitor.get("/dashboard/executions?status=failures")
    assert f"/dashboard/executions/{failure.id}" in page.links
    assert "busy" not in page.text
    first = visitor.get(f"/dashboard/executions?job={job.id}")
    (older,) = [link for link in first.links if "after=" in link]
    second = visitor.get(older)
    shown = [
        {link for link in page.links if link.startswith(f"/dashboard/executions/{job.id}")}
        for page in (first, second)
    ]
    assert [len(links) for links in shown] == [50, 10]
    assert not shown[0] & shown[1]
    assert "data-live-rows" in first.html
    assert "data-live-rows" not in second.html


def test_polling_tells_only_what_changed(
    visitor: Any, new_execution: Callable[..., Any], platform: Any
) -> None:
    old = new_execution(60)
    rows = "/dashboard/executions/rows"
    first = visitor.client.get(rows, query_string={"cursor": ""}).get_json()
    assert list(first["rows"]) == [old.id]
    same = visitor.client.get(rows, query_string={"cursor": first["cursor"]})
    assert same.status_code == 204
    new = new_execution(0, status=ExecutionStatus.QUEUED)
    second = visitor.client.get(rows, query_string={"cursor": first["cursor"]}).get_json()
    assert list(second["rows"]) == [new.id]
    assert second["order"] == [new.id, old.id]
    platform.database["executions"].update_one({"_id": new.id}, {"$set": {"status": "running"}})
    third = visitor.client.get(rows, query_string={"cursor": second["cursor"]}).get_json()
    assert "Running" in third["rows"][new.id]


def events_of(text: str) -> list[dict[str, str]]:
    return [
        dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        for block in text.split("\n\n")
        if block.strip()
    ]


def test_a_stream_tells_the_same_and_goes_on_where_it_broke_off(
    visitor: Any, new_execution: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.05)
    monkeypatch.setattr(live, "LOOK_EVERY_SECONDS", 0.02)
    old = new_execution(60)
    path = "/dashboard/executions/stream"
    first = visitor.client.get(path, buffered=True)
    assert first.mimetype == "text/event-stream"
    (event,) = [event for event in events_of(first.text) if "data" in event]
    assert json.loads(event["data"])["order"] == [old.id]
    new = new_execution(0)
    second = visitor.client.get(path, headers={"Last-Event-ID": event["id"]}, buffered=True)
    (event,) = [event for event in events_of(second.text) if "data" in event]
    assert list(json.loads(event["data"])["rows"]) == [new.id]


def test_streams_are_few_and_their_places_come_back(
    visitor: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_SECONDS", 0.01)
    path = "/dashboard/executions/stream"
    open_streams = [visitor.client.get(path) for _ in range(MAX_STREAMS)]
    refused = visitor.client.get(path)
    assert refused.status_code == 503
    for stream in open_streams:
        stream.close()
    free = visitor.client.get(path)
    assert free.status_code == 200
    free.close()


def test_a_stream_is_for_those_who_are_signed_in(stranger: Any) -> None:
    response = stranger.client.get("/dashboard/executions/stream", headers={"Accept": "text/event-stream"})
    assert response.status_code == 401


def test_others_executions_are_not_there(
    new_visitor: Callable[..., Any], new_execution: Callable[..., Any]
) -> None:
    execution, other = new_execution(), new_visitor()
    assert other.get(f"/dashboard/executions/{execution.id}").status == 404
    assert execution.id not in other.get("/dashboard/executions").html
    assert other.client.get("/dashboard/executions/rows").status_code in (200, 204)
    assert execution.id not in other.client.get("/dashboard/executions/rows").text
