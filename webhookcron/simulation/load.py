"""Executions per minute and per host over a range of time.

The work is bounded before it begins: jobs that share a schedule are walked once, schedules finer than a minute are
counted minute by minute, and a range that would need more steps than MAX_STEPS is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from webhookcron.core.cron import parse_cron
from webhookcron.core.errors import WebhookcronError
from webhookcron.core.intervals import IntervalUnit
from webhookcron.core.schedules import Schedule, count_fire_times, jittered, next_fire_time

MAX_STEPS = 500_000
"""Fire times that are looked at one by one: some ten seconds of work."""

MAX_DAYS = 366

_TICK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int, int], None]


class RangeTooLong(WebhookcronError):
    """The range needs more work than a simulation may; the message names a range that does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedJob:
    """A job as far as its load is concerned."""

    label: str
    """How people call it: its key, else its name."""
    seed: str
    """What its offsets are derived from: its key, else its id. Stays the same, so that they do."""
    host: str
    schedule: Schedule
    jitter_ms: int = 0


@dataclass(frozen=True, slots=True)
class Peak:
    """A minute with many executions."""

    minute: datetime
    """Its start, aware UTC."""
    executions: int
    hosts: tuple[tuple[str, int], ...]
    """The hosts that get most of them, with how many."""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What one host gets."""

    host: str
    jobs: int
    executions: int
    peak: int
    """The most executions in a minute."""
    peak_minute: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load in [start, end)."""

    start: datetime
    end: datetime
    jobs: int
    per_minute: dict[datetime, int]
    """Executions by minute (aware UTC), minutes without any left out, in order."""
    hosts: tuple[HostLoad, ...]
    """The highest peak first."""
    peaks: tuple[Peak, ...]
    """The fullest minutes, the fullest first."""
    fullest_instant: tuple[datetime, int] | None
    """The second in which most jobs are due together, and how many; None unless at least two ever are."""

    @property
    def total(self) -> int:
        return sum(self.per_minute.values())

    @property
    def minutes(self) -> int:
        """How many minutes the range touches."""
        return max(1, -(-int((self.end - self.start).total_seconds()) // 60))

    @property
    def peak(self) -> int:
        """The most executions in a minute."""
        return max(self.per_minute.values(), default=0)

    def by_minute_of_hour(self) -> list[int]:
        """Executions by minute of the hour in UTC, 60 numbers."""
        counts = [0] * 60
        for minute, executions in self.per_minute.items():
            counts[minute.minute] += executions
        return counts

    def by_hour_of_day(self) -> list[int]:
        """Executions by hour of the day in UTC, 24 numbers."""
        counts = [0] * 24
        for minute, executions in self.per_minute.items():
            counts[minute.hour] += executions
        return counts


@dataclass(slots=True)
class _Group:
    """Jobs that fire together."""

    schedule: Schedule
    hosts: Counter[str]
    jitter_ms: int = 0
    seed: str = ""


def simulate(
    jobs: Sequence[SimulatedJob],
    start: datetime,
    end: datetime,
    *,
    top: int = 10,
    progress: Progress | None = None,
) -> Load:
    """The load that `jobs` make in [start, end), with the `top` fullest minutes.

    Raises ValueError for a range that is empty or longer than a year, and RangeTooLong.
    """
    if end <= start:
        raise ValueError("the end of the range must lie after its start")
    if end - start > timedelta(days=MAX_DAYS):
        raise ValueError(f"the range must not be longer than {MAX_DAYS} days")
    groups = _groups(jobs)
    steps = [_steps(group.schedule, start, end) for group in groups]
    if sum(steps) > MAX_STEPS:
        raise RangeTooLong(_too_long(sum(steps), start, end))
    minutes: Counter[datetime] = Counter()
    by_host: defaultdict[str, Counter[datetime]] = defaultdict(Counter)
    instants: Counter[datetime] = Counter()
    done = 0
    for group, group_steps in zip(groups, steps, strict=True):
        together = group.hosts.total()
        for moment, times in _fires(group, start, end):
            minute = moment.replace(second=0, microsecond=0)
            minutes[minute] += times * together
            for host, count in group.hosts.items():
                by_host[host][minute] += times * count
            if times == 1:
                instants[moment.replace(microsecond=0)] += together
        done += group_steps
        if progress is not None:
            progress(done, sum(steps))
    return Load(
        start=start,
        end=end,
        jobs=len(jobs),
        per_minute=dict(sorted(minutes.items())),
        hosts=_host_loads(jobs, by_host),
        peaks=_peaks(minutes, by_host, top),
        fullest_instant=_fullest(instants),
    )


def _groups(jobs: Iterable[SimulatedJob]) -> list[_Group]:
    groups: dict[tuple[Schedule, int, str], _Group] = {}
    for job in jobs:
        # Jitter is a hash of the job: each goes its own way.
        key = (job.schedule, job.jitter_ms, job.seed if job.jitter_ms else "")
        group = groups.setdefault(key, _Group(job.schedule, Counter(), job.jitter_ms, job.seed))
        group.hosts[job.host] += 1
    return list(groups.values())


def _steps(schedule: Schedule, start: datetime, end: datetime) -> int:
    """How many steps `_fires` takes for a schedule, up to the bound."""
    if _is_counted(schedule):
        return int((end - start) / _MINUTE) + 1
    coarse, _ = _by_minute(schedule)
    return count_fire_times(coarse, start - _TICK, end - _TICK, MAX_STEPS + 1)


def _fires(group: _Group, start: datetime, end: datetime) -> Iterable[tuple[datetime, int]]:
    """(moment, executions of each job of the group) for every step."""
    if _is_counted(group.schedule):
        minute = start.astimezone(UTC)
        while minute < end:
            following = min(end, minute.replace(second=0, microsecond=0) + _MINUTE)
            count = count_fire_times(group.schedule, minute - _TICK, following - _TICK, MAX_STEPS)
            if count:
                yield minute, count
            minute = following
        return
    schedule, times = _by_minute(group.schedule)
    moment = next_fire_time(schedule, start - _TICK)
    while moment is not None and moment < end:
        yield jittered(group.seed, moment, group.jitter_ms) if times == 1 else moment, times
        moment = next_fire_time(schedule, moment)


def _is_counted(schedule: Schedule) -> bool:
    """Whether counting each minute takes fewer steps than walking: intervals below a minute."""
    return schedule.interval is IntervalUnit.SECOND and (schedule.interval_value or 0) < 60


def _by_minute(schedule: Schedule) -> tuple[Schedule, int]:
    """A schedule that fires once in each minute in which this one does, and how often this one does."""
    if schedule.cron_expression is None:
        return schedule, 1
    parsed = parse_cron(schedule.cron_expression)
    times = parsed.seconds.bit_count()
    if times == 1:
        return schedule, 1
    first = (parsed.seconds & -parsed.seconds).bit_length() - 1
    fields = parsed.text.split()
    return replace(schedule, cron_expression=" ".join([str(first), *fields[1:]])), times


def _host_loads(jobs: Iterable[SimulatedJob], by_host: dict[str, Counter[datetime]]) -> tuple[HostLoad, ...]:
    jobs_of = Counter(job.host for job in jobs)
    loads = []
    for host, minutes in by_host.items():
        minute, peak = max(minutes.items(), key=lambda item: (item[1], -(item[0] - _EPOCH)))
        loads.append(HostLoad(host, jobs_of[host], minutes.total(), peak, minute))
    return tuple(sorted(loads, key=lambda load: (-load.peak, -load.executions, load.host)))


def _peaks(minutes: Counter[datetime], by_host: dict[str, Counter[datetime]], top: int) -> tuple[Peak, ...]:
    fullest = sorted(minutes.items(), key=lambda item: (-item[1], item[0]))[:top]
    found = []
    for minute, executions in fullest:
        hosts = Counter({host: counts[minute] for host, counts in by_host.items() if counts[minute]})
        found.append(Peak(minute, executions, tuple(hosts.most_common(3))))
    return tuple(found)


def _fullest(instants: Counter[datetime]) -> tuple[datetime, int] | None:
    if not instants:
        return None
    moment, jobs = min(instants.items(), key=lambda item: (-item[1], item[0]))
    return (moment, jobs) if jobs > 1 else None


def _too_long(steps: int, start: datetime, end: datetime) -> str:
    hours = (end - start).total_seconds() / 3600 * MAX_STEPS / steps
    fitting = f"{hours:.0f} hours" if hours >= 2 else f"{max(1, int(hours * 60))} minutes"
    return (
        f"the range holds more than {MAX_STEPS:,} different fire times, too many to simulate; "
        f"about {fitting} would fit"
    )
