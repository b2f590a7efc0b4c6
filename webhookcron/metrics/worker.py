"""What a worker counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from webhookcron.core.executions import FINAL_STATUSES, Trigger
from webhookcron.core.outcomes import FailureKind
from webhookcron.delivery.claimer import EndedClaim
from webhookcron.delivery.results import CallResult, Record
from webhookcron.metrics.instruments import GroupCounter, GroupHistogram

LATENESS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
DURATION_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

_SUCCESS = "success"


class WorkerMetrics:
    """The instruments of one worker process, registered with `registry`."""

    def __init__(self, registry: CollectorRegistry, load: Callable[[], tuple[int, int, int]]) -> None:
        """`load` is asked at every scrape: calls under way, ids that wait for room, results to be written."""
        self._executions = GroupCounter(
            "webhookcron_executions",
            "Executions that ended here, by final status",
            ["status"],
            [[status.value] for status in sorted(FINAL_STATUSES)],
        )
        self._attempts = GroupCounter(
            "webhookcron_attempts",
            "HTTP attempts, by outcome: success, or the kind of the failure",
            ["outcome"],
            [[_SUCCESS], *([kind.value] for kind in FailureKind)],
        )
        self._retries = GroupCounter("webhookcron_retries_scheduled", "Attempts that will be repeated")
        self._lateness = GroupHistogram(
            "webhookcron_fire_lateness_seconds",
            "From the fire time to the beginning of the first attempt, of scheduled executions",
            LATENESS_SECONDS,
        )
        self._durations = GroupHistogram(
            "webhookcron_attempt_duration_seconds", "Duration of HTTP attempts", DURATION_SECONDS
        )
        for instrument in (
            self._executions,
            self._attempts,
            self._retries,
            self._lateness,
            self._durations,
            _Load(load),
        ):
            registry.register(instrument)

    def recorded(self, group: Sequence[CallResult | EndedClaim], records: Sequence[Record]) -> None:
        """Count a group of results that was written."""
        lateness: list[float] = []
        durations: list[float] = []
        outcomes: Counter[tuple[str, ...]] = Counter()
        for item, record in zip(group, records, strict=True):
            attempt = record.update.change.get("$push", {}).get("attempts")
            if attempt is None or isinstance(item, EndedClaim):
                continue
            error = attempt.get("error")
            outcomes[(_SUCCESS if error is None else error["kind"],)] += 1
            durations.append(attempt["durationMs"] / 1000)
            execution = item.claim.execution
            if attempt["number"] == 1 and execution.trigger is Trigger.SCHEDULE:
                lateness.append((item.started_at - execution.scheduled_at).total_seconds())
        self._executions.add(
            Counter((record.final.status.value,) for record in records if record.final is not None)
        )
        self._attempts.add(outcomes)
        self._retries.increase(sum("nextAttemptAt" in record.update.change["$set"] for record in records))
        self._lateness.observe(lateness)
        self._durations.observe(durations)


class _Load(Collector):
    def __init__(self, load: Callable[[], tuple[int, int, int]]) -> None:
        self._load = load

    def collect(self) -> Iterator[GaugeMetricFamily]:
        under_way, waiting, unrecorded = self._load()
        for name, documentation, value in (
            ("webhookcron_worker_calls_in_flight", "Calls under way in this worker", under_way),
            ("webhookcron_worker_waiting", "Execution ids that wait for room in this worker", waiting),
            ("webhookcron_worker_unrecorded", "Results of this worker that are not written yet", unrecorded),
        ):
            yield GaugeMetricFamily(name, documentation, value=value)
