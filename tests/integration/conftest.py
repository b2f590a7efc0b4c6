"""Jobs, stores and tick source of one platform, driven by hand: the time of each step is an argument."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from pymongo.database import Database

from webhookcron.config import Settings
from webhookcron.core.errors import NotFound
from webhookcron.core.executions import Execution, to_ms
from webhookcron.core.jobs import Job, JobStatus, Policies
from webhookcron.core.request_spec import RequestSpec
from webhookcron.core.retries import RetryPolicy
from webhookcron.core.schedules import IntervalUnit, Schedule, ScheduleType
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.claimer import Claim, Claimed, Claimer
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.overlap import OverlapSlots
from webhookcron.delivery.recorder import Recorder
from webhookcron.delivery.results import CallResult, Record, ended_record, record_of
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.service.jobs import JobService
from webhookcron.service.principals import Principal
from webhookcron.storage import client as mongo
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.storage.job_documents import tick_job_of
from webhookcron.storage.jobs import JobStore
from webhookcron.storage.rollups import RollupStore
from webhookcron.ticks import client as redis_connections
from webhookcron.ticks.mirroring import mirror_entry
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import DueFire, TickSource
from webhookcron.ticks.sweep import Sweep, Swept

RETENTION = timedelta(days=30)
SECRET_KEYS = ("a-secret-key-for-tests-only",)


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs."""


class Mortal:
    """An object whose process ends at one of its methods, before or after it did its work."""

    def __init__(self, inner: Any, method: str, *, after: bool = True, call: int = 1) -> None:
        self._inner = inner
        self._method = method
        self._after = after
        self._calls_left = call

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name != self._method:
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls_left -= 1
            if self._calls_left:
                return attribute(*args, **kwargs)
            if self._after:
                attribute(*args, **kwargs)
            raise Killed(self._method)

        return call

    def __call__(self, *args: Any) -> Any:
        """For a mortal function: named `__call__`."""
        self._calls_left -= 1
        if self._calls_left:
            return self._inner(*args)
        if self._after:
            self._inner(*args)
        raise Killed("call")


