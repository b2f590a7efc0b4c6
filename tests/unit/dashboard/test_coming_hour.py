"""The fires of the coming hour."""

import secrets
from datetime import UTC, datetime, timedelta

from webhookcron.core.jobs import Job
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.dashboard import coming_hour
from webhookcron.dashboard.coming_hour import coming_hour as hour_of

NOW = datetime(2030, 1, 31, 9, 0, 20, tzinfo=UTC)


def job(expression: str, next_run_at: datetime | None) -> Job:
    return Job(
        id=secrets.token_hex(12),
        owner_id="ann",
        name=expression,
        schedule=Schedule(type=ScheduleType.CRON, cron_expression=expression),
        request=RequestSpec(url="https://example.com"),
        created_at=NOW,
        updated_at=NOW,
        handled_through=NOW,
        schedule_since=NOW,
        next_run_at=next_run_at,
    )


def test_fires_of_all_jobs_come_in_order() -> None:
    soon = NOW + timedelta(minutes=1)
    hour = hour_of([job("*/20 * * * *", soon), job("5 * * * *", soon)], NOW)
    assert [(fire.at.minute, fire.job.name) for fire in hour.fires] == [
        (5, "5 * * * *"),
        (20, "*/20 * * * *"),
        (40, "*/20 * * * *"),
        (0, "*/20 * * * *"),
    ]
    assert hour.starts_at == NOW.replace(second=0)
    assert hour.complete


def test_jobs_that_are_not_due_within_it_are_not_looked_at() -> None:
    later = NOW + timedelta(hours=2)
    assert hour_of([job("* * * * *", None), job("* * * * *", later)], NOW).fires == []


def test_too_many_fires_are_cut_and_told() -> None:
    busy = [job("* * * * * *", NOW) for _ in range(8)]
    hour = hour_of(busy, NOW)
    assert len(hour.fires) == coming_hour.MOST
    assert not hour.complete
