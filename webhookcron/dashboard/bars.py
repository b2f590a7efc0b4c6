"""The geometry of the small charts: pure. Lengths are units of the drawing, whose size each function names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from webhookcron.storage.recent_runs import RecentRun

LEAST_VISIBLE = 1.0


@dataclass(frozen=True, slots=True)
class RunBar:
    """One execution in a row of bars, 24 units high."""

    run: RecentRun
    x: float
    y: float
    height: float


RUN_BAR_STEP = 8
RUN_BAR_WIDTH = 6
RUN_BARS_HEIGHT = 24


def run_bars(runs: Sequence[RecentRun]) -> list[RunBar]:
    """A bar for each run, the earliest first: the longer it took, the higher, on a scale of square roots.

    One without a duration has the least height.
    """
    longest = max((run.duration_ms or 0 for run in runs), default=0)
    bars: list[RunBar] = []
    for index, run in enumerate(reversed(runs)):
        share = ((run.duration_ms or 0) / longest) ** 0.5 if longest else 0.0
        height = round(6 + share * (RUN_BARS_HEIGHT - 6), 1)
        bars.append(RunBar(run, index * RUN_BAR_STEP, round(RUN_BARS_HEIGHT - height, 1), height))
    return bars


SPARKLINE_SIZE = (240, 40)


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line through some durations, within `SPARKLINE_SIZE`."""

    points: str
    """For `<polyline points=…>`."""
    least: float
    most: float
    median: float


def sparkline(values: Sequence[float]) -> Sparkline | None:
    """The line through `values`, the first at the left; None for fewer than two."""
    if len(values) < 2:
        return None
    width, height = SPARKLINE_SIZE
    least, most = min(values), max(values)
    spread = (most - least) or 1
    points = " ".join(
        f"{index * width / (len(values) - 1):.1f},{height - 3 - (value - least) / spread * (height - 6):.1f}"
        for index, value in enumerate(values)
    )
    return Sparkline(points, least, most, sorted(values)[len(values) // 2])


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a stacked column."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chart."""

    starts_at: datetime
    x: float
    width: float
    segments: tuple[Segment, ...]
    counts: Mapping[str, int]
    total: int


CHART_SIZE = (720, 160)


def columns(
    starts: Sequence[datetime], counts: Sequence[Mapping[str, int]], kinds: Sequence[str]
) -> tuple[list[Column], int]:
    """Stacked columns within `CHART_SIZE`, and the number at the top of its scale. `kinds` is the order from below."""
    width, height = CHART_SIZE
    top = scale_top(max((sum(count.values()) for count in counts), default=0))
    step = width / max(1, len(starts))
    drawn: list[Column] = []
    for index, (start, count) in enumerate(zip(starts, counts, strict=True)):
        y = float(height)
        segments: list[Segment] = []
        for kind in kinds:
            number = count.get(kind, 0)
            if number:
                tall = max(LEAST_VISIBLE, number / top * height)
                y -= tall
                segments.append(Segment(kind, round(y, 2), round(tall, 2)))
        drawn.append(
            Column(
                start,
                round(index * step + step * 0.1, 2),
                round(step * 0.8, 2),
                tuple(segments),
                count,
                sum(count.values()),
            )
        )
    return drawn, top


def scale_top(largest: int) -> int:
    """The least of 4, 8, 10, 20, 40, 80, 100, … that is not below `largest`: quarters of it are whole numbers."""
    power = 1
    while True:
        for step in (4, 8, 10) if power == 1 else (2, 4, 8, 10):
            if step * power >= largest:
                return step * power
        power *= 10


@dataclass(frozen=True, slots=True)
class PhaseBar:
    """One phase of a call: where it lies in the whole, in percent."""

    name: str
    label: str
    start: float
    width: float
    ms: float


_PHASES = (
    ("nameLookupMs", "name", "Name lookup"),
    ("connectMs", "connect", "Connect"),
    ("tlsMs", "tls", "TLS"),
    ("firstByteMs", "wait", "Wait for the first byte"),
    ("totalMs", "read", "Read the answer"),
)


def phase_bars(phases: Mapping[str, float] | None) -> list[PhaseBar]:
    """The phases of a call from the moments at which they ended; those that took no time are left out."""
    if not phases:
        return []
    total = max(phases.values()) or 1.0
    bars: list[PhaseBar] = []
    before = 0.0
    for key, name, label in _PHASES:
        ended = phases.get(key)
        if ended is None:
            continue
        took = max(0.0, ended - before)
        if took > 0:
            bars.append(
                PhaseBar(name, label, round(before / total * 100, 2), round(took / total * 100, 2), took)
            )
        before = max(before, ended)
    return bars


HOUR_SIZE = (720, 48)


@dataclass(frozen=True, slots=True)
class Minute:
    """The fires of one minute of the coming hour, within `HOUR_SIZE`."""

    index: int
    starts_at: datetime
    count: int
    x: float
    y: float
    height: float


def minutes(fire_times: Sequence[datetime], start: datetime, count: int = 60) -> list[Minute]:
    """How many fires each of the `count` minutes from `start` on holds; those without any are left out."""
    width, height = HOUR_SIZE
    numbers = [0] * count
    for fire_time in fire_times:
        index = (fire_time - start) // timedelta(minutes=1)
        if 0 <= index < count:
            numbers[index] += 1
    most = max(numbers, default=0)
    return [
        Minute(
            index,
            start + timedelta(minutes=index),
            number,
            round(index * width / count, 2),
            round(height - tall, 2),
            round(tall, 2),
        )
        for index, number in enumerate(numbers)
        if number
        for tall in [6 + (number / most) ** 0.5 * (height - 6)]
    ]
