"""What a ticker remembers: jobs by version, and cursors on their way to MongoDB."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from webhookcron.core.errors import CorruptDocument, StoreUnavailable
from webhookcron.storage.jobs import Cursor
from webhookcron.ticks.cursors import CursorBook
from webhookcron.ticks.job_cache import TickJobCache


class Counting:
    """A job store that counts what it is asked, and is away when told to be."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.asked: list[list[str]] = []
        self.away = False

    def tick_jobs(self, ids: Any) -> Any:
        self.asked.append(list(ids))
        return self._inner.tick_jobs(ids)

    def flush_cursors(self, cursors: Any) -> None:
        if self.away:
            raise StoreUnavailable("away")
        self._inner.flush_cursors(cursors)


@pytest.fixture
def jobs(world: Any) -> Counting:
    return Counting(world.jobs)


def test_a_job_is_read_once_per_version(world: Any, jobs: Counting) -> None:
    job = world.job()
    cache = TickJobCache(jobs)  # type: ignore[arg-type]
    for _ in range(3):
        assert cache.get([(job.id, 1)])[job.id].version == 1
    assert len(jobs.asked) == 1
    world.jobs.update_definition(replace(job, name="new"), expected_version=1)
    assert cache.get([(job.id, 2)])[job.id].name == "new"
    assert cache.get([(job.id, None)])[job.id].version == 2, "an unreadable entry is never trusted"
    assert len(jobs.asked) == 3


def test_a_job_that_is_gone_or_cannot_be_read_is_asked_for_again(world: Any, jobs: Counting) -> None:
    broken = world.job()
    world.database["jobs"].update_one({"_id": broken.id}, {"$unset": {"timezone": ""}})
    cache = TickJobCache(jobs)  # type: ignore[arg-type]
    wanted = [(broken.id, 1), ("gone", 1)]
    for _ in range(2):
        found = cache.get(wanted)
        assert list(found) == [broken.id]
        assert isinstance(found[broken.id], CorruptDocument)
    assert len(jobs.asked) == 2


def test_the_least_recently_due_jobs_are_forgotten(world: Any, jobs: Counting) -> None:
    ids = [world.job().id for _ in range(4)]
    cache = TickJobCache(jobs, size=2)  # type: ignore[arg-type]
    for job_id in (ids[0], ids[1], ids[0], ids[2]):
        cache.get([(job_id, 1)])
    jobs.asked.clear()
    cache.get([(ids[0], 1), (ids[2], 1)])
    assert jobs.asked == []
    cache.get([(ids[1], 1)])
    assert jobs.asked == [[ids[1]]]
    assert set(cache.get([(job_id, 1) for job_id in ids])) == set(ids), "more than fit are still answered"


def test_cursors_are_kept_until_they_are_written(world: Any, jobs: Counting) -> None:
    first, second = world.job(), world.job()
    clock = iter((10.0, 10.5, 12.0, 13.0))
    book = CursorBook(jobs, monotonic=lambda: next(clock))  # type: ignore[arg-type]
    assert book.due_in_seconds is None
    book.note(Cursor(first.id, first.schedule_since, world.at(60), world.at(120)))
    book.note(Cursor(first.id, first.schedule_since, world.at(120), world.at(180)))
    assert book.due_in_seconds == 1.0, "counted from the first one that waits"
    jobs.away = True
    with pytest.raises(StoreUnavailable):
        book.flush()
    book.note(Cursor(second.id, second.schedule_since, world.at(60), None))
    assert book.due_in_seconds == -0.5
    jobs.away = False
    book.flush()
    assert book.due_in_seconds is None
    assert world.stored(first).handled_through == world.at(120)
    assert world.stored(second).handled_through == world.at(60)
