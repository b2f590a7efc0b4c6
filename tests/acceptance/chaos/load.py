"""The jobs of a chaos run: schedules, targets and policies, drawn with dice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rules import SECOND, Every, Once, Rule, SecondsOfMinute, Until

TARGETS = ("/ok", "/ok", "/ok", "/ok", "/ok", "/flaky", "/flaky", "/failing", "/slow", "/hang")
RULE_FIELDS = (
    "cronExpression",
    "interval",
    "intervalValue",
    "runAt",
    "delayMs",
    "startAt",
    "endAt",
    "maxRuns",
)


@dataclass(frozen=True)
class Draft:
    """A definition, and how its rule follows from the moment at which it comes into force."""

    body: dict[str, Any]
    rule_at: Callable[[int], Rule]
    max_runs: int | None = None


class Load:
    """Draws jobs and changes."""

    def __init__(self, dice: random.Random, receiver_url: str, duration_ms: int) -> None:
        self._dice = dice
        self._receiver_url = receiver_url
        self._duration_ms = duration_ms

    def job(self, number: int, now_ms: int) -> Draft:
        """A new job."""
        dice = self._dice
        target = dice.choice(TARGETS)
        schedule = self.schedule(now_ms, slow=target in ("/slow", "/hang"))
        body: dict[str, Any] = {
            "name": f"Job {number}",
            "key": f"job-{number}",
            "webhookUrl": self._receiver_url + target,
            "timeoutMs": 10_000 if target == "/slow" else dice.choice((1000, 2000, 3000)),
            "maxRetries": dice.choice((0, 1, 2)),
            "retryDelaysMs": [dice.choice((200, 500, 1000)), 1500],
            "misfirePolicy": dice.choice(("fireOnce", "skip", "fireAll")),
            "misfireGraceMs": dice.choice((15_000, 15_000, 60_000)),
            "overlapPolicy": dice.choice(("allow", "allow", "skip", "queue")),
            **schedule.body,
        }
        if dice.random() < 0.1:
            body["jitterMs"] = 1500
        return Draft(body, schedule.rule_at, schedule.max_runs)

    def schedule(self, now_ms: int, *, slow: bool) -> Draft:
        """The fields of a schedule; slow ones keep to five seconds or more between two fire times."""
        dice = self._dice
        kind = dice.choices(("cron", "interval", "anchored", "runs", "end", "once"), (40, 30, 8, 10, 4, 8))[0]
        if kind == "once":
            delay_ms = dice.randint(1000, max(2000, self._duration_ms // 2))
            return Draft({"delayMs": delay_ms}, lambda at: Once(at + delay_ms))
        step = dice.choice((5, 6, 10) if slow else (2, 3, 4, 5, 6, 10))
        if kind == "cron":
            first = dice.randrange(step)
            seconds = tuple(range(first, 60, step))
            expression = (
                f"{first}-59/{step} * * * * *" if step < 10 else f"{','.join(map(str, seconds))} * * * * *"
            )
            return Draft({"cronExpression": expression}, lambda at: SecondsOfMinute(seconds))
        body: dict[str, Any] = {"interval": "second", "intervalValue": step}
        if kind == "anchored":
            start = now_ms - now_ms % SECOND + dice.randint(-20, 20) * SECOND
            return Draft({**body, "startAt": wire(start)}, lambda at: Every(step, start, anchor_fires=True))
        if kind == "runs":
            runs = dice.randint(3, 15)
            return Draft({**body, "maxRuns": runs}, lambda at: Every(step, at), runs)
        if kind == "end":
            end = now_ms + dice.randint(10_000, max(20_000, self._duration_ms))
            return Draft({**body, "endAt": wire(end)}, lambda at: Until(Every(step, at), end))
        return Draft(body, lambda at: Every(step, at))

    def patch_of_schedule(self, now_ms: int) -> Draft:
        """A change of the whole schedule: what the new one does not name goes back to its default."""
        schedule = self.schedule(now_ms, slow=True)
        return Draft({**dict.fromkeys(RULE_FIELDS), **schedule.body}, schedule.rule_at, schedule.max_runs)

    def patch_of_other_fields(self) -> dict[str, Any]:
        """A change that moves no fire time."""
        dice = self._dice
        return dice.choice(
            (
                {"payload": {"round": dice.randint(1, 10**9)}},
                {
                    "description": f"changed {dice.randint(1, 10**9)}",
                    "tags": ["chaos", str(dice.randint(1, 9))],
                },
                {
                    "misfirePolicy": dice.choice(("fireOnce", "skip", "fireAll")),
                    "maxRetries": dice.randint(0, 3),
                },
                {"headers": {"X-Round": str(dice.randint(1, 10**9))}},
            )
        )


def wire(moment_ms: int) -> str:
    """A moment as the API takes it."""
    moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_wire(text: str) -> int:
    """A moment of an answer."""
    moment = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    return moment.days * 86_400_000 + moment.seconds * 1000 + moment.microseconds // 1000
