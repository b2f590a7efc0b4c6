"""Counters and histograms that are fed by the group: one lock for many fires, and no cost per fire but the sorting in.

The official client's own take a lock and several calls for every single observation.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class GroupCounter(Collector):
    """A counter with labels, added to by groups. Thread-safe."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] = (), known: Iterable[Sequence[str]] = ()
    ) -> None:
        """`name` goes without `_total`; the label values of `known` are there from the start, at 0."""
        self._name, self._documentation, self._labels = name, documentation, tuple(labels)
        self._lock = threading.Lock()
        self._values: Counter[tuple[str, ...]] = Counter({tuple(values): 0 for values in known})
        if not labels:
            self._values[()] = 0

    def add(self, counts: Mapping[tuple[str, ...], int]) -> None:
        """Add to each tuple of label values."""
        with self._lock:
            for values, count in counts.items():
                self._values[values] += count

    def increase(self, by: int = 1, *values: str) -> None:
        """Add `by` to one tuple of label values."""
        with self._lock:
            self._values[values] += by

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        with self._lock:
            for values, count in self._values.items():
                family.add_metric(values, count)
        yield family


class GroupHistogram(Collector):
    """A histogram without labels, observed by groups. Thread-safe."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        """`bounds` are the upper ends of the buckets, ascending, without infinity."""
        self._name, self._documentation, self._bounds = name, documentation, tuple(bounds)
        self._lock = threading.Lock()
        self._buckets = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, values: Sequence[float]) -> None:
        """Sort in all of `values`."""
        places = [bisect_left(self._bounds, value) for value in values]
        with self._lock:
            for place in places:
                self._buckets[place] += 1
            self._sum += sum(values)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(self._buckets), self._sum
        buckets: list[tuple[str, float]] = []
        reached = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            reached += count
            buckets.append((bound, reached))
        family = HistogramMetricFamily(self._name, self._documentation)
        family.add_metric([], buckets, sum_value=total)
        yield family
