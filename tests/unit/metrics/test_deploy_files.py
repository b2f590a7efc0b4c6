"""Dashboard and alert rules name metrics that exist."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from webhookcron.metrics.api import ApiMetrics
from webhookcron.metrics.state import PlatformState
from webhookcron.metrics.ticker import TickerMetrics
from webhookcron.metrics.worker import WorkerMetrics
from webhookcron.service.health import Health, ServiceHealth

REPOSITORY = Path(__file__).parents[3]
NAME = re.compile(r"\bwebhookcron_[a-z_]+")


def known_names() -> set[str]:
    up = ServiceHealth(up=True, latency_ms=1)
    health = Health(mongodb=up, redis=up, uptime_seconds=1, active_jobs=1, mirrored_jobs=1, oldest_due_at=None,
                    now=datetime_now(), finished_executions_kept=None)  # fmt: skip
    state = PlatformState(health=lambda: health, unfinished=dict, queue_depth=lambda: 0, now=datetime_now)
    registry = CollectorRegistry()
    TickerMetrics(registry)
    WorkerMetrics(registry, lambda: (0, 0, 0))
    registry.register(state)
    names: set[str] = set()
    families = [*registry.collect(), *ApiMetrics(state)._registry.collect()]
    for family in families:
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum", ""]}.get(
            family.type, [""]
        )
        names |= {family.name + suffix for suffix in suffixes}
    return names


def datetime_now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def test_the_alert_rules_ask_for_metrics_that_exist_and_say_what_to_do() -> None:
    rules = yaml.safe_load((REPOSITORY / "deploy/prometheus/webhookcron.rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert set(NAME.findall(rule["expr"])) <= known_names(), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["description"]


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((REPOSITORY / "deploy/grafana/webhookcron.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in NAME.findall(target["expr"])
    }
    assert asked
    assert asked <= known_names()


def test_the_guide_tells_of_every_metric_and_of_no_other() -> None:
    guide = (REPOSITORY / "docs/metrics.md").read_text()
    told = {name for row in re.findall(r"^\| (`.*?) \|", guide, re.MULTILINE) for name in NAME.findall(row)}
    for name in re.findall(r"`(_[a-z]+)`", guide):
        told.add("webhookcron_worker" + name)
    told = {re.sub(r"\{.*", "", name) for name in told}
    known = {re.sub(r"_(bucket|count|sum)$", "", name) for name in known_names()}
    assert {name.removesuffix("_total") for name in told} == {name.removesuffix("_total") for name in known}
