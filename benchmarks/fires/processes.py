"""The processes of a system under measurement, by role, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass
class ByRole:
    """Processes by role; a role may have several."""

    processes: dict[str, list[psutil.Process]]

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds used so far, by role."""
        return {
            role: sum(sum(process.cpu_times()[:2]) for process in processes)
            for role, processes in self.processes.items()
        }

    def rss_mb(self) -> dict[str, float]:
        """Resident memory, by role."""
        return {
            role: round(sum(process.memory_info().rss for process in processes) / 1e6, 1)
            for role, processes in self.processes.items()
        }
