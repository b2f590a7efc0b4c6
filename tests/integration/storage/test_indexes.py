"""The declared indexes: made once, replaced when declared otherwise, by any number of instances at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from webhookcron.storage.indexes import INDEXES, ensure_indexes

NAMES = {f"{index.collection}.{index.name}" for index in INDEXES}


def stored(database: Database[Any]) -> set[str]:
    return {
        f"{collection}.{name}"
        for collection in {index.collection for index in INDEXES}
        for name in database[collection].index_information()
        if name != "_id_"
    }


def test_what_is_missing_is_made_and_a_second_time_nothing(mongo_database: Database[Any]) -> None:
    assert set(ensure_indexes(mongo_database)) == NAMES
    assert ensure_indexes(mongo_database) == []
    assert stored(mongo_database) == NAMES


def test_an_index_that_is_declared_otherwise_is_replaced(mongo_database: Database[Any]) -> None:
    ensure_indexes(mongo_database)
    mongo_database["executions"].drop_index("expireAt_1")
    mongo_database["executions"].create_index([("expireAt", 1)], name="expireAt_1", expireAfterSeconds=77)
    assert ensure_indexes(mongo_database) == ["executions.expireAt_1"]
    information = mongo_database["executions"].index_information()["expireAt_1"]
    assert information["expireAfterSeconds"] == 0


def test_an_index_on_the_same_keys_under_another_name_gives_way(mongo_database: Database[Any]) -> None:
    mongo_database["executions"].create_index([("checkAt", 1)], name="old")
    assert "executions.checkAt_1" in ensure_indexes(mongo_database)
    assert stored(mongo_database) == NAMES
    assert ensure_indexes(mongo_database) == []


def test_instances_that_start_side_by_side_agree(world: Any, in_threads: Callable[..., list[Any]]) -> None:
    for collection in {index.collection for index in INDEXES}:
        world.database[collection].drop_indexes()
    in_threads(lambda _n: ensure_indexes(world.database), range(4))
    assert stored(world.database) == NAMES


def test_every_index_says_which_query_it_serves() -> None:
    assert all(index.why for index in INDEXES)
    assert len(NAMES) == len(INDEXES)
