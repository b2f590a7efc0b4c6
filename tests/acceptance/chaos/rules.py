"""When a job of the chaos load is due: computed here from scratch, with nothing of the platform's own arithmetic.

All moments are whole milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SECOND = 1000
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class SecondsOfMinute:
    """A cron expression that names seconds and nothing else: the same seconds of every minute."""

    seconds: tuple[int, ...]

    def between(self, after: int, until: int) -> Iterator[int]:
        """The fire times in (after, until], in order."""
        minute = after - after % MINUTE
        while minute <= until:
            for second in self.seconds:
                if after < minute + second * SECOND <= until:
                    yield minute + second * SECOND
            minute += MINUTE


@dataclass(frozen=True)
class Every:
    """Every so many seconds after an anchor, the anchor itself included if it fires."""

    seconds: int
    anchor: int
    anchor_fires: bool = False

    def between(self, after: int, until: int) -> Iterator[int]:
        """The fire times in (after, until], in order."""
        moment = self.anchor if self.anchor_fires else self.anchor + self.seconds * SECOND
        if moment <= after:
            moment += (after - moment) // (self.seconds * SECOND) * self.seconds * SECOND
        while moment <= until:
            if moment > after:
                yield moment
            moment += self.seconds * SECOND


@dataclass(frozen=True)
class Once:
    """A single moment."""

    moment: int

    def between(self, after: int, until: int) -> Iterator[int]:
        """The moment, when it is in (after, until]."""
        if after < self.moment <= until:
            yield self.moment


@dataclass(frozen=True)
class Until:
    """A rule with an end: nothing after `end`."""

    rule: SecondsOfMinute | Every
    end: int

    def between(self, after: int, until: int) -> Iterator[int]:
        """The fire times in (after, until], in order."""
        return self.rule.between(after, min(until, self.end))


Rule = SecondsOfMinute | Every | Once | Until


def pace_of(rule: Rule | None) -> object:
    """What two rules have in common when one may go on from the other."""
    match rule:
        case Until():
            return pace_of(rule.rule)
        case Every():
            return rule.seconds
        case _:
            return rule
