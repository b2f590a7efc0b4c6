"""Counters and histograms fed by the group, as the official parser reads them."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from webhookcron.metrics.instruments import GroupCounter, GroupHistogram


def samples(
    *instruments: GroupCounter | GroupHistogram,
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    registry = CollectorRegistry()
    for instrument in instruments:
        registry.register(instrument)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_a_counter_without_labels_is_there_from_the_start() -> None:
    assert samples(GroupCounter("ticks", "Looks")) == {("ticks_total", ()): 0}


def test_a_counter_adds_up_by_its_labels() -> None:
    counter = GroupCounter("fires", "Fires", ["result"], [["run"], ["skipped"]])
    counter.add({("run",): 2})
    counter.add({("run",): 3})
    counter.increase(1, "failed")
    assert samples(counter) == {
        ("fires_total", (("result", "run"),)): 5,
        ("fires_total", (("result", "skipped"),)): 0,
        ("fires_total", (("result", "failed"),)): 1,
    }


def test_a_histogram_counts_what_does_not_pass_its_bounds() -> None:
    histogram = GroupHistogram("lateness", "How late", [0.1, 1.0])
    histogram.observe([0.1, 0.2, 5.0])
    histogram.observe([])
    found = samples(histogram)
    assert [found["lateness_bucket", (("le", bound),)] for bound in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert found["lateness_count", ()] == 3
    assert round(found["lateness_sum", ()], 6) == 5.3
