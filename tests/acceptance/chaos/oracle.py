"""What should have happened: the fire times of each job, from what was done to it and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from history import Change, JobHistory
from rules import Rule


@dataclass(frozen=True)
class Stretch:
    """A time in which one rule is in force: fire times in (after, until] are due."""

    rule: Rule
    after: int
    until: int
    max_runs: int | None
    epoch: int
    """Grows with every new rule; what `max_runs` counts goes on through a pause."""
    ended_by: Change | None = None
    end_answered: int | None = None
    """When the change that ended it was seen to be done: until then it may not have been in force."""


def stretches(job: JobHistory, end_ms: int) -> list[Stretch]:
    """The times in which fire times of the job are due, up to `end_ms`."""
    found: list[Stretch] = []
    rule: Rule | None = None
    max_runs: int | None = None
    since: int | None = None
    """None while it is paused."""
    paused = False
    epoch = 0

    def close(until: int, change: Change | None, answered: int | None) -> None:
        if rule is not None and since is not None:
            found.append(Stretch(rule, since, until, max_runs, epoch, change, answered))

    for event in job.settled_events:
        at = event.at_ms
        assert at is not None
        match event.change:
            case Change.CREATE | Change.RESCHEDULE:
                close(at, event.change, event.answered_ms)
                rule, max_runs, epoch = event.rule, event.max_runs, epoch + 1
                since = None if paused else at
            case Change.PAUSE:
                close(at, event.change, event.answered_ms)
                since, paused = None, True
            case Change.RESUME:
                if paused:
                    since, paused = at, False
            case Change.DELETE:
                close(at, event.change, event.answered_ms)
                return found
    close(end_ms, None, None)
    return found


def due(found: list[Stretch], counts_as_run: Callable[[int], bool]) -> Iterator[tuple[int, Stretch]]:
    """Every fire time that is due, with its stretch.

    `counts_as_run` says of a fire time whether it was made to run: after `max_runs` of those nothing more is due.
    """
    runs: dict[int, int] = {}
    for stretch in found:
        for moment in stretch.rule.between(stretch.after, stretch.until):
            if stretch.max_runs is not None and runs.get(stretch.epoch, 0) >= stretch.max_runs:
                break
            yield moment, stretch
            if counts_as_run(moment):
                runs[stretch.epoch] = runs.get(stretch.epoch, 0) + 1
