"""What was done to each job, and when it came into force in platform time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rules import Rule


class Change(StrEnum):
    """What a user can do to a job that bears on its fire times."""

    CREATE = "create"
    RESCHEDULE = "reschedule"
    PAUSE = "pause"
    RESUME = "resume"
    DELETE = "delete"
    OTHER = "other"
    """A change of the definition that leaves the fire times as they are."""


@dataclass
class Event:
    """A change that was asked for."""

    change: Change
    sent_ms: int
    at_ms: int | None = None
    """When it came into force; None while that is not known, or it never did."""
    answered_ms: int | None = None
    """When its success was seen."""
    rule: Rule | None = None
    max_runs: int | None = None
    """For `create` and `reschedule`."""
    rule_made_at: Any = None
    """For a rule that depends on the moment it came into force: moment -> rule."""

    def came_into_force(self, at_ms: int, answered_ms: int) -> None:
        """It was done, at `at_ms` by platform time."""
        self.at_ms, self.answered_ms = at_ms, answered_ms
        if self.rule_made_at is not None:
            self.rule = self.rule_made_at(at_ms)


@dataclass
class JobHistory:
    """One job of the load."""

    key: str
    kind: str
    """The path of the receiver that it calls, such as /ok."""
    overlap: str
    misfire: str
    job_id: str | None = None
    events: list[Event] = field(default_factory=list)
    unsure: Event | None = None
    """The change whose outcome is not known yet; until then the job is left alone."""
    paused: bool = False
    gone: bool = False
    triggers: dict[str, str] = field(default_factory=dict)
    """Idempotency-Key -> execution id, of manual runs that were answered."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def settled_events(self) -> list[Event]:
        """The changes that came into force, in their order."""
        return sorted((e for e in self.events if e.at_ms is not None), key=lambda event: event.at_ms or 0)
