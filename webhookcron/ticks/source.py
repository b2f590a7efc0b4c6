"""The tick source: the mirror of active jobs in Redis, and the locks of their fires.

Keys (all with the hash tag of their shard, so that one shard lives on one node of a Redis Cluster):

    wc:{0}:due          sorted set   job id -> moment to act, in ms (fire time + jitter, or the next catch-up slot)
    wc:{0}:jobs         hash         job id -> "version:fire time in ms"
    wc:{0}:lock:ID:MS   string       owner token of the ticker that has this fire; expires after 5 s
    wc:{0}:gone:ID      string       version of a removed job (tombstone); expires after an hour
    wc:{0}:generation   string       written by a completed rebuild; gone after a flush
    wc:{0}:rebuild:ID   string       a comparison under way; gone after a flush, so that it does not count as complete
    wc:{0}:compared     string       the run of the Redis server under which the last completed comparison began
    wc:{0}:turn:NAME    string       the ticker whose turn it is to sweep, or to compare

Everything here can be rebuilt from MongoDB. It holds no secret and no definition: those are read from MongoDB.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

from redis import Redis
from redis.commands.core import Script

from webhookcron.core.executions import from_ms, to_ms
from webhookcron.ticks.client import driver_errors_translated
from webhookcron.ticks.clock import JUMP

LOCK_EXPIRY = timedelta(seconds=5)
"""How long a ticker has for a fire before another one may take it; never released early."""

TOMBSTONE_EXPIRY = timedelta(hours=1)

REBUILD_EXPIRY = timedelta(hours=1)
"""Longer than any comparison takes."""

_PER_CALL = 500
"""Jobs per Lua call: one of this size keeps Redis busy for about a millisecond, and fits what Lua can unpack."""

T = TypeVar("T")

SHARD = "{0}"
"""The one shard there is today; the tag is in every key from the start, so that more can be added."""


class MirrorEntry(NamedTuple):
    """A job as the tick source should hold it."""

    job_id: str
    version: int
    fire_time: datetime
    act_at: datetime
    """When a ticker should act: the fire time + jitter, or the next catch-up slot."""


class DueFire(NamedTuple):
    """A due job whose fire this ticker has won."""

    job_id: str
    entry: str
    """The entry as it was found, for `advance` to compare with; empty when there was none."""
    score: str
    version: int | None
    """None when there was no entry, or one that cannot be read."""
    fire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Tick:
    """One look at the tick source."""

    now: datetime
    """Platform time of the look."""
    generation: str | None
    """None when the mirror was never completed, or is gone: it has to be rebuilt."""
    due: tuple[DueFire, ...]
    next_act_at: datetime | None
    """The earliest moment after now at which something is due; None when nothing is."""
    looked_at: int
    """How many due entries were seen, those locked by others included."""
    jumped: bool
    """Platform time is not where it was expected, so nothing was locked: look again."""


class Advance(NamedTuple):
    """Where a job goes after its fire; `to` None takes it out of the mirror."""

    fire: DueFire
    to: MirrorEntry | None


class TickSource:
    """The mirror in Redis. Every method raises TickSourceUnavailable when Redis is away."""

    def __init__(self, redis: Redis, *, key_prefix: str = "wc") -> None:
        self._redis = redis
        base = f"{key_prefix}:{SHARD}:"
        self._due, self._jobs = base + "due", base + "jobs"
        self._generation = base + "generation"
        self._rebuild = base + "rebuild:"
        self._compared = base + "compared"
        self._locks, self._tombstones, self._turns = base + "lock:", base + "gone:", base + "turn:"
        self._tick = _script(redis, "tick")
        self._put = _script(redis, "put")
        self._remove = _script(redis, "remove")
        self._advance = _script(redis, "advance")
        self._hold = _script(redis, "hold")
        self._complete = _script(redis, "complete")

    # --- the ticker's side

    def tick(self, token: str, *, limit: int, expected_now: datetime | None = None) -> Tick:
        """Lock and return up to `limit` due fires, the longest due first, going on past those that others hold.

        `token` names this call's owner: repeating the call with it returns what it already won. With
        `expected_now`, nothing is locked when the time found differs by more than `JUMP`.
        """
        with driver_errors_translated():
            now_ms, generation, following, looked_at, flat, jumped = self._tick(
                keys=[self._due, self._jobs, self._generation],
                args=[
                    token,
                    limit,
                    limit * 10,
                    int(LOCK_EXPIRY.total_seconds() * 1000),
                    self._locks,
                    "" if expected_now is None else to_ms(expected_now),
                    int(JUMP.total_seconds() * 1000),
                ],
            )
        due = tuple(_due_fire(flat[i], flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3))
        return Tick(
            now=from_ms(int(now_ms)),
            generation=generation or None,
            due=due,
            next_act_at=_score(following) if following else None,
            looked_at=int(looked_at),
            jumped=bool(jumped),
        )

    def upcoming(self, until: datetime, limit: int) -> list[tuple[str, int | None]]:
        """(id, version) of up to `limit` jobs that are to act by `until`, the first ones first; locks nothing."""
        with driver_errors_translated():
            ids: Any = self._redis.zrangebyscore(self._due, "-inf", to_ms(until), start=0, num=limit)
            entries: Any = self._redis.hmget(self._jobs, ids) if ids else []
        return [(job_id, _parse(entry or "")[0]) for job_id, entry in zip(ids, entries, strict=True)]

    def advance(self, moves: Sequence[Advance]) -> int:
        """Move each job on, if it still is where it was found; how many were moved. No job may come twice."""
        moved = 0
        for chunk in _chunks(moves, _PER_CALL):
            args: list[str | int] = []
            for move in chunk:
                to = move.to
                args += [move.fire.job_id, move.fire.entry, move.fire.score]
                args += ["", ""] if to is None else [_entry(to), to_ms(to.act_at)]
            with driver_errors_translated():
                moved += int(self._advance(keys=[self._due, self._jobs], args=args))
        return moved

    # --- the mirroring side

    def put(self, entries: Iterable[MirrorEntry]) -> int:
        """Mirror jobs; an older version is refused. How many were put."""
        put = 0
        for chunk in _chunks(entries, _PER_CALL):
            args: list[str | int] = [self._tombstones]
            for e in chunk:
                args += [e.job_id, e.version, to_ms(e.fire_time), to_ms(e.act_at)]
            with driver_errors_translated():
                put += int(self._put(keys=[self._due, self._jobs], args=args))
        return put

    def remove(self, jobs: Iterable[tuple[str, int]]) -> int:
        """Take out jobs (id, version), unless a newer version is mirrored; how many were."""
        removed = 0
        for chunk in _chunks(jobs, _PER_CALL):
            args: list[str | int] = [self._tombstones, int(TOMBSTONE_EXPIRY.total_seconds() * 1000)]
            for job_id, version in chunk:
                args += [job_id, version]
            with driver_errors_translated():
                removed += int(self._remove(keys=[self._due, self._jobs], args=args))
        return removed

    # --- the reconciler's side

    def entries(
        self, job_ids: Sequence[str]
    ) -> dict[str, tuple[int | None, datetime | None, datetime | None]]:
        """What is mirrored of `job_ids`: (version, fire time, act at), each None when missing or unreadable."""
        if not job_ids:
            return {}
        with driver_errors_translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(self._jobs, list(job_ids))
            pipe.zmscore(self._due, list(job_ids))
            found, scores = pipe.execute()
        result: dict[str, tuple[int | None, datetime | None, datetime | None]] = {}
        for job_id, entry, score in zip(job_ids, found, scores, strict=True):
            version, fire_time = _parse(entry or "")
            result[job_id] = (version, fire_time, None if score is None else _score(score))
        return result

    def replace(self, pairs: Sequence[tuple[MirrorEntry, MirrorEntry]]) -> int:
        """Put the second of each pair where the mirror still holds the first, whatever their versions; how many."""
        return self.advance(
            [
                Advance(DueFire(seen.job_id, _entry(seen), str(to_ms(seen.act_at)), None, None), to)
                for seen, to in pairs
            ]
        )

    def job_ids(self) -> Iterator[list[str]]:
        """All mirrored job ids, in slices; an id may come twice, and one that comes or goes meanwhile may lack."""
        yield from self._scan(lambda cursor: self._redis.hscan(self._jobs, cursor, count=1000))
        yield from self._scan(lambda cursor: self._redis.zscan(self._due, cursor, count=1000))

    @staticmethod
    def _scan(look: Callable[[int], Any]) -> Iterator[list[str]]:
        cursor = 0
        while True:
            with driver_errors_translated():
                cursor, slice_ = look(cursor)
            # A hash comes as a dictionary, a sorted set as pairs of member and score.
            if ids := [member if isinstance(member, str) else member[0] for member in slice_]:
                yield ids
            if not cursor:
                return

    def generation(self) -> str | None:
        """The marker of the last completed rebuild; None when there is none."""
        with driver_errors_translated():
            marker: Any = self._redis.get(self._generation)
        return None if marker is None else str(marker)

    def begin_rebuild(self) -> str:
        """A token for `complete_rebuild`, kept in Redis as long as its data is."""
        token = secrets.token_hex(8)
        run = self.server_run()
        with driver_errors_translated():
            self._redis.set(self._rebuild + token, run, px=int(REBUILD_EXPIRY.total_seconds() * 1000))
        return token

    def complete_rebuild(self, token: str) -> bool:
        """Mark the mirror as complete; False when Redis lost its data since `token` was given out."""
        with driver_errors_translated():
            keys = [self._rebuild + token, self._generation, self._compared]
            return bool(self._complete(keys=keys, args=[token]))

    def runs(self) -> tuple[str, str | None]:
        """`server_run`, and the one under which the last completed comparison began (None when there was none)."""
        with driver_errors_translated():
            pipe = self._redis.pipeline(transaction=False)
            pipe.info("server")
            pipe.get(self._compared)
            info, compared = pipe.execute()
        return str(info.get("run_id", "")), None if compared is None else str(compared)

    def server_run(self) -> str:
        """What tells one run of the Redis server from the next: after a restart or fail-over it is another."""
        with driver_errors_translated():
            info: Any = self._redis.info("server")
        return str(info.get("run_id", ""))

    def hold_turn(self, name: str, token: str, expiry: timedelta) -> bool:
        """Take or keep a turn (`sweep`, `compare`) for `expiry`; False while another ticker has it."""
        with driver_errors_translated():
            return bool(
                self._hold(keys=[self._turns + name], args=[token, int(expiry.total_seconds() * 1000)])
            )

    def end_turn(self, name: str, token: str) -> None:
        """Give a turn back before it lapses; no more than a wish, as the turn may have passed on already."""
        with driver_errors_translated():
            self._hold(keys=[self._turns + name], args=[token, 1])

    # --- figures

    def size(self) -> int:
        """How many jobs are mirrored."""
        with driver_errors_translated():
            return int(self._redis.zcard(self._due))

    def oldest_act_at(self) -> datetime | None:
        """The earliest moment at which a mirrored job is to act; None when nothing is mirrored."""
        with driver_errors_translated():
            first: Any = self._redis.zrange(self._due, 0, 0, withscores=True)
        return _score(first[0][1]) if first else None


def _script(redis: Redis, name: str) -> Script:
    return redis.register_script(files("webhookcron.ticks").joinpath("lua", f"{name}.lua").read_text("utf-8"))


def _entry(entry: MirrorEntry) -> str:
    return f"{entry.version}:{to_ms(entry.fire_time)}"


def _parse(entry: str) -> tuple[int | None, datetime | None]:
    version, separator, fire_time = entry.partition(":")
    try:
        number = int(version)
        if not separator or number < 0:
            return None, None
        return number, from_ms(int(fire_time))
    except (ValueError, OverflowError):
        return None, None


def _score(score: str | float) -> datetime | None:
    """The moment of a score; None when it is none that a calendar has."""
    try:
        return from_ms(int(float(score)))
    except (ValueError, OverflowError):
        return None


def _due_fire(job_id: str, score: str, entry: str) -> DueFire:
    version, fire_time = _parse(entry)
    return DueFire(job_id=job_id, entry=entry, score=score, version=version, fire_time=fire_time)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
