"""Finding whose key a request carries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from webhookcron.api.auth import KEPT_CALLERS, KEPT_FOR_SECONDS, Authenticator
from webhookcron.service.principals import Principal
from webhookcron.storage.api_keys import ApiKey, ApiKeyStore
from webhookcron.ticks.clock import PlatformClock

NOW = datetime(2030, 1, 15, tzinfo=UTC)
ANN = ApiKey(id="1", owner_id="ann", name="k", role="member", scopes=("read",), created_at=NOW)


class Keys:
    """A store of keys that counts how often it is asked."""

    def __init__(self) -> None:
        self.known: dict[str, ApiKey] = {"whk_ann": ANN}
        self.asked = 0

    def find(self, key: str, *, now: datetime) -> ApiKey | None:
        self.asked += 1
        return self.known.get(key)


class Clock:
    """Platform time and the monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.moment = NOW
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(keys: Keys, clock: Clock) -> Authenticator:
    return Authenticator(cast(ApiKeyStore, keys), cast(PlatformClock, clock), monotonic=clock.monotonic)


def test_a_key_says_who_calls(authenticator: Authenticator) -> None:
    ann = Principal(user_id="ann", role="member", scopes=frozenset({"read"}), key_id="1")
    assert authenticator.principal("Bearer whk_ann") == ann
    assert authenticator.principal("bearer  whk_ann ") == ann


@pytest.mark.parametrize(
    "header",
    [None, "", "whk_ann", "Basic whk_ann", "Bearer ann", "Bearer whk_other", "Bearer whk_" + "a" * 300],
)
def test_other_headers_say_nothing(authenticator: Authenticator, header: str | None) -> None:
    assert authenticator.principal(header) is None


def test_a_key_is_looked_up_once_in_a_while(authenticator: Authenticator, keys: Keys, clock: Clock) -> None:
    for _ in range(3):
        authenticator.principal("Bearer whk_ann")
    assert keys.asked == 1
    keys.known.clear()
    clock.seconds += KEPT_FOR_SECONDS
    assert authenticator.principal("Bearer whk_ann") is None


def test_a_key_that_is_unknown_now_may_be_known_soon(authenticator: Authenticator, keys: Keys) -> None:
    assert authenticator.principal("Bearer whk_new") is None
    keys.known["whk_new"] = ANN
    assert authenticator.principal("Bearer whk_new") is not None


def test_a_remembered_key_expires_in_time(authenticator: Authenticator, keys: Keys, clock: Clock) -> None:
    keys.known["whk_ann"] = replace(ANN, expires_at=NOW + timedelta(seconds=1))
    assert authenticator.principal("Bearer whk_ann") is not None
    clock.moment += timedelta(seconds=1)
    assert authenticator.principal("Bearer whk_ann") is None
    assert keys.asked == 1


def test_it_remembers_only_so_many(authenticator: Authenticator, keys: Keys) -> None:
    for number in range(KEPT_CALLERS + 1):
        keys.known[f"whk_{number}"] = ANN
        authenticator.principal(f"Bearer whk_{number}")
    asked = keys.asked
    authenticator.principal(f"Bearer whk_{KEPT_CALLERS}")
    assert keys.asked == asked
    authenticator.principal("Bearer whk_0")
    assert keys.asked == asked + 1
