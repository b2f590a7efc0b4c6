"""Accounts without HTTP: logging in, refreshing, changing the password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from webhookcron.core.errors import EmailTaken
from webhookcron.service.accounts import AccountService, LoggedIn
from webhookcron.service.errors import Conflict, Forbidden, Invalid, LoginFailed, SessionEnded, TooMany
from webhookcron.ticks import client as redis_connections

PASSWORD = "correct horse battery"
ADDRESS = "192.0.2.7"


@pytest.fixture
def accounts(platform: Any) -> AccountService:
    return AccountService(platform)


@pytest.fixture
def registered(accounts: AccountService) -> LoggedIn:
    """The first account of the installation."""
    return accounts.register("ann@example.com", PASSWORD, "Ann", address=ADDRESS)


@pytest.fixture
def open_accounts(platform: Any) -> AccountService:
    return AccountService(replace(platform, settings=replace(platform.settings, open_registration=True)))


def test_the_first_account_is_admin_and_the_door_closes_behind_it(
    accounts: AccountService, registered: LoggedIn
) -> None:
    assert registered.principal.role == "admin"
    with pytest.raises(Forbidden):
        accounts.register("bob@example.com", PASSWORD, "Bob", address=ADDRESS)


def test_open_registration_makes_members_with_one_account_per_address(
    open_accounts: AccountService, registered: LoggedIn
) -> None:
    assert open_accounts.register("bob@example.com", PASSWORD, "", address=ADDRESS).principal.role == "member"
    with pytest.raises(EmailTaken):
        open_accounts.register(" BOB@example.com", PASSWORD, "", address=ADDRESS)


def test_of_many_who_register_first_one_gets_the_first_account(
    accounts: AccountService, in_threads: Callable[..., list[Any]]
) -> None:
    def register(number: int) -> str:
        try:
            return accounts.register(f"u{number}@example.com", PASSWORD, "", address=None).principal.role
        except Forbidden:
            return "refused"

    roles = in_threads(register, range(4))

    assert sorted(roles) == ["admin", "refused", "refused", "refused"]


def test_the_first_account_owns_what_the_admin_key_made(registered: LoggedIn) -> None:
    assert registered.principal.user_id == "admin"


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@b", "a b@c", "a@b@c", "a\n@b", "x" * 250 + "@b.cd"])
def test_what_is_no_address_is_refused(accounts: AccountService, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.register(email, PASSWORD, "", address=ADDRESS)
    assert "email" in refused.value.errors


@pytest.mark.parametrize("password", ["short", "x" * 257, "ann@example.com", "aaaaaaaaaaaa"])
def test_a_weak_password_is_refused(accounts: AccountService, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        accounts.register("ann@example.com", password, "", address=ADDRESS)
    assert "password" in refused.value.errors


def test_a_login_has_a_token_that_tells_who_calls(accounts: AccountService, registered: LoggedIn) -> None:
    logged_in = accounts.login(" Ann@Example.com ", PASSWORD, address=ADDRESS)

    principal = accounts.principal_of_token(logged_in.access_token)

    assert principal is not None
    assert (principal.user_id, principal.role, principal.session_id) == (
        "admin",
        "admin",
        logged_in.session_id,
    )
    assert accounts.principal_of_session(logged_in.session_id) is not None
    assert logged_in.user.last_login_at is not None


@pytest.mark.parametrize(
    ("email", "password"),
    [("ann@example.com", "wrong password"), ("eve@example.com", PASSWORD), ("ann@example.com", "x" * 5000)],
)
def test_a_login_that_does_not_fit_is_refused(
    accounts: AccountService, registered: LoggedIn, email: str, password: str
) -> None:
    with pytest.raises(LoginFailed):
        accounts.login(email, password, address=ADDRESS)


def test_an_account_that_is_not_active_is_refused_with_all_its_logins(
    accounts: AccountService, registered: LoggedIn, platform: Any
) -> None:
    platform.database["users"].update_one({"_id": "admin"}, {"$set": {"isActive": False}})

    assert accounts.principal_of_token(registered.access_token) is None
    with pytest.raises(LoginFailed):
        accounts.login("ann@example.com", PASSWORD, address=ADDRESS)
    with pytest.raises(SessionEnded):
        accounts.refresh(registered.refresh_token, address=ADDRESS)


def test_attempts_are_counted_for_known_and_unknown_accounts_alike(
    accounts: AccountService, registered: LoggedIn
) -> None:
    for email in ("ann@example.com", "eve@example.com"):
        refused = []
        for _ in range(12):
            with pytest.raises((LoginFailed, TooMany)) as failure:
                accounts.login(email, "wrong password", address="192.0.2.9")
            refused.append(type(failure.value))
        assert refused == [LoginFailed] * 10 + [TooMany] * 2
    with pytest.raises(TooMany) as too_many:
        accounts.login("ann@example.com", PASSWORD, address="192.0.2.9")
    assert 0 < too_many.value.retry_after_seconds <= 900


def test_attempts_from_elsewhere_count_apart(accounts: AccountService, registered: LoggedIn) -> None:
    for _ in range(10):
        with pytest.raises(LoginFailed):
            accounts.login("ann@example.com", "wrong password", address="192.0.2.9")

    assert accounts.login("ann@example.com", PASSWORD, address=ADDRESS)


def test_a_right_password_forgets_wrong_ones(accounts: AccountService, registered: LoggedIn) -> None:
    for _ in range(3):
        for _ in range(9):
            with pytest.raises(LoginFailed):
                accounts.login("ann@example.com", "wrong password", address=None)
        accounts.login("ann@example.com", PASSWORD, address=None)


def test_a_refresh_token_is_good_once(accounts: AccountService, registered: LoggedIn) -> None:
    refreshed = accounts.refresh(registered.refresh_token, address=ADDRESS)

    assert refreshed.session_id == registered.session_id
    assert accounts.principal_of_token(refreshed.access_token) is not None


def test_a_refresh_token_that_comes_again_ends_the_login(
    accounts: AccountService, registered: LoggedIn
) -> None:
    refreshed = accounts.refresh(registered.refresh_token, address=ADDRESS)

    with pytest.raises(SessionEnded):
        accounts.refresh(registered.refresh_token, address=ADDRESS)
    with pytest.raises(SessionEnded):
        accounts.refresh(refreshed.refresh_token, address=ADDRESS)
    assert accounts.principal_of_token(refreshed.access_token) is None


@pytest.mark.parametrize("token", ["", "whr_", "whr_" + "0" * 32 + "_" + "x" * 43, "x" * 10_000])
def test_what_is_no_refresh_token_is_refused(accounts: AccountService, token: str) -> None:
    with pytest.raises(SessionEnded):
        accounts.refresh(token, address=ADDRESS)


def test_a_new_password_ends_the_other_logins(accounts: AccountService, registered: LoggedIn) -> None:
    other = accounts.login("ann@example.com", PASSWORD, address=ADDRESS)

    accounts.change_password(registered.principal, PASSWORD, "another horse battery")

    assert accounts.principal_of_token(other.access_token) is None
    assert accounts.principal_of_token(registered.access_token) is not None
    with pytest.raises(LoginFailed):
        accounts.login("ann@example.com", PASSWORD, address=ADDRESS)
    assert accounts.login("ann@example.com", "another horse battery", address=ADDRESS)


def test_changing_the_password_takes_the_present_one(accounts: AccountService, registered: LoggedIn) -> None:
    with pytest.raises(LoginFailed):
        accounts.change_password(registered.principal, "wrong password", "another horse battery")


def test_logging_out_ends_a_login_at_once(accounts: AccountService, registered: LoggedIn) -> None:
    accounts.logout(registered.principal)

    assert accounts.principal_of_token(registered.access_token) is None
    with pytest.raises(SessionEnded):
        accounts.refresh(registered.refresh_token, address=ADDRESS)


def test_an_api_key_is_no_login_to_end(accounts: AccountService, registered: LoggedIn) -> None:
    by_key = replace(registered.principal, session_id=None, key_id="k")
    with pytest.raises(Conflict):
        accounts.logout(by_key)
    accounts.logout(by_key, everywhere=True)
    assert accounts.principal_of_token(registered.access_token) is None


def test_a_login_ends_when_it_is_not_refreshed_for_long(
    accounts: AccountService, registered: LoggedIn, platform: Any
) -> None:
    platform.database["sessions"].update_many(
        {}, {"$set": {"expireAt": registered.access_expires_at - timedelta(hours=1)}}
    )

    assert accounts.principal_of_token(registered.access_token) is None
    with pytest.raises(SessionEnded):
        accounts.refresh(registered.refresh_token, address=ADDRESS)


def test_attempts_are_counted_by_process_while_redis_is_away(
    platform: Any, registered: LoggedIn, tmp_path: Any
) -> None:
    with redis_connections.connect(f"unix://{tmp_path}/none") as away:
        accounts = AccountService(replace(platform, redis=away))
        for _ in range(10):
            with pytest.raises(LoginFailed):
                accounts.login("ann@example.com", "wrong password", address=ADDRESS)
        with pytest.raises(TooMany):
            accounts.login("ann@example.com", PASSWORD, address=ADDRESS)
