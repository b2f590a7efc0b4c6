"""Putting the parts together from Settings: the platform that the API uses, the ticker and the worker as processes."""

from __future__ import annotations

import random
import resource
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from celery import Celery
from prometheus_client.registry import CollectorRegistry
from pymongo import MongoClient
from pymongo.database import Database
from redis import Redis

from webhookcron import __version__
from webhookcron.alerts.channels import Channels
from webhookcron.alerts.mail import MailServer
from webhookcron.alerts.sender import AlertSender
from webhookcron.alerts.watch import AlertWatch
from webhookcron.config import Settings
from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable
from webhookcron.core.executions import Reason
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.broker import ALERT_TASK, Publisher, celery_app, queue_depth
from webhookcron.delivery.caller import WebhookCaller
from webhookcron.delivery.claimer import Claimer, EndedClaim
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.engine import Engine
from webhookcron.delivery.failure_log import log_failures
from webhookcron.delivery.intake import OriginsOfJobs
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.overlap import OverlapSlots
from webhookcron.delivery.recorder import Recorder
from webhookcron.delivery.results import CallResult, Record
from webhookcron.delivery.secrets import SecretBox
from webhookcron.delivery.transport import Transport
from webhookcron.delivery.worker import register, serve
from webhookcron.maintenance.chores import Chore, Chores
from webhookcron.maintenance.rollup_merging import RollupMerging
from webhookcron.metrics.server import process_registry, serving
from webhookcron.metrics.ticker import TickerMetrics
from webhookcron.metrics.worker import WorkerMetrics
from webhookcron.own_addresses import is_own, own_addresses
from webhookcron.storage import client as mongo
from webhookcron.storage import indexes
from webhookcron.storage.alerts import AlertStore
from webhookcron.storage.api_keys import ApiKeyStore
from webhookcron.storage.client import Document
from webhookcron.storage.executions import ExecutionStore
from webhookcron.storage.jobs import JobStore
from webhookcron.storage.rollups import RollupStore
from webhookcron.storage.schema_version import migrate
from webhookcron.storage.watched_jobs import WatchedJobs
from webhookcron.ticks import client as redis_client
from webhookcron.ticks.circuits import CircuitBoard
from webhookcron.ticks.clock import PlatformClock
from webhookcron.ticks.comparison import FullComparison
from webhookcron.ticks.instances import Instances
from webhookcron.ticks.reconciler import Reconciler
from webhookcron.ticks.scheduler import Scheduler
from webhookcron.ticks.source import TickSource
from webhookcron.ticks.sweep import Sweep
from webhookcron.ticks.ticker import Ticker

if TYPE_CHECKING:
    # Its packages are an extra.
    from webhookcron.tracing.spans import Traces

log = structlog.get_logger(__name__)

USER_AGENT = f"webhookcron/{__version__}"

TRANSPORT_MARGIN = 3
"""How much wider the transport's caps are than the engine's, which decides: OAuth tokens come on top of calls."""

MOST_OPEN_FILES = 65_536

WAIT_SECONDS = 0.5
"""Between two looks whether a store has come up."""


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


def run_ticker(settings: Settings) -> None:
    """Tick and reconcile until SIGTERM or SIGINT. Waits for MongoDB and Redis as long as it takes."""
    stop = _stop_on_signals()
    platform = connect(settings, part="ticker")
    with ExitStack() as stack:
        stack.callback(platform.close)
        if not _wait_for_stores(platform, stop):
            return
        stack.enter_context(platform.instances.present("ticker"))
        registry = process_registry()
        metrics = TickerMetrics(registry)
        stack.enter_context(serving(registry, settings.metrics_host, settings.metrics_port))
        reconciler = _reconciler(platform, metrics)
        ticker = Ticker(
            source=platform.source,
            scheduler=platform.scheduler,
            clock=platform.clock,
            longest_sleep=timedelta(milliseconds=settings.tick_interval_ms),
            rebuild_wanted=reconciler.rebuild,
            observe=metrics.ticked,
        )
        reconciling = threading.Thread(target=reconciler.run, args=(stop,), name="reconciler", daemon=True)
        reconciling.start()
        chores = _chores(platform)
        doing_chores = threading.Thread(target=chores.run, args=(stop,), name="chores", daemon=True)
        doing_chores.start()
        log.info("ticker.started")
        ticker.run(stop)
        reconciling.join(timeout=10)
        doing_chores.join(timeout=5)
        log.info("ticker.stopped")


