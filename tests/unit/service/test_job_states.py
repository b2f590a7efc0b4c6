"""What becomes of a job that is changed, paused or resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from webhookcron.core.jobs import Job, JobStatus
from webhookcron.service.definition_fields import patched
from webhookcron.service.definitions import Definition, DefinitionRules
from webhookcron.service.errors import Conflict
from webhookcron.service.job_states import paused, redefined, rescheduled, resumed

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture
def changed_to(rules: DefinitionRules, now: datetime) -> Callable[..., Definition]:
    def make(job: Job, **patch: Any) -> Definition:
        return rules.build(patched(job, patch), now=now + DAY, stored=job)

    return make


def test_a_new_job_starts_its_cursor_now(job: Callable[..., Job], now: datetime) -> None:
    made = job()
    assert (made.handled_through, made.schedule_since, made.status) == (now, now, JobStatus.ACTIVE)
    assert made.next_run_at == now.replace(hour=9) + DAY


def test_a_job_for_now_has_its_cursor_just_before(job: Callable[..., Job], now: datetime) -> None:
    made = job(delay_ms=0)
    assert (made.handled_through, made.next_run_at) == (now - MILLISECOND, now)


def test_a_job_may_start_paused(job: Callable[..., Job], now: datetime) -> None:
    made = job(active=False)
    assert (made.status, made.paused_from, made.next_run_at) == (JobStatus.PAUSED, now, None)


def test_a_new_schedule_starts_anew(
    job: Callable[..., Job], changed_to: Callable[..., Definition], now: datetime
) -> None:
    stored = replace(job(max_runs=5), scheduled_runs=3)
    changed = rescheduled(stored, changed_to(stored, cron_expression="0 10 * * *"), now + DAY)
    assert (changed.handled_through, changed.schedule_since) == (now + DAY, now + DAY)
    assert changed.scheduled_runs == 0
    assert changed.next_run_at == now.replace(hour=10) + 2 * DAY


@pytest.mark.parametrize(
    ("patch", "moves"),
    [
        ({"cron_expression": "0 10 * * *"}, True),
        ({"timezone": "Asia/Tokyo"}, True),
        ({"max_runs": 2}, True),
        ({"jitter_ms": 100}, True),
        ({"name": "other"}, False),
        ({"webhook_url": "https://example.org"}, False),
        ({"misfire_policy": "skip"}, False),
        ({"overlap_policy": "skip"}, False),
    ],
)
def test_it_knows_what_moves_fire_times(
    job: Callable[..., Job], changed_to: Callable[..., Definition], patch: dict[str, Any], moves: bool
) -> None:
    stored = job()
    assert changed_to(stored, **patch).moves_fire_times(Definition.of(stored)) is moves


def test_another_name_leaves_the_cursor_alone(
    job: Callable[..., Job], changed_to: Callable[..., Definition], now: datetime
) -> None:
    stored = job()
    changed = redefined(stored, changed_to(stored, name="other"), now + DAY)
    assert changed == replace(stored, name="other", updated_at=now + DAY)


def test_a_pause_ends_the_waiting(job: Callable[..., Job], now: datetime) -> None:
    changed = paused(job(), now + DAY)
    assert (changed.status, changed.paused_from, changed.paused_until) == (JobStatus.PAUSED, now + DAY, None)
    assert (changed.handled_through, changed.next_run_at) == (now + DAY, None)


def test_a_resumed_job_goes_on_from_now(job: Callable[..., Job], now: datetime) -> None:
    changed = resumed(replace(paused(job(), now), consecutive_failures=4), now + DAY)
    assert changed.status is JobStatus.ACTIVE
    assert (changed.paused_from, changed.paused_until, changed.handled_through) == (now, now + DAY, now + DAY)
    assert changed.consecutive_failures == 0
    assert changed.next_run_at == now.replace(hour=9) + 2 * DAY


def test_a_disabled_job_is_resumed_without_a_pause(job: Callable[..., Job], now: datetime) -> None:
    disabled = replace(job(), status=JobStatus.DISABLED, status_reason="gone", next_run_at=None)
    changed = resumed(disabled, now + DAY)
    assert (changed.status, changed.status_reason, changed.paused_until) == (JobStatus.ACTIVE, None, None)


def test_a_moment_that_passed_in_the_pause_completes_the_job(job: Callable[..., Job], now: datetime) -> None:
    changed = resumed(paused(job(delay_ms=60_000), now), now + DAY)
    assert (changed.status, changed.next_run_at) == (JobStatus.COMPLETED, None)
    assert "while the job was paused" in (changed.status_reason or "")


def test_pausing_and_resuming_twice_changes_nothing(job: Callable[..., Job], now: datetime) -> None:
    active = job()
    assert resumed(active, now) is active
    pausing = paused(active, now)
    assert paused(pausing, now + DAY) is pausing


def test_a_completed_job_wants_a_new_schedule(
    job: Callable[..., Job], changed_to: Callable[..., Definition], now: datetime
) -> None:
    completed = replace(job(), status=JobStatus.COMPLETED, status_reason="over", next_run_at=None)
    with pytest.raises(Conflict):
        resumed(completed, now)
    with pytest.raises(Conflict):
        paused(completed, now)
    changed = rescheduled(completed, changed_to(completed, cron_expression="0 10 * * *"), now + DAY)
    assert (changed.status, changed.status_reason) == (JobStatus.ACTIVE, None)
    assert changed.next_run_at is not None


def test_a_paused_job_with_a_new_schedule_stays_paused(
    job: Callable[..., Job], changed_to: Callable[..., Definition], now: datetime
) -> None:
    pausing = paused(job(), now)
    changed = rescheduled(pausing, changed_to(pausing, cron_expression="0 10 * * *"), now + DAY)
    assert (changed.status, changed.next_run_at) == (JobStatus.PAUSED, None)


def test_a_moment_given_with_the_resume_fires_as_that_of_a_new_job_does(
    job: Callable[..., Job], changed_to: Callable[..., Definition], now: datetime
) -> None:
    later = now + DAY
    stored = paused(job(), now)
    changed = resumed(rescheduled(stored, changed_to(stored, cron_expression=None, delay_ms=0), later), later)
    assert (changed.status, changed.next_run_at) == (JobStatus.ACTIVE, later)
    assert changed.handled_through == later - MILLISECOND
