"""The worker as a process: the delivery engine behind Celery, until it is told to stop."""

from __future__ import annotations

import random
import resource
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from prometheus_client.registry import CollectorRegistry

from webhookcron.alerts.channels import Channels
from webhookcron.alerts.mail import MailServer
from webhookcron.alerts.sender import AlertSender
from webhookcron.config import Settings
from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.executions import Reason
from webhookcron.delivery.caller import WebhookCaller
from webhookcron.delivery.claimer import Claimer, EndedClaim
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.delivery.engine import Engine
from webhookcron.delivery.failure_log import log_failures
from webhookcron.delivery.intake import OriginsOfJobs
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.overlap import OverlapSlots
from webhookcron.delivery.prepared import MOST_JOBS
from webhookcron.delivery.recorder import Recorder
from webhookcron.delivery.results import CallResult, Record
from webhookcron.delivery.transport import Transport
from webhookcron.delivery.worker import register, serve
from webhookcron.metrics.server import process_registry, serving
from webhookcron.metrics.worker import WorkerMetrics
from webhookcron.ticks.upcoming import UpcomingJobs
from webhookcron.wiring.platform import USER_AGENT, Platform, connect
from webhookcron.wiring.processes import stop_on_signals, wait_for_stores

if TYPE_CHECKING:
    # Its packages are an extra.
    from webhookcron.tracing.spans import Traces

log = structlog.get_logger(__name__)

TRANSPORT_MARGIN = 3
"""How much wider the transport's caps are than the engine's, which decides: OAuth tokens come on top of calls."""

MOST_OPEN_FILES = 65_536

MOST_READ_AHEAD = MOST_JOBS // 2


def run_worker(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT. Waits for MongoDB and Redis as long as it takes."""
    stop = stop_on_signals()
    platform = connect(settings, part="worker")
    with ExitStack() as stack:
        stack.callback(platform.close)
        if not wait_for_stores(platform, stop):
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
        upcoming=UpcomingJobs(platform.source, platform.instances, platform.clock, most=MOST_READ_AHEAD),
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