class World:
    """One platform. `pushed` is what the broker holds: ids handed to the workers and not taken yet."""

    def __init__(self, database: Database[Any], redis_client: redis.Redis) -> None:
        self.database = database
        self.redis = redis_client
        self.jobs = JobStore(database, SecretBox(SECRET_KEYS))
        self.executions = ExecutionStore(database)
        self.rollups = RollupStore(database)
        self.source = TickSource(redis_client)
        self.pushed: list[str] = []
        # Yesterday, to the minute: whatever a job mirrors is due by the real time of Redis.
        self.t0 = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)

    def at(self, seconds: float) -> datetime:
        """The moment so many seconds after the start of this world."""
        return self.t0 + timedelta(seconds=seconds)

    # --- jobs

    def new_job(
        self,
        schedule: Schedule | None = None,
        *,
        url: str = "http://127.0.0.1:9/hook",
        retry: RetryPolicy | None = None,
        timeout_ms: int = 30_000,
        **policies: Any,
    ) -> Job:
        """An active job from the start of this world on: every minute, unless a schedule is given; not stored."""
        job = Job(
            id=secrets.token_hex(12),
            owner_id="ann",
            name="report",
            schedule=schedule or self.every(60),
            request=RequestSpec(url=url, signing=False, timeout_ms=timeout_ms),
            policies=Policies(retry=retry or RetryPolicy(max_retries=0), **policies),
            created_at=self.t0,
            updated_at=self.t0,
            handled_through=self.t0,
            schedule_since=self.t0,
        )
        entry = mirror_entry(tick_job_of(job))
        return replace(job, next_run_at=None if entry is None else entry.fire_time)

    def job(self, schedule: Schedule | None = None, **fields: Any) -> Job:
        """A new job, stored and mirrored."""
        job = self.new_job(schedule, **fields)
        self.jobs.create(job)
        self.show(job)
        return job

    def show(self, job: Job) -> None:
        """Mirror a job as it is stored, as whoever changed it does."""
        entry = mirror_entry(tick_job_of(job)) if job.status is JobStatus.ACTIVE else None
        if entry is None:
            self.source.remove([(job.id, job.version)])
        else:
            self.source.put([entry])
        self.jobs.mirrored([(job.id, job.version)])

    def every(self, seconds: int, **bounds: Any) -> Schedule:
        return Schedule(
            type=ScheduleType.INTERVAL,
            interval=IntervalUnit.SECOND,
            interval_value=seconds,
            anchor_at=self.t0,
            **bounds,
        )

    def once(self, seconds: float) -> Schedule:
        return Schedule(type=ScheduleType.ONCE, run_at=self.at(seconds))

    def stored(self, job: Job) -> Job:
        return self.jobs.get(job.id, owner_id=None)

    # --- ticks

    def scheduler(self, **parts: Any) -> Scheduler:
        """A scheduler without memory: that of a process that has just started."""
        values = {
            "jobs": self.jobs,
            "executions": self.executions,
            "source": self.source,
            "enqueue": self.pushed.extend,
            "retention": RETENTION,
        }
        return Scheduler(**(values | parts))

    def due(self, now: datetime, token: str | None = None) -> list[DueFire]:
        """The fires that are due at `now`, locked for `token` (a new one unless given)."""
        tick = self.source.tick(token or secrets.token_hex(4), limit=500)
        return [fire for fire in tick.due if float(fire.score) <= to_ms(now)]

    def release_locks(self) -> None:
        """As if the locks of all fires had expired."""
        for key in self.redis.scan_iter("wc:*:lock:*"):
            self.redis.delete(key)

    def tick(self, now: datetime, scheduler: Scheduler | None = None, *, steps: int = 50) -> None:
        """Tick until nothing is due at `now`; the cursors are in MongoDB afterwards."""
        scheduler = scheduler or self.scheduler()
        for _ in range(steps):
            self.release_locks()
            due = self.due(now)
            if not due:
                break
            scheduler.fire(due, now)
        scheduler.cursors.flush()

    def recover(self, seconds: range) -> None:
        """Other processes go on for some time: ticks, the sweep, deliveries."""
        for second in seconds:
            now = self.at(second)
            self.tick(now)
            self.sweep(now)
            self.deliver(now)

    def sweep(self, now: datetime, **parts: Any) -> Swept:
        values = {
            "jobs": self.jobs,
            "executions": self.executions,
            "source": self.source,
            "enqueue": self.pushed.extend,
            "settle": self.scheduler().settle,
            "count_final": OutcomeCounter(self.jobs, self.executions, self.rollups).recover,
            "retention": RETENTION,
        }
        return Sweep(**(values | parts)).run(now)

    # --- workers

    def slots(self, now: datetime, **parts: Any) -> OverlapSlots:
        values: dict[str, Any] = {
            "jobs": self.jobs,
            "executions": self.executions,
            "enqueue": self.pushed.extend,
        }
        return OverlapSlots(**(values | parts), now=lambda: now)

    def claimer(self, now: datetime, **parts: Any) -> Claimer:
        values: dict[str, Any] = {
            "jobs": self.jobs,
            "executions": self.executions,
            "slots": self.slots(now),
            "pause": lambda _seconds: False,
        }
        return Claimer(**(values | parts), now=lambda: now)

    def recorder(self, now: datetime, **parts: Any) -> Recorder:
        """A recorder that is not started: its `record` writes on the caller's thread."""
        jobs, executions = parts.get("jobs", self.jobs), parts.get("executions", self.executions)
        values: dict[str, Any] = {
            "jobs": jobs,
            "executions": executions,
            "counter": OutcomeCounter(jobs, executions, self.rollups),
            "slots": self.slots(now),
            "enqueue": self.pushed.extend,
            "retention": RETENTION,
            "dice": random.Random(1),
            "on_recorded": lambda _count: None,
        }
        return Recorder(**(values | parts), now=lambda: now)

    def take_pushed(self) -> list[str]:
        """What the broker held; it is empty afterwards."""
        ids, self.pushed[:] = list(dict.fromkeys(self.pushed)), []
        return ids

    def claim(self, now: datetime, ids: Sequence[str] | None = None) -> Claimed:
        """Claim `ids`, or what was pushed."""
        return self.claimer(now).claim(self.take_pushed() if ids is None else list(ids))

    def records(
        self, claimed: Claimed, now: datetime, token: str, *, result: HttpResult | None = None
    ) -> list[Record]:
        """What is to be written when the calls ended at `now` (with 200, unless `result` says otherwise)."""
        result = result or HttpResult(status=200, body=b"thanks")
        calls = [
            record_of(
                CallResult(claim, None, result, now, now),
                count_token=token,
                retention=RETENTION,
                dice=random.Random(1),
            )
            for claim in claimed.calls
        ]
        ended = [ended_record(end, now=now, count_token=token, retention=RETENTION) for end in claimed.ended]
        return [*calls, *ended]

    def finish(self, claimed: Claimed, now: datetime, *, result: HttpResult | None = None) -> None:
        """Record that the calls ended."""
        token = secrets.token_hex(6)
        self.recorder(now).record(self.records(claimed, now, token, result=result), token)

    def deliver(self, now: datetime, *, result: HttpResult | None = None, rounds: int = 20) -> list[Claim]:
        """Claim and finish what was pushed, and what that pushed, until nothing is; the calls that were made."""
        calls: list[Claim] = []
        for _ in range(rounds):
            if not self.pushed:
                break
            claimed = self.claim(now)
            calls += claimed.calls
            self.finish(claimed, now, result=result)
        return calls

    # --- what there is

    def log(self, job: Job) -> list[Execution]:
        """The job's executions, the earliest fire time first."""
        return self.executions.list(owner_id=None, job_id=job.id, limit=5_000)[::-1]

    def found(self, job: Job) -> dict[float, str]:
        """Seconds of each fire time -> the status of its execution, and its reason."""
        found: dict[float, str] = {}
        for execution in self.log(job):
            second = (execution.scheduled_at - self.t0).total_seconds()
            assert second not in found, "a fire time has two executions"
            reason = f":{execution.reason}" if execution.reason else ""
            found[second] = execution.status.value + reason
        return found

    def counters(self, job: Job) -> tuple[int, int, int, int]:
        """(total, successful, failed, failures in a row) of the job."""
        now = self.stored(job)
        return (now.total_runs, now.successful_runs, now.failed_runs, now.consecutive_failures)

    def gone(self, job: Job) -> bool:
        try:
            self.stored(job)
        except NotFound:
            return True
        return False

    def mirrored(self, job: Job) -> tuple[int | None, float | None, float | None]:
        """(version, seconds of the fire time, seconds of the act) of the job's entry."""
        version, fire_time, acts_at = self.source.entries([job.id])[job.id]
        return version, self._seconds(fire_time), self._seconds(acts_at)

    def _seconds(self, moment: datetime | None) -> float | None:
        return None if moment is None else (moment - self.t0).total_seconds()


