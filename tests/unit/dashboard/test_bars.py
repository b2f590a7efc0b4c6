"""The geometry of the small charts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.executions import ExecutionStatus
from webhookcron.dashboard import bars
from webhookcron.storage.recent_runs import RecentRun

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)


def run(number: int, duration_ms: int | None) -> RecentRun:
    return RecentRun(
        execution_id=f"job:{number}",
        job_id="job",
        status=ExecutionStatus.SUCCESS,
        reason=None,
        scheduled_at=NOW + timedelta(seconds=number),
        duration_ms=duration_ms,
    )


def test_runs_stand_from_left_to_right_and_the_longest_is_the_highest() -> None:
    drawn = bars.run_bars([run(3, 100), run(2, None), run(1, 25)])
    assert [bar.run.execution_id for bar in drawn] == ["job:1", "job:2", "job:3"]
    assert [bar.x for bar in drawn] == [0, 8, 16]
    assert drawn[2].height == bars.RUN_BARS_HEIGHT
    assert drawn[0].height > drawn[1].height == 6
    assert all(bar.y + bar.height == bars.RUN_BARS_HEIGHT for bar in drawn)


def test_runs_without_any_duration_are_drawn() -> None:
    assert [bar.height for bar in bars.run_bars([run(1, None), run(2, 0)])] == [6, 6]


@given(st.lists(st.floats(0, 1e7), min_size=2, max_size=80))
def test_a_sparkline_stays_within_its_frame(values: list[float]) -> None:
    line = bars.sparkline(values)
    assert line is not None
    width, height = bars.SPARKLINE_SIZE
    points = [tuple(map(float, point.split(","))) for point in line.points.split()]
    assert len(points) == len(values)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert line.least <= line.median <= line.most


@pytest.mark.parametrize("values", [[], [5.0]])
def test_one_value_makes_no_line(values: list[float]) -> None:
    assert bars.sparkline(values) is None


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, 4), (1, 4), (4, 4), (5, 8), (9, 10), (11, 20), (81, 100), (101, 200), (8001, 10_000)],
)
def test_the_scale_ends_at_a_round_number(largest: int, top: int) -> None:
    assert bars.scale_top(largest) == top


def test_columns_are_stacked_from_below_and_keep_their_shares() -> None:
    starts = [NOW, NOW + timedelta(hours=1)]
    drawn, top = bars.columns(starts, [{"success": 6, "failed": 2}, {}], ["success", "failed"])
    assert top == 8
    first, second = drawn
    assert [(s.kind, s.y, s.height) for s in first.segments] == [("success", 40, 120), ("failed", 0, 40)]
    assert (first.total, second.total, second.segments) == (8, 0, ())
    assert first.x + first.width <= second.x


def test_the_smallest_share_can_be_seen() -> None:
    drawn, _ = bars.columns([NOW], [{"success": 100_000, "failed": 1}], ["success", "failed"])
    assert drawn[0].segments[1].height == bars.LEAST_VISIBLE


def test_phases_are_drawn_one_after_the_other() -> None:
    found = bars.phase_bars(
        {"nameLookupMs": 10, "connectMs": 20, "tlsMs": 20, "firstByteMs": 90, "totalMs": 100}
    )
    assert [(bar.name, bar.start, bar.width, bar.ms) for bar in found] == [
        ("name", 0, 10, 10),
        ("connect", 10, 10, 10),
        ("wait", 20, 70, 70),
        ("read", 90, 10, 10),
    ]


@pytest.mark.parametrize("phases", [None, {}, {"totalMs": 0.0}])
def test_a_call_without_phases_has_no_bars(phases: dict[str, float] | None) -> None:
    assert bars.phase_bars(phases) == []


def test_minutes_hold_the_fires_of_theirs_only() -> None:
    fires = [NOW, NOW + timedelta(seconds=59), NOW + timedelta(minutes=5), NOW + timedelta(minutes=60)]
    assert [(m.index, m.count) for m in bars.minutes(fires, NOW)] == [(0, 2), (5, 1)]
