"""The platform of one process: its stores and services, connected from Settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from celery import Celery
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from webhookcron import __version__
from webhookcron.config import Settings
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.broker import Publisher, celery_app, queue_depth
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport import Transport
from webhookcron.own_addresses import is_own, own_addresses
from webhookcron.storage import client as mongo
from webhookcron.storage.alerts import AlertStore
from webhookcron.storage.api_keys import ApiKeyStore
from webhookcron.storage.client import Document
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore
from webhookcron.storage.rollups import RollupStore
from webhookcron.ticks import client as redis_client
from webhookcron.ticks.circuits import CircuitBoard
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.instances import Instances
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import TickSource

if TYPE_CHECKING:
    # Its packages are an extra.
    from webhookcron.tracing.spans import Traces

log = structlog.get_logger(__name__)

USER_AGENT = f"webhookcron/{__version__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The stores and services of one process, connected when first used."""

    settings: Settings
    mongo_client: MongoClient[Document]
    database: Database[Document]
    redis: Redis
    celery: Celery
    jobs: JobStore
    executions: ExecutionStore
    rollups: RollupStore
    api_keys: ApiKeyStore
    alerts: AlertStore
    source: TickSource
    circuits: CircuitBoard
    clock: PlatformClock
    instances: Instances
    scheduler: Scheduler
    target_policy: TargetPolicy
    enqueue: Callable[[Sequence[str]], None]
    """Pushes execution ids to the workers; raises BrokerUnavailable."""
    traces: Traces | None = None
    """None = traces are off."""
    close_traces: Callable[[], None] = lambda: None
    """Sends the last traces."""

    def queue_depth(self) -> int:
        """Messages that wait at the broker. Raises BrokerUnavailable."""
        return queue_depth(self.celery)

    def transport(self) -> Transport:
        """A new transport with its thread; one per process, made after any fork, closed by the caller."""
        return Transport(policy=self.target_policy, user_agent=USER_AGENT)

    def close(self) -> None:
        """Give the connections back."""
        self.close_traces()
        self.mongo_client.close()
        self.redis.close()
        self.celery.close()


def connect(settings: Settings, *, part: str) -> Platform:
    """The platform of `settings` in a process that is `part`: api, ticker or worker.

    Nothing is connected yet, so nothing can be away yet.
    """
    client = mongo.connect(settings.mongodb_uri)
    database = mongo.database_of(client)
    redis = redis_client.connect(settings.redis_url)
    celery = celery_app(settings.celery_broker_url, key_prefix=settings.key_prefix)
    jobs = JobStore(database, SecretBox(settings.secret_keys))
    source = TickSource(redis, key_prefix=settings.key_prefix)
    clock = PlatformClock(redis, on_jump=_report_jump)
    executions = ExecutionStore(database)
    traces, close_traces = _traces(settings, part=part, queue=celery.conf.task_default_queue)
    if traces is not None:
        from webhookcron.tracing.wrapping import TracedExecutions

        executions = TracedExecutions(database, traces, now=clock.now)
    enqueue = Publisher(celery).enqueue
    return Platform(
        settings=settings,
        mongo_client=client,
        database=database,
        redis=redis,
        celery=celery,
        jobs=jobs,
        executions=executions,
        rollups=RollupStore(database),
        api_keys=ApiKeyStore(database),
        alerts=AlertStore(database, SecretBox(settings.secret_keys)),
        source=source,
        circuits=CircuitBoard(redis, key_prefix=settings.key_prefix),
        clock=clock,
        instances=Instances(redis, clock, key_prefix=settings.key_prefix),
        scheduler=Scheduler(
            jobs=jobs,
            executions=executions,
            source=source,
            enqueue=enqueue,
            retention=timedelta(days=settings.retention_days),
        ),
        target_policy=target_policy(settings),
        enqueue=enqueue,
        traces=traces,
        close_traces=close_traces,
    )


def _traces(settings: Settings, *, part: str, queue: str) -> tuple[Traces | None, Callable[[], None]]:
    if not settings.traces_url:
        return None, lambda: None
    from webhookcron.tracing.export import open_traces

    return open_traces(
        settings.traces_url,
        dict(settings.traces_headers),
        ratio=settings.traces_ratio,
        part=part,
        queue=queue,
    )


def target_policy(settings: Settings) -> TargetPolicy:
    """What may be called, by the settings; the platform's own stores and API never."""
    return TargetPolicy.of(
        allowed_hosts=settings.allowed_target_hosts,
        allowed_networks=settings.allowed_target_networks,
        allowed_ports=settings.allowed_target_ports,
        always_refused=sorted(own_addresses(settings)),
        is_own=is_own,
    )


def _report_jump(by: timedelta) -> None:
    log.error(
        "clock.jumped", seconds=round(by.total_seconds(), 3), reason="the time of Redis is not where it was"
    )
