"""The shared service fixtures themselves."""

from typing import Any

import redis
from pymongo.database import Database


def test_it_gives_each_test_an_empty_redis(redis_client: "redis.Redis") -> None:
    assert redis_client.dbsize() == 0
    assert redis_client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_it_gives_each_test_an_empty_database(mongo_database: Database[dict[str, Any]]) -> None:
    assert mongo_database.list_collection_names() == []
