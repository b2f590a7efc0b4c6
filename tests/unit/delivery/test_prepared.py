"""Prepared jobs: how many are kept, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from webhookcron.core.jobs import DeliveryJob
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.retries import RetryPolicy
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.delivery.prepared import PreparedJobs

ONCE = Schedule(type=ScheduleType.ONCE, run_at=datetime(2026, 1, 1, tzinfo=UTC))


class Jobs:
    """What MongoDB holds: a version and the size of the payload by id; remembers what was read."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.versions: dict[str, int] = {}
        self.read: list[str] = []

    def delivery_jobs(self, job_ids: Sequence[str]) -> dict[str, DeliveryJob]:
        self.read += job_ids
        return {job_id: self._job(job_id) for job_id in job_ids if job_id in self.sizes}

    def _job(self, job_id: str) -> DeliveryJob:
        request = RequestSpec(
            url="https://example.com/",
            payload="x" * self.sizes[job_id],
            content_type="text/plain",
            signing=False,
        )
        return DeliveryJob(job_id, self.versions.get(job_id, 1), ONCE, request, RetryPolicy(), 0, None)


def prepared_jobs(jobs: Any, **bounds: int) -> PreparedJobs:
    return PreparedJobs(jobs, **bounds)


def test_a_job_is_read_once_per_version() -> None:
    jobs = Jobs(a=1)
    prepared = prepared_jobs(jobs)
    for _ in range(3):
        assert prepared.get({"a": 1})["a"].version == 1
    jobs.versions["a"] = 2
    assert prepared.unknown({"a": 1, "b": 1}) == {"b": 1}
    assert prepared.unknown({"a": 2}) == {"a": 2}
    assert prepared.get({"a": 2})["a"].version == 2
    assert prepared.get({"a": 1})["a"].version == 2, "a newer one serves as well"
    assert jobs.read == ["a", "a"]


def test_a_job_that_is_gone_is_left_out() -> None:
    assert prepared_jobs(Jobs()).get({"a": 1}) == {}


def test_the_least_recently_used_jobs_are_dropped() -> None:
    jobs = Jobs(a=1, b=1, c=1)
    prepared = prepared_jobs(jobs, size=2)
    prepared.get({"a": 1})
    prepared.get({"b": 1})
    prepared.get({"a": 1})
    prepared.get({"c": 1})
    assert prepared.unknown({"a": 1, "b": 1, "c": 1}) == {"b": 1}


def test_large_payloads_are_kept_up_to_a_bound() -> None:
    jobs = Jobs(a=40, b=40, c=40, huge=500)
    prepared = prepared_jobs(jobs, payload_bytes=100)
    prepared.get({"a": 1, "b": 1, "c": 1})
    assert prepared.unknown({"a": 1, "b": 1, "c": 1}) == {"a": 1}
    assert set(prepared.get({"huge": 1})) == {"huge"}, "one is kept however large it is"
    assert len(prepared) == 1
    prepared.get({"a": 1, "b": 1})
    assert prepared.unknown({"a": 1, "b": 1, "huge": 1}) == {"huge": 1}


def test_a_change_of_the_payload_changes_what_counts() -> None:
    jobs = Jobs(a=90, b=50)
    prepared = prepared_jobs(jobs, payload_bytes=100)
    prepared.get({"a": 1})
    jobs.sizes["a"], jobs.versions["a"] = 10, 2
    prepared.get({"a": 2})
    prepared.get({"b": 1})
    assert prepared.unknown({"a": 2, "b": 1}) == {}
