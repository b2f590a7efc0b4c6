"""API keys: known by their hash, owned by a user, used within their time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from webhookcron.storage.api_keys import ADMIN_ID, ALL_SCOPES, ApiKeyStore


@pytest.fixture
def keys(world: Any) -> ApiKeyStore:
    return ApiKeyStore(world.database)


def test_the_admin_key_is_made_once(world: Any, keys: ApiKeyStore) -> None:
    assert keys.ensure_admin_key("whk_one", now=world.t0)
    assert not keys.ensure_admin_key("whk_one", now=world.t0)
    assert keys.ensure_admin_key("whk_two", now=world.t0)
    found = keys.find("whk_one", now=world.t0)
    assert found is not None
    assert (found.owner_id, found.role, found.scopes) == (ADMIN_ID, "admin", ALL_SCOPES)


def test_a_key_is_not_stored_readable(world: Any, keys: ApiKeyStore) -> None:
    keys.ensure_admin_key("whk_hush", now=world.t0)
    assert "whk_hush" not in str(list(world.database["apiKeys"].find()))


def test_an_unknown_key_and_one_whose_owner_is_gone_are_nobodys(world: Any, keys: ApiKeyStore) -> None:
    assert keys.find("whk_unknown", now=world.t0) is None
    _, key = keys.create("nobody", "name", ("read",), now=world.t0)
    assert keys.find(key, now=world.t0) is None


def test_a_key_ends_with_its_time(world: Any, keys: ApiKeyStore) -> None:
    keys.ensure_admin_key("whk_one", now=world.t0)
    world.database["apiKeys"].update_one({}, {"$set": {"expiresAt": world.at(60)}})
    assert keys.find("whk_one", now=world.at(59)) is not None
    assert keys.find("whk_one", now=world.at(60)) is None


def test_its_last_use_is_written_at_most_once_a_minute(world: Any, keys: ApiKeyStore) -> None:
    keys.ensure_admin_key("whk_one", now=world.t0)
    written = []
    for seconds in (0, 30, 59, 61, 62):
        keys.find("whk_one", now=world.at(seconds))
        written.append(world.database["apiKeys"].find_one()["lastUsedAt"])
    assert written == [world.t0 + timedelta(seconds=s) for s in (0, 0, 0, 61, 61)]
