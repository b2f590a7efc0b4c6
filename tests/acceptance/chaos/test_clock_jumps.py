"""The clock of Redis jumps: it is noticed, every fire time still has one execution, and none is pushed twice."""

import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from webhookcron.core.jobs import Job, Policies
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.schedules import Schedule, ScheduleType
from webhookcron.delivery.secrets import SecretBox
from webhookcron.embedded.redis_server import MISSING_MESSAGE, find_redis_server, redis_server_command
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.storage.jobs import JobStore
from webhookcron.ticks import client
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.mirroring import mirror_entry
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import TickSource
from webhookcron.ticks.ticker import Ticker

pytestmark = pytest.mark.acceptance

JOB_ID = secrets.token_hex(12)


@dataclass
class Watched:
    """A ticker on a Redis whose clock the test moves, and what it did."""

    jump: Callable[[int], None]
    clock: PlatformClock
    executions: ExecutionStore
    pushed: list[str] = field(default_factory=list)
    jumps: list[timedelta] = field(default_factory=list)

    def fire_times(self) -> list[datetime]:
        """Those that have an execution, in order."""
        found = self.executions.list(owner_id=None, job_id=JOB_ID, limit=1000)
        return sorted(execution.scheduled_at for execution in found)


@pytest.fixture
def watched(
    mongo_database: Any, services_dir: Path, tmp_path: Path, chaos_module: Callable[[str], ModuleType]
) -> Iterator[Watched]:
    binary = find_redis_server()
    if binary is None:
        pytest.skip(MISSING_MESSAGE)
    clocks = chaos_module("clocks").WrongClocks(tmp_path)
    if not clocks.available:
        pytest.skip("moving the clock of a process needs Linux and a C compiler")
    socket, file = services_dir / "jumping.sock", tmp_path / "offset"
    command = redis_server_command(binary, data_dir=tmp_path, socket=socket, port=None)
    environment = clocks.changing(file)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        redis = client.connect(f"unix://{socket}")
        try:
            with Ticking(mongo_database, redis, lambda seconds: clocks.jump(file, seconds)) as watched:
                yield watched
        finally:
            redis.close()
            server.terminate()


class Ticking:
    """A ticker on a thread of its own, with one job that fires each second."""

    def __init__(self, database: Any, redis: Any, jump: Callable[[int], None]) -> None:
        deadline = time.monotonic() + 20
        while not _answers(redis):
            assert time.monotonic() < deadline, "the Redis server did not start"
        jobs, executions = (
            JobStore(database, SecretBox(("a secret key of clocks",))),
            ExecutionStore(database),
        )
        source = TickSource(redis)
        jumps: list[timedelta] = []
        clock = PlatformClock(redis, on_jump=jumps.append)
        self.watched = Watched(jump, clock, executions, jumps=jumps)
        now = clock.read().replace(microsecond=0)
        job = Job(
            id=JOB_ID,
            owner_id="someone",
            name="Every second",
            schedule=Schedule(type=ScheduleType.CRON, cron_expression="* * * * * *"),
            request=RequestSpec(url="http://example.com/", signing=False),
            policies=Policies(),
            created_at=now,
            updated_at=now,
            handled_through=now,
            schedule_since=now,
        )
        jobs.create(job)
        entry = mirror_entry(tick_job_of(job))
        assert entry is not None
        source.put([entry])
        ticker = Ticker(
            source=source,
            scheduler=Scheduler(
                jobs=jobs,
                executions=executions,
                source=source,
                enqueue=self.watched.pushed.extend,
                retention=timedelta(days=1),
            ),
            clock=clock,
            longest_sleep=timedelta(milliseconds=100),
            rebuild_wanted=lambda: None,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=ticker.run, args=(self._stop,))

    def __enter__(self) -> Watched:
        self._thread.start()
        return self.watched

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _answers(redis: Any) -> bool:
    try:
        return bool(redis.ping())
    except Exception:
        return False


def test_a_jump_back_fires_nothing_twice_and_a_jump_ahead_leaves_nothing_out(
    watched: Watched, eventually: Callable[..., Any]
) -> None:
    eventually(lambda: len(watched.fire_times()) >= 2, within=20, what="it fires")

    watched.jump(-20)
    eventually(lambda: len(watched.jumps) == 1, within=20, what="the jump back is noticed")
    before = watched.fire_times()
    assert watched.clock.now() < before[-1] - timedelta(seconds=15)

    watched.jump(30)
    eventually(lambda: len(watched.jumps) == 2, within=20, what="the jump ahead is noticed")
    eventually(
        lambda: watched.fire_times()[-1] > datetime.now(UTC) + timedelta(seconds=28),
        within=20,
        what="it fires at the new time",
    )

    fire_times = watched.fire_times()
    assert fire_times[: len(before)] == before
    assert {later - earlier for earlier, later in pairwise(fire_times)} == {timedelta(seconds=1)}
    assert len(watched.pushed) == len(set(watched.pushed))
    back, ahead = watched.jumps
    assert (round(back.total_seconds()), round(ahead.total_seconds())) == (-20, 50)
