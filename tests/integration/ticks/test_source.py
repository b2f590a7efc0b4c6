"""The mirror in Redis: locks, versions, tombstones, compare-and-move, and what cannot be read."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.ticks import client as connections
from webhookcron.ticks.source import Advance, MirrorEntry, TickSource

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2200, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DUE, JOBS = "wc:{0}:due", "wc:{0}:jobs"


@pytest.fixture
def source(redis_client: redis.Redis, redis_url: str) -> Any:
    with connections.connect(redis_url) as connection:
        yield TickSource(connection)


def entry(
    job_id: str = "a", version: int = 1, at: datetime = LONG_AGO, acts: datetime | None = None
) -> MirrorEntry:
    return MirrorEntry(job_id, version, at, acts or at)


def ids(source: TickSource, token: str = "t", limit: int = 500) -> list[str]:
    return [fire.job_id for fire in source.tick(token, limit=limit).due]


# --- ticks


def test_due_jobs_come_the_longest_due_first_and_others_do_not(source: TickSource) -> None:
    source.put([entry("b", at=LONG_AGO + SECOND), entry("a"), entry("c", at=FAR_AHEAD)])
    tick = source.tick("t", limit=10)
    assert [fire.job_id for fire in tick.due] == ["a", "b"]
    assert (tick.due[0].version, tick.due[0].fire_time) == (1, LONG_AGO)
    assert tick.next_act_at == FAR_AHEAD
    assert tick.looked_at == 2
    assert abs(tick.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_fire_is_won_by_one_and_found_again_by_the_same(source: TickSource) -> None:
    source.put([entry("a"), entry("b")])
    assert ids(source, "one") == ["a", "b"]
    assert ids(source, "two") == []
    assert ids(source, "one") == ["a", "b"], "a reply that was lost is asked for again"


def test_a_tick_goes_on_past_what_others_hold(source: TickSource) -> None:
    source.put([entry(f"{n:03}", at=LONG_AGO + n * SECOND) for n in range(40)])
    assert ids(source, "one", limit=15) == [f"{n:03}" for n in range(15)]
    assert ids(source, "two", limit=15) == [f"{n:03}" for n in range(15, 30)]
    assert ids(source, "three", limit=15) == [f"{n:03}" for n in range(30, 40)]
    assert source.tick("four", limit=15).looked_at == 40


def test_of_many_tickers_one_wins_each_fire(
    source: TickSource, redis_url: str, in_threads: Callable[..., list[Any]]
) -> None:
    source.put([entry(f"{n:03}") for n in range(200)])

    def tick(token: str) -> list[str]:
        with connections.connect(redis_url) as connection:
            own, won = TickSource(connection), []
            for _ in range(10):
                won += ids(own, f"{token}-{secrets.token_hex(2)}", limit=20)
        return won

    won = [job_id for part in in_threads(tick, ["a", "b", "c", "d"]) for job_id in part]
    assert sorted(won) == [f"{n:03}" for n in range(200)]


def test_tickers_share_what_is_due_and_try_for_each_fire_once(
    source: TickSource, redis_client: redis.Redis
) -> None:
    source.put([entry(f"{n:03}", at=LONG_AGO + n * SECOND) for n in range(60)])

    def locks_tried() -> int:
        return int(redis_client.info("commandstats").get("cmdstat_set", {}).get("calls", 0))

    before = locks_tried()
    assert sorted(ids(source, "one", limit=20) + ids(source, "two", limit=20)) == [
        f"{n:03}" for n in range(40)
    ]
    assert len(ids(source, "three", limit=20)) == 20
    assert (ids(source, "four", limit=20), ids(source, "two", limit=20)) == (
        [],
        [f"{n:03}" for n in range(20, 40)],
    )
    assert locks_tried() - before == 60


def test_a_lock_is_of_one_fire_time_and_lapses(source: TickSource, redis_client: redis.Redis) -> None:
    source.put([entry("a")])
    [fire] = source.tick("one", limit=1).due
    source.advance([Advance(fire, entry("a", at=LONG_AGO + SECOND))])
    assert ids(source, "two") == ["a"], "its next fire time is another one's to take"
    [lock] = redis_client.keys(f"wc:{{0}}:lock:a:{int(LONG_AGO.timestamp() * 1000)}")
    assert 0 < redis_client.pttl(lock) <= 5_000


@pytest.mark.parametrize("broken", ["", "x", "1", "1:", ":5", "1:x", "1:99999999999999999999", "-1:5"])
def test_a_due_job_whose_entry_cannot_be_read_is_still_due(
    source: TickSource, redis_client: redis.Redis, broken: str
) -> None:
    source.put([entry("a"), entry("b")])
    redis_client.hset(JOBS, "a", broken)
    fires = {fire.job_id: fire for fire in source.tick("t", limit=10).due}
    assert fires["a"].fire_time is None or fires["a"].version is None
    assert fires["b"].fire_time == LONG_AGO


def test_a_due_job_without_entry_is_still_due(source: TickSource, redis_client: redis.Redis) -> None:
    source.put([entry("a")])
    redis_client.hdel(JOBS, "a")
    [fire] = source.tick("t", limit=10).due
    assert (fire.entry, fire.version, fire.fire_time) == ("", None, None)


@pytest.mark.parametrize("score", [float("inf"), 1e300])
def test_a_score_that_no_calendar_has_is_no_moment(
    source: TickSource, redis_client: redis.Redis, score: float
) -> None:
    redis_client.zadd(DUE, {"a": score})
    assert source.tick("t", limit=10).next_act_at is None
    assert source.entries(["a"])["a"][2] is None
    assert source.oldest_act_at() is None


def test_nothing_is_locked_when_the_time_is_not_where_it_was_expected(source: TickSource) -> None:
    source.put([entry("a")])
    real = source.tick("t", limit=0).now
    for expected in (real - timedelta(seconds=10), real + timedelta(seconds=10)):
        tick = source.tick("one", limit=10, expected_now=expected)
        assert (tick.jumped, tick.due) == (True, ())
    tick = source.tick("two", limit=10, expected_now=real)
    assert (tick.jumped, len(tick.due)) == (False, 1)


# --- moving on


def test_a_job_is_moved_on_only_from_where_it_was_found(source: TickSource) -> None:
    source.put([entry("a")])
    [fire] = source.tick("one", limit=1).due
    later = entry("a", at=LONG_AGO + 60 * SECOND)
    assert source.advance([Advance(fire, later)]) == 1
    assert source.advance([Advance(fire, entry("a", at=LONG_AGO + 5 * SECOND))]) == 0
    assert source.entries(["a"])["a"] == (1, later.fire_time, later.act_at)


def test_many_jobs_are_moved_in_one_go_each_only_from_where_it_was_found(source: TickSource) -> None:
    source.put([entry(f"{n:04}") for n in range(1_203)])
    fires = source.tick("one", limit=2_000).due
    source.put([entry("0007", version=2), entry("0800", at=LONG_AGO + SECOND)])
    later = LONG_AGO + 60 * SECOND
    moves = [Advance(fire, None if fire.job_id == "0003" else entry(fire.job_id, at=later)) for fire in fires]
    assert source.advance(moves) == 1_201
    found = source.entries(["0000", "0003", "0007", "0800", "1202"])
    assert (found["0000"], found["1202"]) == ((1, later, later), (1, later, later))
    assert found["0003"] == (None, None, None)
    assert found["0007"] == (2, LONG_AGO, LONG_AGO)
    assert found["0800"] == (1, LONG_AGO + SECOND, LONG_AGO + SECOND)
    assert source.size() == 1_202


def test_a_tick_of_an_old_version_moves_nothing(source: TickSource) -> None:
    source.put([entry("a", version=1)])
    [fire] = source.tick("one", limit=1).due
    source.put([entry("a", version=2)])
    assert source.advance([Advance(fire, None)]) == 0
    assert source.entries(["a"])["a"][0] == 2


def test_a_job_that_acts_later_is_not_moved_by_who_saw_it_before(source: TickSource) -> None:
    source.put([entry("a")])
    [fire] = source.tick("one", limit=1).due
    source.put([entry("a", acts=FAR_AHEAD)])
    assert source.advance([Advance(fire, None)]) == 0


def test_an_entry_is_replaced_only_where_it_stands_as_seen(source: TickSource) -> None:
    newer = entry("a", version=9)
    source.put([newer])
    older = entry("a", version=3, at=FAR_AHEAD)
    assert source.replace([(entry("a", version=8), older)]) == 0
    assert source.replace([(newer, older)]) == 1
    assert source.entries(["a"])["a"][0] == 3


# --- mirroring


def test_an_older_version_never_replaces_a_newer_one(source: TickSource) -> None:
    assert source.put([entry("a", version=2)]) == 1
    assert source.put([entry("a", version=1, at=FAR_AHEAD)]) == 0
    assert source.remove([("a", 1)]) == 0
    assert source.entries(["a"])["a"][:2] == (2, LONG_AGO)


def test_a_removed_job_is_not_revived_by_a_late_put_but_by_a_newer_version(
    source: TickSource, redis_client: redis.Redis
) -> None:
    source.put([entry("a", version=2)])
    assert source.remove([("a", 3)]) == 1
    assert source.put([entry("a", version=1), entry("a", version=2)]) == 0
    assert (ids(source), source.size()) == ([], 0)
    assert redis_client.pttl("wc:{0}:gone:a") > 3_000_000
    assert source.put([entry("a", version=4)]) == 1


def test_a_tombstone_never_gets_older(source: TickSource) -> None:
    source.remove([("a", 5)])
    source.remove([("a", 2)])
    assert source.put([entry("a", version=4)]) == 0


def test_many_jobs_are_mirrored_in_several_calls(source: TickSource) -> None:
    assert source.put(entry(f"{n}") for n in range(1_234)) == 1_234
    assert {job_id for part in source.job_ids() for job_id in part} == {str(n) for n in range(1_234)}
    assert source.remove((str(n), 1) for n in range(1_234)) == 1_234


def test_a_job_known_to_one_half_of_the_mirror_is_listed(
    source: TickSource, redis_client: redis.Redis
) -> None:
    redis_client.hset(JOBS, "only-entry", "1:5")
    redis_client.zadd(DUE, {"only-score": 5})
    assert {job_id for part in source.job_ids() for job_id in part} == {"only-entry", "only-score"}


# --- turns and rebuilds


def test_a_turn_is_kept_by_its_holder_until_given_back(source: TickSource) -> None:
    assert source.hold_turn("sweep", "one", timedelta(seconds=30))
    assert source.hold_turn("sweep", "one", timedelta(seconds=30))
    assert not source.hold_turn("sweep", "two", timedelta(seconds=30))
    assert source.hold_turn("compare", "two", timedelta(seconds=30))
    source.end_turn("sweep", "two")
    assert not source.hold_turn("sweep", "two", timedelta(seconds=30))


def test_a_rebuild_that_a_flush_interrupted_is_not_complete(
    source: TickSource, redis_client: redis.Redis
) -> None:
    rebuild = source.begin_rebuild()
    redis_client.flushall()
    assert not source.complete_rebuild(rebuild)
    assert source.generation() is None
    rebuild = source.begin_rebuild()
    assert source.complete_rebuild(rebuild)
    assert source.tick("t", limit=1).generation == source.generation() == rebuild
    assert not source.complete_rebuild(rebuild), "it is complete once"
    assert source.complete_rebuild(source.begin_rebuild())
    assert source.generation() == rebuild, "which stays the mark of this data"


def test_a_flushed_redis_has_no_generation(source: TickSource, redis_client: redis.Redis) -> None:
    source.complete_rebuild(source.begin_rebuild())
    redis_client.flushall()
    assert source.tick("t", limit=1).generation is None


def test_the_run_of_the_server_is_known(source: TickSource) -> None:
    assert source.server_run() == source.server_run() != ""
    assert source.runs() == (source.server_run(), None)
    source.complete_rebuild(source.begin_rebuild())
    assert source.runs() == (source.server_run(), source.server_run())


def test_a_redis_that_is_away_is_told() -> None:
    with connections.connect("unix:///nowhere/redis.sock") as connection:
        away = TickSource(connection)
        for call in (
            lambda: away.tick("t", limit=1),
            lambda: away.put([entry()]),
            away.generation,
            away.server_run,
            away.runs,
        ):
            with pytest.raises(TickSourceUnavailable):
                call()
