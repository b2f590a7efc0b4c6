"""`webhookcron users` and `admin-login` against a store."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pymongo.database import Database

from webhookcron.cli import main
from webhookcron.service.passwords import Passwords
from webhookcron.storage.users import UserStore

Run = Callable[..., Result]


@pytest.fixture
def run(mongodb_uri: str, mongo_database: Database[Any]) -> Run:
    uri = f"{mongodb_uri.rstrip('/')}/{mongo_database.name}"
    return lambda *arguments: CliRunner().invoke(main, arguments, env={"MONGODB_URI": uri})


@pytest.fixture
def users(mongo_database: Database[Any]) -> UserStore:
    return UserStore(mongo_database)


def fits(users: UserStore, email: str, password: str) -> bool:
    found = users.credentials(email)
    return found is not None and Passwords().fits(found[1], password)


def test_an_account_is_created_with_a_password_that_is_shown_once(run: Run, users: UserStore) -> None:
    result = run("users", "create", "Ann@example.com", "--role", "viewer", "--name", "Ann")

    assert (result.exit_code, result.stderr) == (0, "ann@example.com: created (viewer)\n")
    assert fits(users, "ann@example.com", result.stdout.strip())
    found, total = users.list(skip=0, limit=10)
    assert [(user.email, user.role, user.name, total) for user in found] == [
        ("ann@example.com", "viewer", "Ann", 1)
    ]


def test_a_password_may_come_from_a_file(run: Run, users: UserStore, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")

    result = run("users", "create", "ann@example.com", "--password-file", str(file))

    assert (result.exit_code, result.stdout) == (0, "")
    assert fits(users, "ann@example.com", "correct horse battery")


@pytest.mark.parametrize(
    ("email", "password", "code", "message"),
    [
        ("ann", "correct horse battery", 2, "error: the email must be an e-mail address\n"),
        ("bob@example.com", "short", 2, "error: the password must have 10 to 256 characters\n"),
        (
            "ann@example.com",
            "correct horse battery",
            1,
            "error: another account already has this address\n",
        ),
    ],
)
def test_what_cannot_be_an_account_ends_with_one_line(
    run: Run, tmp_path: Path, email: str, password: str, code: int, message: str
) -> None:
    run("users", "create", "ann@example.com")
    file = tmp_path / "password"
    file.write_text(password)

    result = run("users", "create", email, "--password-file", str(file))

    assert (result.exit_code, result.stderr) == (code, message)


def test_a_reset_password_ends_logins(run: Run, users: UserStore, mongo_database: Database[Any]) -> None:
    old = run("users", "create", "ann@example.com").stdout.strip()
    user_id = users.list(skip=0, limit=1)[0][0].id
    mongo_database["sessions"].insert_one({"_id": "s", "userId": user_id})

    new = run("users", "reset-password", "ann@example.com").stdout.strip()

    assert fits(users, "ann@example.com", new)
    assert not fits(users, "ann@example.com", old)
    assert mongo_database["sessions"].count_documents({}) == 0


def test_only_accounts_that_exist_get_a_new_password(run: Run) -> None:
    result = run("users", "reset-password", "eve@example.com")

    assert (result.exit_code, result.stderr) == (
        1,
        "error: there is no account with the address eve@example.com\n",
    )


def test_the_list_shows_every_account_and_no_secret(run: Run) -> None:
    password = run("users", "create", "ann@example.com").stdout.strip()
    run("admin-key")

    lines = run("users", "list").stdout.splitlines()

    assert sorted(line.split()[0] for line in lines) == ["(no", "ann@example.com"]
    assert not any(password in line for line in lines)


def test_the_first_login_is_kept_in_a_file_for_its_owner_only(
    run: Run, users: UserStore, tmp_path: Path
) -> None:
    file = tmp_path / "admin.password"

    first, second = run("admin-login", "--output", str(file)), run("admin-login", "--output", str(file))

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert fits(users, "admin@localhost", file.read_text().strip())


def test_a_password_file_that_was_written_before_a_crash_becomes_valid(
    run: Run, users: UserStore, tmp_path: Path
) -> None:
    file = tmp_path / "admin.password"
    file.write_text("kept before the crash\n")

    run("admin-login", "--output", str(file))

    assert fits(users, "admin@localhost", "kept before the crash")


def test_a_login_that_exists_is_left_alone(run: Run, users: UserStore) -> None:
    password = run("admin-login").stdout.strip()

    again = run("admin-login")

    assert again.stdout == ""
    assert "reset-password" in again.stderr
    assert fits(users, "admin@localhost", password)