def _reconciler(platform: Platform, metrics: TickerMetrics) -> Reconciler:
    sweep = Sweep(
        jobs=platform.jobs,
        executions=platform.executions,
        source=platform.source,
        enqueue=platform.enqueue,
        settle=platform.scheduler.settle,
        count_final=OutcomeCounter(platform.jobs, platform.executions, platform.rollups).recover,
        retention=timedelta(days=platform.settings.retention_days),
        failures_kept=platform.settings.failure_retention_factor,
    )
    return Reconciler(
        jobs=platform.jobs,
        source=platform.source,
        clock=platform.clock,
        sweep=sweep,
        comparison=FullComparison(jobs=platform.jobs, source=platform.source),
        compare_every=timedelta(seconds=platform.settings.sync_interval_seconds),
        on_swept=metrics.swept,
        on_compared=metrics.compared,
    )


def _chores(platform: Platform) -> Chores:
    retention = timedelta(days=platform.settings.retention_days)
    watch = AlertWatch(
        alerts=platform.alerts,
        jobs=WatchedJobs(platform.database),
        executions=platform.executions,
        rollups=platform.rollups,
        digest_every=timedelta(minutes=platform.settings.alert_digest_minutes),
        push=Publisher(platform.celery, ALERT_TASK).enqueue,
    )
    return Chores(
        [
            Chore("alerts", timedelta(seconds=1), watch.look),
            Chore("alert digests", timedelta(seconds=5), watch.digest),
            Chore("alert disabled jobs", timedelta(seconds=30), watch.look_for_disabled),
            Chore("alert silence", timedelta(minutes=1), watch.look_for_silence),
            Chore("alert messages", timedelta(seconds=1), watch.push_due),
            Chore("rollups", timedelta(seconds=2), RollupMerging(platform.rollups, retention=retention)),
        ],
        hold_turn=platform.source.hold_turn,
        now=platform.clock.now,
    )


