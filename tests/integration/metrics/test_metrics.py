"""Metrics of API, ticker and worker, as the official parser reads them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from pymongo.database import Database

from webhookcron.core.errors import BrokerUnavailable, StoreUnavailable
from webhookcron.delivery.transport_types import HttpResult
from webhookcron.metrics.server import process_registry, serving
from webhookcron.metrics.state import PlatformState
from webhookcron.metrics.ticker import TickerMetrics
from webhookcron.metrics.worker import WorkerMetrics
from webhookcron.service.health import Health, ServiceHealth
from webhookcron.ticks.fire_steps import Fired
from webhookcron.ticks.sweep import Swept

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_a_worker_counts_executions_attempts_and_how_late_they_began(world: Any) -> None:
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, lambda: (3, 2, 1))
    world.job()
    world.tick(world.at(60))
    for moment, result in ((62, HttpResult(status=200)), (182, HttpResult(status=500))):
        claimed = world.claim(world.at(moment))
        metrics.recorded(
            [*claimed_results(claimed, world.at(moment), result)],
            world.records(claimed, world.at(moment), "t", result=result),
        )
        world.tick(world.at(moment + 60))
    samples = parsed(generate_latest(registry).decode())
    assert value(samples, "webhookcron_executions_total", status="success") == 1
    assert value(samples, "webhookcron_executions_total", status="failed") >= 1
    assert value(samples, "webhookcron_attempts_total", outcome="success") == 1
    assert value(samples, "webhookcron_attempts_total", outcome="temporary_status") >= 1
    assert value(samples, "webhookcron_fire_lateness_seconds_bucket", le="2.5") >= 1
    assert value(samples, "webhookcron_worker_calls_in_flight") == 3


def claimed_results(claimed: Any, now: Any, result: HttpResult) -> Iterator[Any]:
    from webhookcron.delivery.results import CallResult

    for claim in claimed.calls:
        yield CallResult(claim, None, result, now, now)


def test_a_ticker_counts_fires_locks_and_repairs(world: Any) -> None:
    registry = CollectorRegistry()
    metrics = TickerMetrics(registry)
    world.job()
    first = world.source.tick("one", limit=500)
    second = world.source.tick("two", limit=500)
    metrics.ticked(first, Fired(runs=1))
    metrics.ticked(second, Fired())
    metrics.swept(Swept(pushed=2, lost=1))
    samples = parsed(generate_latest(registry).decode())
    assert value(samples, "webhookcron_ticker_fires_total", result="run") == 1
    assert value(samples, "webhookcron_ticker_ticks_total") == 2
    assert value(samples, "webhookcron_ticker_locked_fires_total") == 1
    assert value(samples, "webhookcron_reconciler_repairs_total", kind="pushed") == 2
    assert value(samples, "webhookcron_tick_lateness_seconds_count") == 1


def test_a_process_answers_at_its_port_and_tells_of_its_memory(free_port: int) -> None:
    with serving(process_registry(), "127.0.0.1", free_port) as port:
        assert port == free_port
        samples = parsed(scrape(f"http://127.0.0.1:{port}/metrics"))
    assert value(samples, "process_resident_memory_bytes") > 0


def test_a_port_that_is_taken_is_no_reason_to_stop(free_port: int) -> None:
    with serving(process_registry(), "127.0.0.1", free_port), serving(
        process_registry(), "127.0.0.1", free_port
    ) as second:  # fmt: skip
        assert second is None


def test_stores_that_are_away_are_told_and_their_figures_left_out() -> None:
    def away() -> Any:
        raise StoreUnavailable

    def no_broker() -> int:
        raise BrokerUnavailable

    down = ServiceHealth(up=False, latency_ms=2000, error="away")
    health = Health(mongodb=down, redis=down, uptime_seconds=1, active_jobs=None, mirrored_jobs=None,
                    oldest_due_at=None, now=None, finished_executions_kept=None)  # fmt: skip
    registry = CollectorRegistry()
    registry.register(PlatformState(health=lambda: health, unfinished=away, queue_depth=no_broker, now=away))
    samples = parsed(generate_latest(registry).decode())
    assert samples == {
        ("webhookcron_store_up", frozenset({("store", "mongodb")})): 0,
        ("webhookcron_store_up", frozenset({("store", "redis")})): 0,
    }


# --- the API under several server processes


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


@pytest.fixture
def api_url(
    mongodb_uri: str,
    redis_url: str,
    redis_client: Any,
    mongo_database: Database[Any],
    free_port: int,
    tmp_path: Path,
) -> Iterator[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": f"{mongodb_uri.rstrip('/')}/{mongo_database.name}",
        "REDIS_URL": redis_url,
        "WEBHOOKCRON_SECRET_KEY": "a-secret-key-for-tests-only",
        "TMPDIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "webhookcron", "api", "--port", str(free_port), "--workers", "3"]
    with (tmp_path / "api.log").open("wb") as log, subprocess.Popen(
        command, env=environment, stdout=log, stderr=log
    ) as process:  # fmt: skip
        url = f"http://127.0.0.1:{free_port}"
        try:
            wait_until(lambda: answers(url), tmp_path / "api.log")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert list(tmp_path.iterdir()) == [tmp_path / "api.log"], "the shared directory is gone"


def answers(url: str) -> bool:
    try:
        scrape(f"{url}/health/live")
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_every_server_process_answers_for_all_of_them(api_url: str) -> None:
    before = requests_of_live(parsed(scrape(f"{api_url}/metrics")))
    for _ in range(20):
        scrape(f"{api_url}/health/live")
    # Whichever process answers.
    for _ in range(5):
        samples = parsed(scrape(f"{api_url}/metrics"))
        assert requests_of_live(samples) == before + 20
    assert value(samples, "webhookcron_api_resident_memory_bytes") > 1e6
    assert value(samples, "webhookcron_store_up", store="mongodb") == 1
    assert value(samples, "webhookcron_due_backlog_seconds") == 0
    assert value(samples, "webhookcron_executions_unfinished", status="queued") == 0
    assert value(samples, "webhookcron_queue_depth") == 0


def requests_of_live(samples: Samples) -> float:
    return value(samples, "webhookcron_api_requests_total", route="/health/live", method="GET", status="200")


def test_what_clients_make_up_makes_no_new_series(api_url: str) -> None:
    for path in ("/nothing", "/api/nothing/at/all"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            scrape(api_url + path)
        refused.value.close()
    samples = parsed(scrape(f"{api_url}/metrics"))
    routes = {dict(labels)["route"] for name, labels in samples if name == "webhookcron_api_requests_total"}
    assert "unmatched" in routes
    assert not any("nothing" in route for route in routes)
