"""Open cursors: batches, bounds, idle ones."""

from typing import Any

import bson
import pytest

from webhookcron.embedded import cursors as module
from webhookcron.embedded.cursors import FIRST_BATCH, IDLE_SECONDS, MAX_CURSORS, Cursors
from webhookcron.embedded.errors import CommandError

NAMESPACE = "db.things"


def documents(count: int) -> list[dict[str, Any]]:
    return [{"_id": number} for number in range(count)]


def opened(cursors: Cursors, count: int, batch: int | None = None, now: float = 0.0) -> dict[str, Any]:
    """The decoded cursor part of a first reply."""
    reply = cursors.first_reply(NAMESPACE, documents(count), batch, False, now)
    return bson.decode(reply["cursor"].raw)


def more(cursors: Cursors, number: int, batch: int | None = None, now: float = 0.0) -> dict[str, Any]:
    """The decoded cursor part of a further reply."""
    return bson.decode(cursors.next_reply(number, NAMESPACE, batch, now)["cursor"].raw)


def test_a_result_that_fits_leaves_no_cursor() -> None:
    cursors = Cursors()
    first = opened(cursors, FIRST_BATCH)
    assert (len(first["firstBatch"]), first["id"], len(cursors)) == (FIRST_BATCH, 0, 0)


def test_a_longer_result_goes_on_until_it_is_exhausted() -> None:
    cursors = Cursors()
    first = opened(cursors, 10, batch=4)
    second = more(cursors, first["id"], batch=4)
    third = more(cursors, first["id"], batch=4)
    assert first["firstBatch"] + second["nextBatch"] + third["nextBatch"] == documents(10)
    assert (second["id"], third["id"], len(cursors)) == (first["id"], 0, 0)


def test_a_first_batch_of_none_only_opens_the_cursor() -> None:
    cursors = Cursors()
    first = opened(cursors, 3, batch=0)
    assert first["firstBatch"] == []
    assert more(cursors, first["id"])["nextBatch"] == documents(3)


def test_a_single_batch_drops_the_rest() -> None:
    cursors = Cursors()
    reply = cursors.first_reply(NAMESPACE, documents(10), 4, True, 0.0)
    found = bson.decode(reply["cursor"].raw)
    assert (len(found["firstBatch"]), found["id"], len(cursors)) == (4, 0, 0)


def test_a_reply_stays_below_the_largest_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 100)
    cursors = Cursors()
    first = opened(cursors, 20)
    assert 1 <= len(first["firstBatch"]) < 20
    found = first["firstBatch"]
    while len(cursors):
        found += more(cursors, first["id"])["nextBatch"]
    assert found == documents(20)


def test_the_longest_unused_cursor_gives_way() -> None:
    cursors = Cursors()
    numbers = [opened(cursors, 2, batch=0)["id"] for _ in range(MAX_CURSORS)]
    more(cursors, numbers[0], batch=1)
    opened(cursors, 2, batch=0)
    assert len(cursors) == MAX_CURSORS
    assert more(cursors, numbers[0])["nextBatch"] == [{"_id": 1}]
    with pytest.raises(CommandError) as caught:
        more(cursors, numbers[1])
    assert caught.value.code == 43


def test_idle_cursors_close() -> None:
    cursors = Cursors()
    idle = opened(cursors, 3, batch=0, now=0.0)["id"]
    used = opened(cursors, 3, batch=0, now=1.0)["id"]
    more(cursors, used, batch=1, now=IDLE_SECONDS)
    cursors.close_idle(IDLE_SECONDS + 0.5)
    assert len(cursors) == 1
    assert not cursors.kill(idle)
    assert cursors.kill(used)


def test_a_cursor_belongs_to_its_collection() -> None:
    cursors = Cursors()
    number = opened(cursors, 3, batch=0)["id"]
    with pytest.raises(CommandError):
        cursors.next_reply(number, "db.others", None, 0.0)
