from datetime import UTC, datetime
from typing import Any

import pytest

from webhookcron.client.api import ApiClient
from webhookcron.client.follow import LogFollower

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def execution(second: int, status: str = "success", attempts: int = 1) -> dict[str, Any]:
    return {
        "id": f"e{second}",
        "scheduledAt": f"2030-01-01T12:00:{second:02}.000Z",
        "status": status,
        "attemptCount": attempts,
        "nextAttemptAt": None,
    }


def page(*items: dict[str, Any], cursor: str | None = None) -> tuple[int, dict[str, Any]]:
    return 200, {"items": list(items), "nextCursor": cursor}


@pytest.fixture
def follower(api: ApiClient) -> LogFollower:
    return LogFollower(api, "/api/execution-logs", {}, started_at=START)


def test_it_gives_what_is_new_the_earliest_first(follower: LogFollower, script: Any) -> None:
    script.answers = [page(execution(2), execution(1)), page(execution(3), execution(2), execution(1))]

    assert [found["id"] for found in follower.look()] == ["e1", "e2"]
    assert [found["id"] for found in follower.look()] == ["e3"]


def test_it_gives_an_execution_again_when_it_moved_on(follower: LogFollower, script: Any) -> None:
    script.answers = [
        page(execution(1, "running", 0)),
        page(execution(1, "running", 0)),
        page(execution(1, "retrying", 1)),
        page(execution(1, "success", 2)),
        page(execution(1, "success", 2)),
    ]

    statuses = [[found["status"] for found in follower.look()] for _ in range(5)]

    assert statuses == [["running"], [], ["retrying"], ["success"], []]


def test_it_follows_cursors_to_the_end_of_a_look(follower: LogFollower, script: Any) -> None:
    script.answers = [page(execution(3), cursor="c1"), page(execution(2), cursor="c2"), page(execution(1))]

    assert [found["id"] for found in follower.look()] == ["e1", "e2", "e3"]
    assert "cursor=c2" in script.requests[2].url


def test_what_is_remembered_is_not_given(follower: LogFollower, script: Any) -> None:
    follower.remember([execution(1)])
    script.answers = [page(execution(2), execution(1))]

    assert [found["id"] for found in follower.look()] == ["e2"]


def test_it_looks_back_no_further_than_something_may_still_move(api: ApiClient, script: Any) -> None:
    follower = LogFollower(api, "/api/execution-logs", {}, started_at=START)
    late = {**execution(9), "id": "late", "scheduledAt": "2030-01-01T13:00:00.000Z"}
    script.answers = [page(late, execution(5, "retrying")), page(late, execution(5)), page(late)]

    follower.look()
    follower.look()
    follower.look()

    assert "from=2030-01-01T11%3A50" in script.requests[0].url
    assert "from=2030-01-01T12%3A00%3A05" in script.requests[1].url
    assert "from=2030-01-01T12%3A50" in script.requests[2].url