def run_worker(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT. Waits for MongoDB and Redis as long as it takes."""
    stop = _stop_on_signals()
    platform = connect(settings, part="worker")
    with ExitStack() as stack:
        stack.callback(platform.close)
        if not _wait_for_stores(platform, stop):
            return
        stack.enter_context(platform.instances.present("worker"))
        _raise_open_files_limit()
        broken = threading.Event()

        def give_up() -> None:
            broken.set()
            stop.set()

        registry = process_registry()
        engine = _engine(platform, registry, on_broken=give_up)
        stack.enter_context(serving(registry, settings.metrics_host, settings.metrics_port))
        register(platform.celery, engine)
        sender = _alert_sender(platform)
        sender.register(platform.celery)
        sender.start()
        stack.callback(sender.stop, timedelta(seconds=5))
        serve(platform.celery, engine, drain=timedelta(seconds=settings.drain_seconds), stop=stop)
        if broken.is_set():
            raise SystemExit(1)


def _alert_sender(platform: Platform) -> AlertSender:
    settings = platform.settings
    channels = Channels(
        mail_server=MailServer(settings.smtp_url, settings.smtp_from) if settings.smtp_url else None,
        apprise_urls=settings.apprise_urls,
        transport=platform.transport,
        now=platform.clock.now,
    )
    return AlertSender(alerts=platform.alerts, channels=channels, now=platform.clock.now)


def _raise_open_files_limit() -> None:
    """As many open files as the system lets this process have: every call under way holds a socket."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _engine(platform: Platform, registry: CollectorRegistry, *, on_broken: Callable[[], None]) -> Engine:
    settings, now = platform.settings, platform.clock.now
    retention = timedelta(days=settings.retention_days)
    slots = OverlapSlots(
        jobs=platform.jobs, executions=platform.executions, enqueue=platform.enqueue, now=now
    )
    # The engine keeps to its own caps; the transport's are wider, so that no claimed call waits inside it.
    transport = Transport(
        policy=platform.target_policy,
        max_connections=settings.worker_concurrency * TRANSPORT_MARGIN,
        max_per_host=settings.worker_concurrency * TRANSPORT_MARGIN,
        user_agent=USER_AGENT,
    )
    stopping = threading.Event()
    engine: Engine
    metrics = WorkerMetrics(registry, lambda: engine.load)
    recorder = Recorder(
        jobs=platform.jobs,
        executions=platform.executions,
        counter=OutcomeCounter(platform.jobs, platform.executions, platform.rollups),
        slots=slots,
        enqueue=platform.enqueue,
        now=now,
        retention=retention,
        dice=random.Random(),
        on_recorded=lambda count: engine.recorded(count),
        observe=_observer(metrics, platform.traces),
        failures_kept=settings.failure_retention_factor,
    )
    engine = Engine(
        claimer=Claimer(
            jobs=platform.jobs, executions=platform.executions, slots=slots, now=now, pause=stopping.wait
        ),
        origins=OriginsOfJobs(platform.jobs),
        caller=_caller(platform, transport),
        transport=transport,
        recorder=recorder,
        enqueue=platform.enqueue,
        now=now,
        most_in_flight=settings.worker_concurrency,
        most_per_host=settings.max_per_host,
        stopping=stopping,
        on_broken=on_broken,
        put_off=lambda ids, seconds: platform.executions.put_off(
            ids, Reason.CIRCUIT_OPEN, now() + timedelta(seconds=seconds)
        ),
        on_circuit=lambda origin, seconds: _show_circuit(platform, origin, seconds),
    )
    return engine


def _observer(
    metrics: WorkerMetrics, traces: Traces | None
) -> Callable[[Sequence[CallResult | EndedClaim], Sequence[Record]], None]:
    """Who is told of each group of results that was written."""

    def observe(group: Sequence[CallResult | EndedClaim], records: Sequence[Record]) -> None:
        metrics.recorded(group, records)
        log_failures(records)
        if traces is not None:
            traces.recorded(group, records)

    return observe


def _caller(platform: Platform, transport: Transport) -> WebhookCaller:
    tokens, now = OAuthTokens(transport), platform.clock.now
    if platform.traces is None:
        return WebhookCaller(transport, tokens, now=now)
    from webhookcron.tracing.wrapping import TracedCaller

    return TracedCaller(transport, tokens, platform.traces, now=now)


def _show_circuit(platform: Platform, origin: str, seconds: float) -> None:
    pause = timedelta(seconds=seconds)
    try:
        if seconds:
            log.warning("circuit.opened", origin=origin, seconds=seconds)
            platform.circuits.opened(origin, platform.clock.now() + pause, pause)
        else:
            log.info("circuit.closed", origin=origin)
            platform.circuits.closed(origin)
    except TickSourceUnavailable as error:
        # Only to be seen; nothing is decided by it.
        log.warning("circuit.not_shown", origin=origin, reason=str(error))


def prepare_database(database: Database[Document]) -> None:
    """Take the database to this release's schema.

    Raises StoreUnavailable, and NewerSchema when a newer release wrote it.
    """
    # No decision rests on this moment, and this step must work without Redis.
    migrate(database, now=datetime.now(UTC))
    indexes.ensure_indexes(database)


def ensure_indexes(settings: Settings) -> list[str]:
    """Create or replace the declared indexes; the names of those that were. Raises StoreUnavailable."""
    client = mongo.connect(settings.mongodb_uri)
    try:
        return indexes.ensure_indexes(mongo.database_of(client))
    finally:
        client.close()


def ensure_admin_key(settings: Settings, key: str) -> bool:
    """Make `key` (`whk_…`, kept safe by the caller) a key of the admin user; False when it already was.

    Raises StoreUnavailable.
    """
    client = mongo.connect(settings.mongodb_uri)
    try:
        # No decision rests on this moment, and this step must work without Redis.
        return ApiKeyStore(mongo.database_of(client)).ensure_admin_key(key, now=datetime.now(UTC))
    finally:
        client.close()


def _wait_for_stores(platform: Platform, stop: threading.Event) -> bool:
    """Until MongoDB and Redis answer; False when the process is to stop before."""
    for name, ready in (
        ("MongoDB", lambda: prepare_database(platform.database)),
        ("Redis", platform.clock.read),
    ):
        told = False
        while not stop.is_set():
            try:
                ready()
                break
            except (StoreUnavailable, TickSourceUnavailable) as error:
                if not told:
                    log.warning("store.awaited", store=name, reason=str(error))
                    told = True
                stop.wait(WAIT_SECONDS)
    return not stop.is_set()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _report_jump(by: timedelta) -> None:
    log.error(
        "clock.jumped", seconds=round(by.total_seconds(), 3), reason="the time of Redis is not where it was"
    )