@pytest.fixture
def world(
    mongodb_uri: str, redis_url: str, redis_client: Any, mongo_database: Database[Any]
) -> Iterator[World]:
    """A platform on the stores of this test process, with the clients that the real one has."""
    client = mongo.connect(f"{mongodb_uri.rstrip('/')}/{mongo_database.name}")
    with redis_connections.connect(redis_url) as connection:
        try:
            database = mongo.database_of(client)
            ensure_indexes(database)
            yield World(database, connection)
        finally:
            client.close()


@pytest.fixture
def mortal() -> type[Mortal]:
    """Wraps an object so that its process ends at a method."""
    return Mortal


@pytest.fixture
def killed() -> type[Killed]:
    """What a mortal object raises."""
    return Killed


@pytest.fixture
def in_threads() -> Callable[..., list[Any]]:
    """Run a function with each argument in a thread of its own, all at once; the results in order."""

    def run(function: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
        results: list[Any] = [None] * len(arguments)
        errors: list[BaseException] = []
        barrier = threading.Barrier(len(arguments))

        def work(index: int) -> None:
            try:
                barrier.wait()
                results[index] = function(arguments[index])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(arguments))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    return run


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until something holds."""

    def wait(holds: Callable[[], bool], *, within: float = 20.0) -> None:
        give_up_at = time.monotonic() + within
        while not holds():
            assert time.monotonic() < give_up_at, "it never came"
            time.sleep(0.005)

    return wait


ANN = Principal(user_id="ann", role="member", scopes=frozenset({"read", "write", "trigger"}))


class User:
    """The owner of the jobs of a world, who changes them at a moment, as over the API."""

    def __init__(self, world: World, now: datetime, **parts: Any) -> None:
        """`parts` take the place of the world's own: jobs, source, scheduler."""
        jobs = parts.get("jobs", world.jobs)
        platform = SimpleNamespace(
            settings=Settings(mongodb_uri="mongodb://127.0.0.1/not-connected"),
            database=world.database,
            jobs=jobs,
            executions=world.executions,
            source=parts.get("source", world.source),
            clock=SimpleNamespace(now=lambda: now),
            scheduler=parts.get("scheduler") or world.scheduler(jobs=jobs),
            enqueue=world.pushed.extend,
            target_policy=TargetPolicy.of(allowed_networks=["127.0.0.0/8"]),
        )
        self._service = JobService(platform)  # type: ignore[arg-type]

    def edit(self, job: Job, **patch: Any) -> Job:
        return self._service.patch(ANN, job.id, patch)

    def pause(self, job: Job) -> Job:
        return self._service.pause(ANN, job.id)

    def resume(self, job: Job) -> Job:
        return self._service.resume(ANN, job.id)

    def delete(self, job: Job) -> None:
        self._service.delete(ANN, job.id)


@pytest.fixture
def user_at(world: World) -> Callable[..., User]:
    """The owner of the jobs, some seconds after the start."""
    return lambda seconds, **parts: User(world, world.at(seconds), **parts)
