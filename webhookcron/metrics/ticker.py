"""What a ticker and its reconciler count."""

from __future__ import annotations

from prometheus_client.registry import CollectorRegistry

from webhookcron.metrics.instruments import GroupCounter, GroupHistogram
from webhookcron.metrics.worker import LATENESS_SECONDS
from webhookcron.ticks.comparison import Compared
from webhookcron.ticks.fire_steps import Fired
from webhookcron.ticks.source import Tick
from webhookcron.ticks.sweep import Swept


class TickerMetrics:
    """The instruments of one ticker process, registered with `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._fires = GroupCounter(
            "webhookcron_ticker_fires",
            "Fire times handled here: run, recorded as skipped, or failed to be stored (and tried again)",
            ["result"],
            [["run"], ["skipped"], ["failed"]],
        )
        self._ticks = GroupCounter("webhookcron_ticker_ticks", "Looks at the tick source")
        self._contended = GroupCounter(
            "webhookcron_ticker_locked_fires", "Due fires that another ticker held when this one looked"
        )
        self._lateness = GroupHistogram(
            "webhookcron_tick_lateness_seconds",
            "From the fire time to the tick that handled it",
            LATENESS_SECONDS,
        )
        self._repairs = GroupCounter(
            "webhookcron_reconciler_repairs",
            "What the reconciler mended: executions pushed again, attempts lost, outcomes counted late; "
            "mirror entries missing, moved or removed",
            ["kind"],
            [["pushed"], ["lost"], ["counted"], ["missing"], ["moved"], ["removed"]],
        )
        for instrument in (self._fires, self._ticks, self._contended, self._lateness, self._repairs):
            registry.register(instrument)

    def ticked(self, tick: Tick, fired: Fired) -> None:
        """Count one tick."""
        self._ticks.increase()
        if not tick.looked_at:
            return
        self._contended.increase(max(0, tick.looked_at - len(tick.due)))
        self._fires.add({("run",): fired.runs, ("skipped",): fired.skipped, ("failed",): fired.failed})
        self._lateness.observe(
            [(tick.now - fire.fire_time).total_seconds() for fire in tick.due if fire.fire_time is not None]
        )

    def swept(self, swept: Swept) -> None:
        """Count one sweep."""
        self._repairs.add({("pushed",): swept.pushed, ("lost",): swept.lost, ("counted",): swept.counted})

    def compared(self, compared: Compared) -> None:
        """Count one full comparison."""
        self._repairs.add(
            {
                ("missing",): compared.missing,
                ("moved",): compared.moved,
                ("removed",): compared.removed,
            }
        )
