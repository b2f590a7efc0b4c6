"""The ticker as a process: ticks, reconciliation and chores until it is told to stop."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import timedelta

import structlog

from webhookcron.alerts.watch import AlertWatch
from webhookcron.config import Settings
from webhookcron.delivery.broker import ALERT_TASK, Publisher
from webhookcron.delivery.counting import OutcomeCounter
from webhookcron.maintenance.chores import Chore, Chores
from webhookcron.maintenance.rollup_merging import RollupMerging
from webhookcron.metrics.server import process_registry, serving
from webhookcron.metrics.ticker import TickerMetrics
from webhookcron.storage.watched_jobs import WatchedJobs
from webhookcron.ticks.comparison import FullComparison
from webhookcron.ticks.reconciler import Reconciler
from webhookcron.ticks.sweep import Sweep
from webhookcron.ticks.ticker import Ticker
from webhookcron.wiring.platform import Platform, connect
from webhookcron.wiring.processes import stop_on_signals, wait_for_stores

log = structlog.get_logger(__name__)


def run_ticker(settings: Settings) -> None:
    """Tick and reconcile until SIGTERM or SIGINT. Waits for MongoDB and Redis as long as it takes."""
    stop = stop_on_signals()
    platform = connect(settings, part="ticker")
    with ExitStack() as stack:
        stack.callback(platform.close)
        if not wait_for_stores(platform, stop):
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
