"""Sealed sessions: unreadable, unchangeable, and over when they should be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from webhookcron.dashboard.sessions import (
    IDLE_FOR,
    LASTS_FOR,
    MAX_SEALED_LENGTH,
    RENEWED_EVERY,
    Notice,
    SessionSeal,
    new_session,
)

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
KEY = "the present key of this platform"


def test_a_sealed_session_opens_as_it_was() -> None:
    seal = SessionSeal([KEY])
    session = replace(
        new_session(NOW, "key", "whk_secret"), notice=Notice(text="Saved.", secret="whsec_x", secret_is="key")
    )
    assert seal.open(seal.seal(session), NOW) == session


def test_a_sealed_session_shows_nothing_of_its_credential() -> None:
    sealed = SessionSeal([KEY]).seal(new_session(NOW, "key", "whk_secret"))
    assert "whk_" not in sealed


def test_another_key_or_a_changed_character_opens_nothing() -> None:
    sealed = SessionSeal([KEY]).seal(new_session(NOW, "key", "whk_secret"))
    changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
    assert SessionSeal(["another key of sixteen or more"]).open(sealed, NOW) is None
    assert SessionSeal([KEY]).open(changed, NOW) is None


@pytest.mark.parametrize("sealed", [None, "", "nonsense", "ümlaut", "A" * 10_000])
def test_what_is_no_session_opens_nothing(sealed: str | None) -> None:
    assert SessionSeal([KEY]).open(sealed, NOW) is None


def test_sessions_outlive_a_change_of_the_key_while_the_old_one_is_listed() -> None:
    session = new_session(NOW, "account", "login")
    sealed = SessionSeal([KEY]).seal(session)
    assert SessionSeal(["a new key that comes first now", KEY]).open(sealed, NOW) == session


@pytest.mark.parametrize(
    ("seen_after", "asked_after", "open_"),
    [
        (timedelta(0), IDLE_FOR - SECOND, True),
        (timedelta(0), IDLE_FOR, False),
        (LASTS_FOR - IDLE_FOR, LASTS_FOR - SECOND, True),
        (LASTS_FOR - SECOND, LASTS_FOR, False),
    ],
)
def test_a_session_ends_when_idle_and_at_its_age(
    seen_after: timedelta, asked_after: timedelta, open_: bool
) -> None:
    seal = SessionSeal([KEY])
    sealed = seal.seal(replace(new_session(NOW), seen_at=NOW + seen_after))
    assert (seal.open(sealed, NOW + asked_after) is not None) is open_


def test_a_session_in_use_is_written_anew_once_in_a_while() -> None:
    session = new_session(NOW)
    assert session.used(NOW + RENEWED_EVERY - SECOND) is session
    assert session.used(NOW + RENEWED_EVERY).seen_at == NOW + RENEWED_EVERY


def test_only_its_own_token_is_accepted() -> None:
    session, other = new_session(NOW), new_session(NOW)
    assert session.accepts(session.csrf_token)
    assert not session.accepts(other.csrf_token)
    assert not session.accepts(None)
    assert not session.accepts("")
    assert not session.accepts("tökén")


def test_a_credential_that_fits_no_cookie_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        SessionSeal([KEY]).seal(new_session(NOW, "key", "k" * MAX_SEALED_LENGTH))
